"""A network that others have trained: its own preprocessing, its tokens, and no network needed."""

import importlib
import json
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
from replearn.errors import DataError, UsageError
from replearn.features import Features

MEAN, DEVIATION = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]
LAYERS = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny vision transformer with random weights, saved as the library saves one."""
    pytest.importorskip("transformers", reason="pretrained models need replearn[pretrained]")
    library = importlib.import_module("transformers")
    torch.manual_seed(0)
    config = library.Dinov2Config(image_size=28, patch_size=14, **LAYERS)
    path = tmp_path_factory.mktemp("tiny")
    library.Dinov2Model(config).save_pretrained(path)
    preprocessing = {
        "image_processor_type": "BitImageProcessor",
        "size": {"shortest_edge": 32},
        "do_center_crop": True,
        "crop_size": {"height": 28, "width": 28},
        "image_mean": MEAN,
        "image_std": DEVIATION,
    }
    (path / "preprocessor_config.json").write_text(json.dumps(preprocessing))
    return path


def model(folder: Path, **more: Any) -> Pretrained:
    made = build("pretrained", size=32, channels=3, arguments={"name": str(folder)} | more)
    assert isinstance(made, Pretrained)
    made.fit(torch.zeros(1, 3, 32, 32))
    return made


def test_tokens_are_those_of_the_library_on_its_own_preprocessing(folder: Path) -> None:
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    library = importlib.import_module("transformers")
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    seen = (((images + 1) / 2)[..., 2:30, 2:30] - mean) / deviation
    with torch.inference_mode():
        network = library.AutoModel.from_pretrained(folder).eval()
        tokens = network(pixel_values=seen).last_hidden_state
        token, patches = tokens[:, 0], tokens[:, 1:].mean(1)
        expected = {"class": token, "mean": patches, "both": torch.cat([token, patches], 1)}
        for pooling, vectors in expected.items():
            found = model(folder, pooling=pooling).embed(images)
            torch.testing.assert_close(found, vectors, rtol=1e-4, atol=1e-5)


def test_a_network_that_is_loaded_is_in_the_state_of_its_model(folder: Path) -> None:
    state = model(folder).state_dict()
    for training in (False, True):
        loaded = build("pretrained", size=32, channels=3, arguments={}).train(training)
        assert isinstance(loaded, Pretrained)
        loaded.load_state_dict(state)
        assert loaded.backbone is not None
        assert loaded.backbone.training == training  # dropout in evaluation would draw
        assert not any(weight.requires_grad for weight in loaded.parameters())


@pytest.mark.parametrize("how", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])
def test_images_are_resized_as_the_preprocessing_says(
    folder: Path, tmp_path: Path, how: Image.Resampling
) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    stated = json.dumps(settings | {"resample": int(how)})
    (tmp_path / "preprocessor_config.json").write_text(stated)
    large = np.random.default_rng(0).random((3, 50, 50), np.float32)
    planes = [Image.fromarray(plane).resize((32, 32), how) for plane in large]
    small = np.stack([np.asarray(plane) for plane in planes]).clip(0, 1)
    both = (torch.from_numpy(pixels[None] * 2 - 1) for pixels in (large, small))
    with torch.inference_mode():
        found, expected = (model(tmp_path).embed(images) for images in both)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_it_goes_the_way_of_every_encoder_and_is_saved_whole(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for number in range(6):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 40)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (tmp_path / "config.yaml").write_text(
        f"model: pretrained\narguments: {{name: {copy}, pooling: both}}\n"
        "images: {size: 32, channels: 1}\n"
    )
    encoder = tmp_path / "encoder"
    assert main(f"train {tmp_path}/config.yaml {tmp_path}/images {encoder}".split()) == 0
    for path in copy.iterdir():
        path.unlink()  # what was saved does not need it any more
    assert main(f"extract {encoder} {tmp_path}/images {tmp_path}/f.h5".split()) == 0
    assert Features.load(tmp_path / "f.h5").vectors.shape == (6, 32)
    assert load_encoder(encoder, "cpu").description.model == "pretrained"


def test_a_model_that_is_nowhere_is_refused_in_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="neither the folder of a model nor to be fetched") as told:
        model(folder / "none")
    assert "\n" not in str(told.value)
    with pytest.raises(UsageError, match=r"arguments\.name: give the folder"):
        build("pretrained", size=32, channels=3, arguments={}).fit(torch.zeros(1, 3, 32, 32))  # type: ignore[operator]


def test_without_the_library_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(importlib.import_module("sys").modules, "transformers", None)
    with pytest.raises(DataError, match=r"pip install 'replearn\[pretrained\]'"):
        model(Path("anywhere"))
