"""Preprocessing: the range of what networks see, the way back to pixels, and the central crop."""

import numpy as np
import pytest
import torch

from replearn.arrays import Pixels
from replearn.encoders.preprocessing import centre_crop, quantise_images, scale_pixels

SIDE = 7


def numbered(count: int) -> Pixels:
    """Return images of one pixel that holds the image's number."""
    return np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)


def landmarks(count: int) -> Pixels:
    """Return images whose first pixels tell where a crop was taken from."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.uint8)
    return np.broadcast_to(np.stack([rows, columns, 0 * rows + 9]), (count, 3, SIDE, SIDE))


@pytest.mark.parametrize(("crop", "first"), [(1, 3), (3, 2), (5, 1), (6, 0), (SIDE, 0)])
def test_a_centre_crop_is_central(crop: int, first: int) -> None:
    cut = centre_crop(landmarks(2), crop)
    assert cut.shape == (2, 3, crop, crop)
    assert cut[0, :2, 0, 0].tolist() == [first, first]
    assert cut[0, :2, -1, -1].tolist() == [first + crop - 1] * 2


def test_without_a_crop_images_stay_whole() -> None:
    pixels = landmarks(2)
    assert np.array_equal(centre_crop(pixels, None), pixels)


def test_pixels_span_minus_1_to_1_exactly_and_none_is_lost() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    images = scale_pixels(pixels)
    assert images.dtype == torch.float32
    assert torch.stack([images.min(), images.max()]).tolist() == [-1.0, 1.0]
    assert images[0, 0, [0, -1], [0, -1]].tolist() == [-1.0, 1.0]
    assert torch.equal(scale_pixels(torch.from_numpy(pixels)), images)
    assert np.array_equal(quantise_images(images).numpy(), pixels)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_images_become_the_nearest_pixels_and_what_lies_outside_is_clipped(
    dtype: torch.dtype,
) -> None:
    pixels = quantise_images(torch.tensor([-7, -1, -0.5, 0.25, 1, 1.01], dtype=dtype))
    assert pixels.dtype == torch.uint8
    assert pixels.tolist() == [0, 0, 64, 159, 255, 255]


def test_pixels_that_must_not_be_written_are_left_as_they_are() -> None:
    pixels = numbered(4)
    pixels.flags.writeable = False
    scale_pixels(pixels)
    assert pixels.ravel().tolist() == [0, 1, 2, 3]
