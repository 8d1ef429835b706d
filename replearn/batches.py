"""Pixels uint8 to what networks see: float [N, C, H, W] in [-1, 1], cropped if asked.

A training batch depends on (seed, step) alone, so a resumed run continues the very same sequence
without anything stored.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def to_float(pixels: Pixels) -> Tensor:
    """Scale pixels uint8 [N, C, H, W] to float32 in [-1, 1]."""
    return torch.from_numpy(np.array(pixels)).float().div_(127.5).sub_(1.0)


def centre_crop(pixels: Pixels, crop: int | None) -> Pixels:
    """Return the central crop x crop of each image [N, C, H, W]; None leaves them whole."""
    if crop is None:
        return pixels
    top, left = (pixels.shape[2] - crop) // 2, (pixels.shape[3] - crop) // 2
    return pixels[:, :, top : top + crop, left : left + crop]


def random_crop(pixels: Pixels, crop: int | None, generator: np.random.Generator) -> Pixels:
    """Return a crop x crop of each image [N, C, H, W] at a place of its own."""
    if crop is None:
        return pixels
    count, _, height, width = pixels.shape
    top = generator.integers(0, height - crop + 1, count)
    left = generator.integers(0, width - crop + 1, count)
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (crop, crop), axis=(2, 3))
    return windows[np.arange(count), :, top, left]


def training_batch(
    pixels: Pixels, step: int, *, batch_size: int, seed: int, crop: int | None = None
) -> Tensor:
    """Return the batch of one step, float [min(batch_size, N), C, H, W].

    Every epoch visits each image once in a new order; a batch may reach into the next epoch.
    """
    count = len(pixels)
    batch_size = min(batch_size, count)
    positions = step * batch_size + np.arange(batch_size)
    epochs, places = np.divmod(positions, count)
    rows = np.concatenate(
        [
            np.random.default_rng([seed, epoch]).permutation(count)[places[epochs == epoch]]
            for epoch in np.unique(epochs).tolist()
        ]
    )
    return to_float(random_crop(pixels[rows], crop, np.random.default_rng([seed, 1, step])))


def in_order(pixels: Pixels, *, batch_size: int, crop: int | None = None) -> Iterator[Tensor]:
    """Yield all images in their order, float [<= batch_size, C, H, W], cropped centrally."""
    for start in range(0, len(pixels), batch_size):
        yield to_float(centre_crop(pixels[start : start + batch_size], crop))
