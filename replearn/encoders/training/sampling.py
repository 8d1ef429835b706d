"""Sampling: the images of each step's batch, and the crop of each.

A training batch depends on (seed, step) alone, so a resumed run continues the very same sequence
without anything stored.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from replearn.arrays import Rows

# A larger set is shuffled in two stages, so that what is read at one time lies close together on
# the disk.  Fixed, as the order of the images must not depend on the machine.
WHOLE = 8 * 2**30  # bytes
_BLOCK = 256  # images that are neighbours on the disk


_BLOCKS = 512  # of these are shuffled together


def to_device(numbers: np.ndarray[Any, Any], device: torch.device) -> Tensor:
    """Copy a few numbers to the device without waiting for what it has to do before."""
    return torch.from_numpy(numbers).to(device, non_blocking=True)


def rows_of(step: int, count: int, *, batch_size: int, seed: int, whole: bool = True) -> Rows:
    """Return which of `count` images make the batch of one step, [batch_size].

    Every epoch visits each image once in a new order; a batch may reach into the next epoch.

    Args:
        step: from 0.
        count: images in the set.
        batch_size: images in a batch.
        seed: of the training.
        whole: the set is shuffled at once, not in two stages.
    """
    epochs, places = np.divmod(step * batch_size + np.arange(batch_size), count)
    return np.concatenate(
        [
            _order(seed, epoch, count, whole)[places[epochs == epoch]]
            for epoch in np.unique(epochs).tolist()
        ]
    )


@lru_cache(maxsize=2)  # a batch reaches into two epochs at most, unless the set is tiny
def _order(seed: int, epoch: int, count: int, whole: bool) -> Rows:
    """Return the order of one epoch [count]."""
    random = np.random.default_rng([seed, epoch])
    if whole:
        return random.permutation(count)
    starts = random.permutation(np.arange(0, count, _BLOCK))
    groups = [starts[first : first + _BLOCKS] for first in range(0, len(starts), _BLOCKS)]
    rows = [(group[:, None] + np.arange(_BLOCK)).ravel() for group in groups]
    return np.concatenate([random.permutation(group[group < count]) for group in rows])


@dataclass(frozen=True)
class Views:
    """The view of each image in a batch: its crop, and whether it is mirrored.

    Attributes:
        crop: side of the square that is cut out, None for the whole image.
        top: first row of each square [N].
        left: first column of each square [N].
        mirrored: which images are mirrored, left to right [N]; None for none of them.
    """

    crop: int | None
    top: Rows
    left: Rows
    mirrored: np.ndarray[Any, np.dtype[np.bool_]] | None

    @classmethod
    def draw(
        cls, count: int, side: int, *, crop: int | None, flip: bool, seed: int, step: int
    ) -> "Views":
        """Draw the views of one step's `count` images of this side, half of them mirrored."""
        random = np.random.default_rng([seed, 1, step])
        room = side - (crop or side) + 1
        top, left = random.integers(0, room, count), random.integers(0, room, count)
        return cls(crop, top, left, random.random(count) < 0.5 if flip else None)

    def share(self, part: slice) -> "Views":
        """Return the views of some of the images."""
        mirrored = None if self.mirrored is None else self.mirrored[part]
        return Views(self.crop, self.top[part], self.left[part], mirrored)

    def of(self, pixels: Tensor) -> Tensor:
        """Return the view of each image [N, C, H, W], on their device, [N, C, crop, crop]."""
        if self.crop is not None:
            pixels = _cut(pixels, self.top, self.crop, axis=2)
            pixels = _cut(pixels, self.left, self.crop, axis=3)
        if self.mirrored is not None:
            mirrored = to_device(self.mirrored, pixels.device)
            pixels = torch.where(mirrored[:, None, None, None], pixels.flip(3), pixels)
        return pixels


def _cut(pixels: Tensor, first: Rows, length: int, *, axis: int) -> Tensor:
    """Return `length` rows (axis 2) or columns (axis 3) of each image, from a first of its own."""
    places = to_device(first[:, None] + np.arange(length), pixels.device)
    shape, wanted = [len(pixels), 1, 1, 1], list(pixels.shape)
    shape[axis] = wanted[axis] = length
    return pixels.gather(axis, places.reshape(shape).expand(wanted))
