"""Embedding: the crop, the batch size and the device change nothing."""

import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from replearn.encoders.contract import Model
from replearn.encoders.embedding import embeddings as embeddings_of
from replearn.encoders.embedding import find_device
from replearn.encoders.encoder import (
    Encoder,
    load_encoder,
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


# Short memory


class Greedy(Model):
    """Embeds by the sum of the pixels, and fails with more than a few images."""

    def __init__(self, error: Exception, most: int) -> None:
        super().__init__()
        self.error, self.most = error, most
        self.held: list[weakref.ref[Tensor]] = []

    def embed(self, images: Tensor) -> Tensor:
        if len(images) > self.most:
            maps = images + 1  # as what the layers before the one that fails have made
            self.held.append(weakref.ref(maps))
            raise type(self.error)(*self.error.args)  # anew: one that is kept keeps its frames
        return images.flatten(1).sum(1, keepdim=True)


CPU = torch.device("cpu")
SHORT = (
    torch.OutOfMemoryError("Tried to allocate 20.00 GiB"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("GET was unable to find an engine to execute this computation"),
)


@pytest.mark.parametrize("error", SHORT, ids=str)
def test_a_batch_that_does_not_fit_is_halved_until_it_does(error: Exception) -> None:
    blocks = list(embeddings_of(Greedy(error, most=3), PIXELS, crop=None, device=CPU))
    assert [len(block) for block in blocks] == [2] * 5  # not 10 and not 5
    (expected,) = embeddings_of(Greedy(error, most=10), PIXELS, crop=None, device=CPU)
    assert np.array_equal(np.concatenate(blocks), expected)


def test_what_a_batch_that_did_not_fit_held_is_gone_when_memory_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, gone = Greedy(SHORT[0], most=3), []
    monkeypatch.setattr(
        torch.cuda, "empty_cache", lambda: gone.append([ref() is None for ref in model.held])
    )
    list(embeddings_of(model, PIXELS, crop=None, device=CPU))
    assert gone == [[True], [True, True]]


def test_memory_that_is_not_enough_for_one_image_is_said_with_its_cause() -> None:
    with pytest.raises(DataError, match=r"one image \(CUDA error: out of memory\)") as caught:
        list(embeddings_of(Greedy(SHORT[1], most=0), PIXELS, crop=None, device=CPU))
    assert "\n" not in str(caught.value)


def test_another_error_is_not_taken_for_short_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        list(embeddings_of(Greedy(RuntimeError("shapes"), most=3), PIXELS, crop=None, device=CPU))
