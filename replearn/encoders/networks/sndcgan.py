"""The deeper pair of spectrally normalised GANs (Miyato et al. 2018, arXiv:1802.05957, table 3).

Each halving by a 4 x 4 convolution follows a 3 x 3 convolution at full resolution, and the
decoder ends in one; DCGAN has the halvings only.
"""

import itertools

from torch import nn

from replearn.encoders.networks.levels import SMALLEST, widths


def convolutions(size: int, channels: int, width: int, *, normalised: bool) -> nn.Sequential:
    """Map images [N, channels, size, size] to feature maps [N, up to 8 * width, 4, 4]."""
    levels = widths(size, width)
    layers: list[nn.Module] = []
    for level, (inner, outer) in enumerate(itertools.pairwise([channels, *levels])):
        layers += _convolution(inner, outer, 3, 1, normalised=normalised and level > 0)
        layers += _convolution(outer, outer, 4, 2, normalised=normalised)
    layers += _convolution(levels[-1], levels[-1], 3, 1, normalised=normalised)
    return nn.Sequential(*layers)


def _convolution(
    inner: int, outer: int, kernel: int, stride: int, *, normalised: bool
) -> list[nn.Module]:
    convolution = nn.Conv2d(inner, outer, kernel, stride, padding=1, bias=not normalised)
    normal = [nn.BatchNorm2d(outer)] if normalised else []
    return [convolution, *normal, nn.LeakyReLU(0.1, inplace=True)]


def decoder(size: int, channels: int, width: int, inputs: int) -> nn.Sequential:
    """Map vectors [N, inputs] to images [N, channels, size, size] in [-1, 1]."""
    levels = widths(size, width)[::-1]
    layers: list[nn.Module] = [
        nn.Linear(inputs, levels[0] * SMALLEST**2, bias=False),
        nn.Unflatten(1, (levels[0], SMALLEST, SMALLEST)),
        nn.BatchNorm2d(levels[0]),
        nn.LeakyReLU(0.1, inplace=True),
    ]
    for inner, outer in itertools.pairwise([*levels, levels[-1]]):
        layers.append(nn.ConvTranspose2d(inner, outer, 4, stride=2, padding=1, bias=False))
        layers += [nn.BatchNorm2d(outer), nn.LeakyReLU(0.1, inplace=True)]
    layers.append(nn.Conv2d(levels[-1], channels, 3, padding=1))
    return nn.Sequential(*layers, nn.Tanh())
