"""Networks of each library: the same vectors as the library gives on its own."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from replearn.encoders.backbones.loading import build_backbone, load_backbone
from replearn.encoders.models import build
from replearn.encoders.models.pretrained import Pretrained
from replearn.encoders.preprocessing import scale_pixels
from replearn.errors import DataError, UsageError
from tests.encoders.backbones.tiny import (
    MAKERS,
    TOWERS,
    Networks,
    Tiny,
    clip,
    pictures,
    preprocessing,
)

Get = Callable[[str], Tiny]
TEXTS = ["pleural effusion", "a photo of a chest"]


@pytest.fixture(scope="module")
def tiny(networks: Networks, tmp_path_factory: pytest.TempPathFactory) -> Get:
    """Return a saved network by name, made once."""
    made: dict[str, Tiny] = {}

    def get(name: str) -> Tiny:
        if name not in made:
            torch.manual_seed(0)
            with torch.no_grad():
                made[name] = MAKERS[name](networks, tmp_path_factory.mktemp(name))
        return made[name]

    return get


def trained(side: int, **arguments: Any) -> Pretrained:
    model = build("pretrained", size=side, channels=3, arguments=arguments)
    assert isinstance(model, Pretrained)
    model.fit(torch.zeros(1, 3, side, side))
    return model


def images_of(side: int) -> torch.Tensor:
    stacked = np.stack([np.asarray(picture) for picture in pictures(side)])
    return scale_pixels(stacked.transpose(0, 3, 1, 2).copy())


@pytest.mark.parametrize("name", MAKERS)
def test_vectors_are_those_of_the_library_on_its_own_preprocessing(tiny: Get, name: str) -> None:
    network = tiny(name)
    for pooling in network.poolings:
        model = trained(network.side, name=str(network.folder), pooling=pooling)
        with torch.inference_mode():
            found = model.embed(images_of(network.side))
            expected = network.vectors(pictures(network.side), pooling)
        assert found.std() > 1e-3  # not all the same
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["clip", "open_clip_vit", "open_clip_like_biomedclip"])
def test_texts_are_those_of_the_library_too(tiny: Get, name: str) -> None:
    network = tiny(name)
    assert network.texts is not None
    with torch.inference_mode():
        found = trained(network.side, name=str(network.folder)).embed_text(TEXTS)
        expected = network.texts(TEXTS)
    assert (found[0] - found[1]).abs().max() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MAKERS)
def test_what_is_saved_is_built_again_without_its_folder(
    networks: Networks, tmp_path: Path, name: str
) -> None:
    torch.manual_seed(0)
    network = MAKERS[name](networks, tmp_path / "network")
    model = trained(network.side, name=str(network.folder))
    shutil.rmtree(network.folder)
    again = build("pretrained", size=network.side, channels=3, arguments={})
    again.load_state_dict(model.state_dict())
    images = images_of(network.side)
    with torch.inference_mode():
        torch.testing.assert_close(again.eval().embed(images), model.embed(images), rtol=0, atol=0)
        if network.texts:
            first, second = model.embed_text(TEXTS), again.embed_text(TEXTS)
            torch.testing.assert_close(first, second, rtol=0, atol=0)


@pytest.mark.parametrize("name", MAKERS)
def test_grey_images_are_repeated(tiny: Get, name: str) -> None:
    network = tiny(name)
    model = trained(network.side, name=str(network.folder))
    grey = images_of(network.side)[:, :1]
    with torch.inference_mode():
        found, expected = model.embed(grey), model.embed(grey.repeat(1, 3, 1, 1))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["clip", "open_clip_vit"])
def test_a_text_tower_is_left_out_where_it_is_not_wanted(tiny: Get, name: str) -> None:
    network = tiny(name)
    whole, half = (
        trained(network.side, name=str(network.folder), text=text) for text in (True, False)
    )
    count, less = (len(model.state_dict()) for model in (whole, half))
    assert less < count
    images = images_of(network.side)
    with torch.inference_mode():
        torch.testing.assert_close(half.embed(images), whole.embed(images), rtol=0, atol=0)
    with pytest.raises(UsageError, match=r"no text tower, or was trained with arguments\.text"):
        half.embed_text(TEXTS)
    other = trained(network.side, name=str(network.folder), pooling="mean")
    with pytest.raises(UsageError, match="mean has no texts; only head"):
        other.embed_text(TEXTS)


def test_without_the_crop_an_image_is_seen_whole(tiny: Get) -> None:
    network = tiny("dinov2")
    whole = trained(28, name=str(network.folder), crop=False)
    cropped = trained(32, name=str(network.folder))
    images = images_of(32)
    with torch.inference_mode():
        found, expected = whole.embed(images[..., 2:30, 2:30]), cropped.embed(images)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_small_images_are_said_to_be_enlarged(tiny: Get) -> None:
    with pytest.warns(UserWarning, match="16 px are enlarged to 32"):
        trained(16, name=str(tiny("dinov2").folder))


@pytest.mark.parametrize("name", ["convnext", "timm_cnn"])
def test_a_class_token_that_is_not_there_is_told(tiny: Get, name: str) -> None:
    network = tiny(name)
    with pytest.raises(UsageError, match=r"pooling: class, but the network has no class token"):
        trained(network.side, name=str(network.folder), pooling="class")


def test_a_head_that_nobody_trained_is_told(networks: Networks, tmp_path: Path) -> None:
    library = networks["transformers"]
    config = library.ViTConfig(
        image_size=28, patch_size=14, hidden_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    library.ViTModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    preprocessing(tmp_path, "ViTImageProcessor", size={"height": 28, "width": 28})
    with pytest.raises(UsageError, match="head, but the network has none that was trained"):
        trained(28, name=str(tmp_path))
    trained(28, name=str(tmp_path), pooling="class")


def test_a_file_of_weights_needs_the_name_of_its_architecture(
    networks: Networks, tiny: Get, tmp_path: Path
) -> None:
    for name, architecture in (("timm_vit", "test_vit"), ("timm_cnn", "test_resnet")):
        network = tiny(name)
        weights = network.folder / "model.safetensors"
        model = trained(network.side, name=str(weights), architecture=architecture)
        with torch.inference_mode():
            found = model.embed(images_of(network.side))
            expected = network.vectors(pictures(network.side), "head")
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        with pytest.raises(UsageError, match="'' is none of timm's"):
            trained(network.side, name=str(weights))
    weights = tiny("open_clip_vit").folder / "open_clip_model.safetensors"
    networks["open_clip"].add_model_config(_architecture(tmp_path))
    given = {"name": str(weights), "architecture": "tiny-towers"}
    model = trained(28, **given)
    images = images_of(28)
    assert model.backbone is not None
    assert model.backbone.library == "open_clip"
    assert model.embed(images).shape == (3, 12)
    with pytest.raises(UsageError, match="'ViT-none' is none of open_clip's"):
        trained(28, name=str(weights), library="open_clip", architecture="ViT-none")
    with pytest.raises(UsageError, match=r"is a file; transformers loads folders"):
        trained(28, name=str(weights), library="transformers")


def _architecture(folder: Path) -> Path:
    path = folder / "tiny-towers.json"
    path.write_text(json.dumps(TOWERS))
    return path


def test_weights_that_are_missing_are_told(networks: Networks, tmp_path: Path) -> None:
    torch.manual_seed(0)
    clip(networks, tmp_path)
    safetensors = __import__("safetensors.torch").torch
    state = safetensors.load_file(tmp_path / "model.safetensors")
    state.pop("visual_projection.weight")
    safetensors.save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(DataError, match=r"1 weights are missing \(visual_projection.weight\)"):
        load_backbone(str(tmp_path), library="auto", architecture="", text=True)


def test_a_recipe_that_its_library_cannot_build_is_told(tiny: Get) -> None:
    backbone = load_backbone(str(tiny("dinov2").folder), library="auto", architecture="", text=True)
    recipe = backbone.recipe()
    recipe["files"] = {}
    with pytest.raises(DataError, match="this version of transformers cannot build"):
        build_backbone(recipe)
