"""Residual pairs with pre-activation (He et al. 2016, arXiv:1603.05027) that halve and double.

In a block the signal passes unchanged but for its size and width, and two convolutions add to
it: the gradients of a deep pair stay healthy without care for the initial weights.
"""

import itertools

from torch import Tensor, nn

from replearn.encoders.networks.levels import SMALLEST, widths


class _Halving(nn.Module):
    """A residual block from [N, inner, H, W] to [N, outer, H / 2, W / 2]."""

    def __init__(self, inner: int, outer: int, *, normalised: bool) -> None:
        super().__init__()
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inner, outer, 1, bias=False))
        self.residual = nn.Sequential(
            *_activation(inner, normalised),
            nn.Conv2d(inner, outer, 3, padding=1, bias=not normalised),
            *_activation(outer, normalised),
            nn.Conv2d(outer, outer, 3, stride=2, padding=1),
        )

    def forward(self, maps: Tensor) -> Tensor:
        added: Tensor = self.shortcut(maps) + self.residual(maps)
        return added


class _Doubling(nn.Module):
    """A residual block from [N, inner, H, W] to [N, outer, 2 H, 2 W]."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.shortcut = nn.Sequential(nn.Conv2d(inner, outer, 1, bias=False), nn.Upsample(None, 2))
        self.residual = nn.Sequential(
            *_activation(inner, True),
            nn.Upsample(None, 2),
            nn.Conv2d(inner, outer, 3, padding=1, bias=False),
            *_activation(outer, True),
            nn.Conv2d(outer, outer, 3, padding=1),
        )

    def forward(self, maps: Tensor) -> Tensor:
        added: Tensor = self.shortcut(maps) + self.residual(maps)
        return added


def _activation(channels: int, normalised: bool) -> list[nn.Module]:
    # Not in place: the shortcut reads the same maps.
    return [*([nn.BatchNorm2d(channels)] if normalised else []), nn.ReLU()]


def convolutions(size: int, channels: int, width: int, *, normalised: bool) -> nn.Sequential:
    """Map images [N, channels, size, size] to feature maps [N, up to 8 * width, 4, 4]."""
    levels = widths(size, width)
    blocks = [
        _Halving(inner, outer, normalised=normalised)
        for inner, outer in itertools.pairwise([width, *levels])
    ]
    first = nn.Conv2d(channels, width, 3, padding=1)
    return nn.Sequential(first, *blocks, *_activation(levels[-1], normalised))


def decoder(size: int, channels: int, width: int, inputs: int) -> nn.Sequential:
    """Map vectors [N, inputs] to images [N, channels, size, size] in [-1, 1]."""
    levels = widths(size, width)[::-1]
    blocks = [_Doubling(inner, outer) for inner, outer in itertools.pairwise([*levels, width])]
    return nn.Sequential(
        nn.Linear(inputs, levels[0] * SMALLEST**2),
        nn.Unflatten(1, (levels[0], SMALLEST, SMALLEST)),
        *blocks,
        *_activation(width, True),
        nn.Conv2d(width, channels, 3, padding=1),
        nn.Tanh(),
    )
