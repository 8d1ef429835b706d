"""Encoders on disk: what is saved comes back, and what is no encoder is refused in one line."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from replearn.encoders.encoder import (
    Description,
    Encoder,
    load_encoder,
    read_description,
    save_encoder,
)
from replearn.encoders.training.trainer import seed_all
from replearn.errors import DataError, UsageError
from replearn.images.form import Form

DESCRIPTION = Description(
    model="sdae",
    arguments={"latent_dim": 8, "width": 4, "layer": "code"},
    size=20,
    channels=1,
    fit="pad",
    crop=16,
    identity="ae:0123456789abcdef",
    training={"steps": 5, "learning_rate": {"autoencoder": 0.001}},
)

PIXELS = np.random.default_rng(0).integers(0, 256, (10, 1, 20, 20)).astype(np.uint8)


def new_encoder(description: Description = DESCRIPTION) -> Encoder:
    seed_all(0)
    return Encoder(description.build().eval(), description)


def embeddings(encoder: Encoder, batch_size: int = 256) -> np.ndarray[Any, Any]:
    return np.concatenate(list(encoder.embed(PIXELS, batch_size=batch_size)))


def refusal(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_encoder(folder, "cpu")
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


def test_an_encoder_comes_back_as_it_was_saved(folder: Path) -> None:
    loaded = load_encoder(folder, "cpu")
    assert loaded.description == DESCRIPTION
    assert read_description(folder) == DESCRIPTION
    assert not loaded.model.training
    assert np.array_equal(embeddings(loaded), embeddings(new_encoder()))


def test_bits_and_range_of_the_images_are_kept_where_they_are_stated(folder: Path) -> None:
    assert not {"bits", "value_range"} & set(json.loads((folder / "encoder.json").read_text()))
    stated = replace(DESCRIPTION, bits=12, value_range=(-1.0, 1.0))
    save_encoder(folder, new_encoder(stated).model, stated)
    assert read_description(folder) == stated
    assert read_description(folder).form == Form(20, 1, "pad", 12, (-1.0, 1.0))


def test_a_folder_holds_weights_and_description_and_nothing_else(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "encoder.json",
        "encoder.safetensors",
    ]


def test_a_folder_that_is_missing_or_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "none", tmp_path / "empty"):
        assert "not an encoder folder" in refusal(path)


def test_an_unfinished_training_is_refused_with_the_remedy(folder: Path) -> None:
    (folder / "encoder.json").unlink()
    (folder / "checkpoint.pt").touch()
    assert "train --resume" in refusal(folder)


def test_missing_weights_are_refused(folder: Path) -> None:
    (folder / "encoder.safetensors").unlink()
    said = "encoder.safetensors: not found; train the encoder again with --overwrite"
    assert said in refusal(folder)


@pytest.mark.parametrize("length", [0, 4, 100, -1])
def test_damaged_weights_are_refused(length: int, folder: Path) -> None:
    path = folder / "encoder.safetensors"
    path.write_bytes(path.read_bytes()[:length])
    said = refusal(folder)
    assert "encoder.safetensors: damaged" in said
    assert said.endswith("; train the encoder again with --overwrite")


@pytest.mark.parametrize(
    "other", [{"model": "random"}, {"arguments": {"latent_dim": 9, "width": 4}}, {"channels": 3}]
)
def test_weights_of_another_model_are_refused(other: dict[str, Any], folder: Path) -> None:
    save_encoder(folder.parent, new_encoder(replace(DESCRIPTION, **other)).model, DESCRIPTION)
    assert "not this model's" in refusal(folder.parent)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state, name: {f"module.{k}": v for k, v in state.items()}, "missing (encoder."),
        (lambda state, name: state | {"more": state[name]}, "weights: 1 unknown (more); train"),
        (lambda state, name: state | {name: state[name][:1]}, "weights: 1 of another shape ("),
    ],
)
def test_weights_that_do_not_fit_are_named(
    change: Callable[[dict[str, torch.Tensor], str], dict[str, torch.Tensor]],
    said: str,
    folder: Path,
) -> None:
    path = folder / "encoder.safetensors"
    state = safetensors.torch.load_file(path)
    name = max(state, key=lambda name: len(state[name].shape))
    changed = change(state, name)
    safetensors.torch.save_file({k: v.contiguous().clone() for k, v in changed.items()}, path)
    assert said in refusal(folder)


@pytest.mark.parametrize(
    "content", ["", "{", '{"model": "sdae"', "[]", "3", "null", '{"model": 1}']
)
def test_a_damaged_description_is_refused(content: str, folder: Path) -> None:
    (folder / "encoder.json").write_text(content)
    said = refusal(folder)
    assert "encoder.json: damaged or not an encoder's" in said
    assert said.endswith("; train the encoder again with --overwrite")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "aee"}, "no model 'aee'; known: aae, bigan, "),
        ({"surplus": 1}, "made by another version of replearn, as it states surplus; use that"),
    ],
)
def test_a_description_of_something_unknown_is_refused(
    change: dict[str, Any], said: str, folder: Path
) -> None:
    path = folder / "encoder.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert said in refusal(folder)


def test_the_weights_are_no_pickle(folder: Path) -> None:
    header = (folder / "encoder.safetensors").read_bytes()
    assert header[8:9] == b"{"
    json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])


def test_what_works_on_the_processor_stays_there(folder: Path, tmp_path: Path) -> None:
    words = replace(DESCRIPTION, model="bovw", arguments={"words": 4}, crop=None)
    place = tmp_path / "bovw"
    place.mkdir()
    save_encoder(place, words.build(), words)
    # A device that every machine has, and on which nothing can be computed.
    assert load_encoder(folder, "meta").device.type == "meta"
    encoder = load_encoder(place, "meta")
    assert encoder.device.type == "cpu"
    assert embeddings(encoder).shape == (10, 5)


def test_transform_gives_all_embeddings_at_once() -> None:
    encoder = new_encoder()
    vectors = encoder.transform(PIXELS)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, embeddings(encoder))
    assert encoder.transform(PIXELS[:0]).shape == (0, vectors.shape[1])


@pytest.mark.parametrize(
    "pixels", [PIXELS.astype(np.float32), PIXELS[:, :, :16, :16], np.repeat(PIXELS, 3, axis=1)]
)
def test_pixels_of_another_form_are_refused(pixels: Any) -> None:
    with pytest.raises(DataError, match=r"where uint8 \[N, 1, 20, 20\] is expected"):
        new_encoder().transform(pixels)


def test_a_trained_encoder_is_not_fitted_again() -> None:
    with pytest.raises(UsageError, match=r"sklearn\.frozen\.FrozenEstimator"):
        new_encoder().fit(PIXELS)
    with pytest.raises(UsageError, match="cannot be fitted again"):
        make_pipeline(new_encoder(), StandardScaler()).fit(PIXELS)


def test_a_frozen_encoder_stands_in_a_pipeline() -> None:
    encoder = new_encoder()
    chain = make_pipeline(FrozenEstimator(encoder), StandardScaler()).fit(PIXELS)
    expected = StandardScaler().fit_transform(encoder.transform(PIXELS))
    np.testing.assert_allclose(chain.transform(PIXELS), expected, atol=1e-6)
