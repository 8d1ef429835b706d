"""A network that others have trained goes the way of every encoder."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.__main__ import main
from replearn.encoders.encoder import load_encoder
from replearn.encoders.models import build
from replearn.encoders.models.pretrained import Pretrained
from replearn.errors import DataError
from replearn.features import Features
from tests.encoders.backbones.tiny import MAKERS

Networks = dict[str, Any]


@pytest.fixture(scope="module")
def folder(networks: Networks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return MAKERS["dinov2"](networks, tmp_path_factory.mktemp("tiny")).folder


def test_a_network_that_is_loaded_is_in_the_state_of_its_model(folder: Path) -> None:
    fitted = build("pretrained", size=32, channels=3, arguments={"name": str(folder)})
    assert isinstance(fitted, Pretrained)
    fitted.fit(torch.zeros(1, 3, 32, 32))
    for training in (False, True):
        loaded = build("pretrained", size=32, channels=3, arguments={}).train(training)
        assert isinstance(loaded, Pretrained)
        loaded.load_state_dict(fitted.state_dict())
        assert loaded.backbone is not None
        assert loaded.backbone.training == training  # dropout in evaluation would draw
        assert not any(weight.requires_grad for weight in loaded.parameters())


@pytest.mark.parametrize("name", ["dinov2", "timm_cnn", "open_clip_vit"])
def test_it_goes_the_way_of_every_encoder_and_is_saved_whole(
    networks: Networks, tmp_path: Path, name: str
) -> None:
    (tmp_path / "images").mkdir()
    pictures = []
    for number in range(6):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 40)).astype(np.uint8)
        pictures.append(Image.fromarray(pixels))
        pictures[-1].save(tmp_path / "images" / f"{number}.png")
    network = MAKERS[name](networks, tmp_path / "network")
    (tmp_path / "config.yaml").write_text(
        f"model: pretrained\narguments: {{name: {network.folder}}}\n"
        f"images: {{size: {network.side}, channels: 1}}\n"
    )
    encoder = tmp_path / "encoder"
    assert main(f"train {tmp_path}/config.yaml {tmp_path}/images {encoder}".split()) == 0
    shutil.rmtree(network.folder)  # what was saved does not need it any more
    assert main(f"extract {encoder} {tmp_path}/images {tmp_path}/f.h5".split()) == 0
    vectors = Features.load(tmp_path / "f.h5").vectors
    assert len(vectors) == 6
    assert np.ptp(vectors, axis=0).max() > 1e-3
    assert load_encoder(encoder, "cpu").description.model == "pretrained"


def test_without_a_network_nothing_is_embedded() -> None:
    model = build("pretrained", size=32, channels=3, arguments={})
    with pytest.raises(DataError, match="there is no network yet"):
        model.embed(torch.zeros(1, 3, 32, 32))
    with pytest.raises(DataError, match="there is no network yet"):
        model.embed_text(["a"])
