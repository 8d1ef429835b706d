"""Pixels uint8 to what networks see, float [N, C, H, W] in [-1, 1], cropped if asked; and back."""

import numpy as np
import torch
from torch import Tensor

from replearn.arrays import Pixels


def scale_pixels(pixels: Pixels | Tensor) -> Tensor:
    """Scale pixels uint8 [...] to float32 in [-1, 1], on their device."""
    given = pixels if isinstance(pixels, Tensor) else torch.from_numpy(np.array(pixels))
    return given.float().div_(127.5).sub_(1.0)


def quantise_images(images: Tensor) -> Tensor:
    """Round images float [...] in [-1, 1] to pixels uint8; what lies outside is clipped."""
    return ((images.float().clamp(-1, 1) + 1) * 127.5).round().byte()


def centre_crop(pixels: Pixels, crop: int | None) -> Pixels:
    """Return the central crop x crop of each image [N, C, H, W]; None leaves them whole."""
    if crop is None:
        return pixels
    top, left = (pixels.shape[2] - crop) // 2, (pixels.shape[3] - crop) // 2
    return pixels[:, :, top : top + crop, left : left + crop]
