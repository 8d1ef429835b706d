"""Embedding: the crop, the batch size and the device change nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from replearn.encoders.embedding import find_device
from replearn.encoders.encoder import (
    Encoder,
    load_encoder,
    save_encoder,
)
from replearn.errors import DataError
from tests.encoders.test_encoder import DESCRIPTION, PIXELS, embeddings, new_encoder


def test_embedding_takes_the_central_crop(folder: Path) -> None:
    encoder = new_encoder()
    whole = Encoder(encoder.model, replace(DESCRIPTION, size=16, crop=None))
    (expected,) = whole.embed(PIXELS[:, :, 2:18, 2:18])
    assert expected.dtype == np.float32
    assert np.array_equal(embeddings(encoder), expected)


@pytest.mark.parametrize("batch_size", [1, 3, 10])
def test_embeddings_do_not_depend_on_the_batch_size(batch_size: int) -> None:
    encoder = new_encoder()
    blocks = list(encoder.embed(PIXELS, batch_size=batch_size))
    assert [len(block) for block in blocks[:-1]] == [batch_size] * (len(blocks) - 1)
    np.testing.assert_allclose(np.concatenate(blocks), embeddings(encoder), atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_gives_the_embeddings_of_the_processor_batch_by_batch(folder: Path) -> None:
    expected = embeddings(load_encoder(folder, "cpu"))
    found = embeddings(load_encoder(folder, "cuda"), batch_size=3)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["cuda:99", "no-such-device", "hpu", "maia", "vulkan", ""])
def test_a_device_that_does_not_exist_is_refused_by_name(name: str, folder: Path) -> None:
    for ask in (lambda: find_device(name), lambda: load_encoder(folder, name)):
        with pytest.raises(DataError) as caught:
            ask()
        assert str(caught.value).startswith(f"device {name!r}: not usable here")
        assert str(caught.value).endswith("; give another, such as cpu")
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 130


def test_auto_is_a_device_that_works() -> None:
    assert find_device("cpu") == torch.device("cpu")
    assert torch.empty(1, device=find_device("auto")).numel() == 1


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
