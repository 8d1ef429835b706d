"""Batches: who comes when, which part of an image, and in which range."""

import numpy as np
import pytest
import torch

from replearn.batches import (
    Pixels,
    centre_crop,
    in_order,
    random_crop,
    to_float,
    training_batch,
)

SIDE = 7


def numbered(count: int) -> Pixels:
    """Return images of one pixel that holds the image's number."""
    return np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)


def landmarks(count: int) -> Pixels:
    """Return images whose first pixels tell where a crop was taken from."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.uint8)
    return np.broadcast_to(np.stack([rows, columns, 0 * rows + 9]), (count, 3, SIDE, SIDE))


def numbers(pixels: Pixels, steps: range, *, batch_size: int, seed: int = 0) -> list[int]:
    batches = [
        training_batch(pixels, step, batch_size=batch_size, seed=seed).flatten() for step in steps
    ]
    return [round(float(value + 1) * 127.5) for batch in batches for value in batch]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 7, 10])
def test_every_epoch_visits_each_image_once(batch_size: int) -> None:
    visited = numbers(numbered(10), range(30), batch_size=batch_size)
    epochs = [visited[start : start + 10] for start in range(0, len(visited) - 9, 10)]
    assert len(epochs) == 3 * batch_size
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == len(epochs), "each epoch has its own order"


def test_a_batch_depends_on_seed_and_step_only() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 1, 9, 9)).astype(np.uint8)

    def batch(step: int, seed: int) -> torch.Tensor:
        return training_batch(pixels, step, batch_size=4, seed=seed, crop=6)

    before = batch(5, seed=1)
    torch.manual_seed(99)
    batch(3, seed=2)
    assert torch.equal(batch(5, seed=1), before)
    assert not torch.equal(batch(6, seed=1), before)
    assert not torch.equal(batch(5, seed=2), before)


def test_the_order_does_not_depend_on_the_crop() -> None:
    pixels = np.broadcast_to(numbered(20), (20, 1, 8, 8))
    whole, cropped = (
        training_batch(pixels, 3, batch_size=4, seed=0, crop=crop)[:, 0, 0, 0] for crop in (None, 5)
    )
    assert torch.equal(whole, cropped)


def test_a_set_smaller_than_the_batch_is_one_batch() -> None:
    for step in range(5):
        visited = numbers(numbered(3), range(step, step + 1), batch_size=64)
        assert sorted(visited) == [0, 1, 2]


@pytest.mark.parametrize("crop", [1, 4, SIDE])
def test_a_random_crop_is_a_slice_within_the_image(crop: int) -> None:
    pixels = landmarks(600)
    crops = random_crop(pixels, crop, np.random.default_rng(0))
    assert crops.shape == (600, 3, crop, crop)
    places = [tuple(int(n) for n in image[:2, 0, 0]) for image in crops]
    for image, cut, (top, left) in zip(pixels, crops, places, strict=True):
        assert np.array_equal(cut, image[:, top : top + crop, left : left + crop])
    all_places = {(t, x) for t in range(SIDE - crop + 1) for x in range(SIDE - crop + 1)}
    assert set(places) == all_places, "every place comes up"


@pytest.mark.parametrize(("crop", "first"), [(1, 3), (3, 2), (5, 1), (6, 0), (SIDE, 0)])
def test_a_centre_crop_is_central(crop: int, first: int) -> None:
    cut = centre_crop(landmarks(2), crop)
    assert cut.shape == (2, 3, crop, crop)
    assert cut[0, :2, 0, 0].tolist() == [first, first]
    assert cut[0, :2, -1, -1].tolist() == [first + crop - 1] * 2


def test_without_a_crop_images_stay_whole() -> None:
    pixels = landmarks(2)
    assert np.array_equal(centre_crop(pixels, None), pixels)
    assert np.array_equal(random_crop(pixels, None, np.random.default_rng(0)), pixels)


def test_pixels_span_minus_1_to_1_exactly_and_none_is_lost() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    images = to_float(pixels)
    assert images.dtype == torch.float32
    assert torch.stack([images.min(), images.max()]).tolist() == [-1.0, 1.0]
    assert images[0, 0, [0, -1], [0, -1]].tolist() == [-1.0, 1.0]
    assert (((images + 1) * 127.5).round().to(torch.uint8).numpy() == pixels).all()


def test_pixels_that_must_not_be_written_are_left_as_they_are() -> None:
    pixels = numbered(4)
    pixels.flags.writeable = False
    to_float(pixels)
    assert pixels.ravel().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("batch_size", [1, 4, 10, 64])
def test_in_order_yields_every_image_once_in_its_order(batch_size: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 1, 6, 6)).astype(np.uint8)
    batches = list(in_order(pixels, batch_size=batch_size, crop=4))
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert torch.equal(torch.cat(batches), to_float(pixels[:, :, 1:5, 1:5]))
