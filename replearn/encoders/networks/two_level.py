"""A generator that draws each image at two sizes, and the trunk of a critic that sees both.

After the seed's networks for its flipped AAE: the image and one of a quarter of its side come from
the same maps, so the coarse image guides the fine one and training is more stable than on one size.
"""

import itertools
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from replearn.encoders.networks.critic import Trunk, initialise
from replearn.encoders.networks.levels import SMALLEST, widths
from replearn.errors import UsageError

Pyramid = tuple[Tensor, Tensor]


def pyramid(images: Tensor) -> Pyramid:
    """Return images [N, C, H, W] and their 4 x 4 averages [N, C, H / 4, W / 4]."""
    return images, F.avg_pool2d(images, 4)


class _PixelNorm(nn.Module):
    """Scales each pixel's vector to unit mean square (Karras et al. 2017, section 4.2)."""

    def forward(self, maps: Tensor) -> Tensor:
        scale = torch.rsqrt(maps.square().mean(1, keepdim=True) + 1e-8)
        return maps * scale.to(maps.dtype)  # which autocast makes float32 on a GPU


class Generator(nn.Module):
    """Maps codes [N, inputs] to an image in [-1, 1] at full and at quarter size."""

    def __init__(self, size: int, channels: int, width: int, inputs: int) -> None:
        """Build for images of `size` >= 16.

        Raises:
            UsageError: `size` is not 16, 32, ...
        """
        super().__init__()
        levels = _levels(size, width)
        top = levels[-1]
        self.start = nn.Sequential(
            nn.Linear(inputs, top * SMALLEST**2),
            nn.LeakyReLU(0.2),
            nn.Unflatten(1, (top, SMALLEST, SMALLEST)),
        )
        self.coarse = nn.Sequential(*_doublings(levels[:1:-1]))
        self.fine = nn.Sequential(*_doublings(levels[2::-1]))
        self.small = nn.Sequential(nn.Conv2d(levels[2], channels, 1), nn.Tanh())
        self.large = nn.Sequential(nn.Conv2d(levels[0], channels, 1), nn.Tanh())

    def forward(self, codes: Tensor) -> Pyramid:
        """Return images [N, C, size, size] and [N, C, size / 4, size / 4]."""
        maps = self.coarse(self.start(codes))
        return self.large(self.fine(maps)), self.small(maps)


def _doublings(levels: list[int]) -> Iterator[nn.Module]:
    for inner, outer in itertools.pairwise(levels):
        # The seed's kernel of 3 overlaps unevenly at stride 2, which draws a checkerboard.
        yield nn.ConvTranspose2d(inner, outer, 4, stride=2, padding=1)
        yield from (_PixelNorm(), nn.LeakyReLU(0.2))
        yield nn.Conv2d(outer, outer, 3, padding=1)
        yield from (_PixelNorm(), nn.LeakyReLU(0.2))


class PyramidTrunk(Trunk):
    """The features of a critic that sees an image at full and at quarter size."""

    def __init__(self, size: int, channels: int, width: int) -> None:
        """Build for images of `size` >= 16.

        Raises:
            UsageError: `size` is not 16, 32, ...
        """
        super().__init__()
        levels = _levels(size, width)
        self.fine = nn.Sequential(*_halvings([channels, *levels[1:3]]))
        self.small = nn.Sequential(nn.Conv2d(channels, levels[1], 1), nn.LeakyReLU(0.2))
        self.coarse = nn.Sequential(*_halvings([levels[2] + levels[1], *levels[3:]]))
        initialise(self)
        last = [levels[2] + levels[1], *levels[3:]][-1]
        self.outputs = last * SMALLEST**2

    def forward(self, images: Tensor, small: Tensor) -> Tensor:
        """Map images [N, C, size, size] and [N, C, size / 4, size / 4] to features."""
        maps = torch.cat([self.fine(images), self.small(small)], dim=1)
        features: Tensor = self.coarse(maps)
        return features.flatten(1)


def _halvings(levels: list[int]) -> Iterator[nn.Module]:
    for inner, outer in itertools.pairwise(levels):
        yield from (nn.Conv2d(inner, outer, 3, stride=2, padding=1), nn.LeakyReLU(0.2))
        yield from (nn.Conv2d(outer, outer, 3, padding=1), nn.LeakyReLU(0.2))


def _levels(size: int, width: int) -> list[int]:
    """Return the channels from the pixels (at full size) down to 4 x 4."""
    depth = len(widths(size, width))
    if depth < 2:
        raise UsageError(f"image size {size}: the two-level networks need 16, 32, 64, 128, ...")
    return [width * 2 ** min(level, 4) for level in range(depth + 1)]
