"""Patches from random places of random images."""

import torch
from torch import Tensor


def random_patches(images: Tensor, side: int, count: int, random: torch.Generator) -> Tensor:
    """Return patches [count, C * side * side] of images [N, C, H, W], drawn with replacement."""
    windows = images.unfold(2, side, 1).unfold(3, side, 1)
    number, _, rows, columns = windows.shape[:4]
    image, row, column = (
        torch.randint(limit, (count,), generator=random).to(images.device)
        for limit in (number, rows, columns)
    )
    return windows[image, :, row, column].flatten(1)
