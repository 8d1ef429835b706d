"""Pixels uint8 to what networks see: float [N, C, H, W] in [-1, 1], cropped if asked.

A training batch depends on (seed, step) alone, so a resumed run continues the very same sequence
without anything stored.
"""

import numpy as np
import torch
from torch import Tensor

from replearn.arrays import Pixels


def to_float(pixels: Pixels) -> Tensor:
    """Scale pixels uint8 [N, C, H, W] to float32 in [-1, 1]."""
    return to_unit_range(torch.from_numpy(np.array(pixels)))


def to_unit_range(pixels: Tensor) -> Tensor:
    """Scale pixels uint8 [N, C, H, W] to float32 in [-1, 1], where they are."""
    return pixels.float().div_(127.5).sub_(1.0)


def centre_crop(pixels: Pixels, crop: int | None) -> Pixels:
    """Return the central crop x crop of each image [N, C, H, W]; None leaves them whole."""
    if crop is None:
        return pixels
    top, left = (pixels.shape[2] - crop) // 2, (pixels.shape[3] - crop) // 2
    return pixels[:, :, top : top + crop, left : left + crop]
