"""The strided convolution pair of DCGAN (Radford et al. 2015, arXiv:1511.06434), any power of two.

The convolutions halve the image until 4 x 4 remain while the channels double, up to eight times
the width; the decoder mirrors them.
"""

import itertools

from torch import nn

from replearn.encoders.networks.levels import SMALLEST, widths


def convolutions(size: int, channels: int, width: int, *, normalised: bool) -> nn.Sequential:
    """Map images [N, channels, size, size] to feature maps [N, up to 8 * width, 4, 4]."""
    layers: list[nn.Module] = []
    for level, (inner, outer) in enumerate(itertools.pairwise([channels, *widths(size, width)])):
        # No normalisation on the pixels' own layer: it would remove their brightness.
        normal = normalised and level > 0
        layers.append(nn.Conv2d(inner, outer, 4, stride=2, padding=1, bias=not normal))
        layers += [nn.BatchNorm2d(outer)] if normal else []
        layers.append(nn.LeakyReLU(0.2, inplace=True))
    return nn.Sequential(*layers)


def decoder(size: int, channels: int, width: int, inputs: int) -> nn.Sequential:
    """Map vectors [N, inputs] to images [N, channels, size, size] in [-1, 1]."""
    levels = widths(size, width)[::-1]
    layers: list[nn.Module] = [
        nn.Linear(inputs, levels[0] * SMALLEST**2, bias=False),
        nn.Unflatten(1, (levels[0], SMALLEST, SMALLEST)),
        nn.BatchNorm2d(levels[0]),
        nn.LeakyReLU(0.2, inplace=True),
    ]
    for inner, outer in itertools.pairwise(levels):
        layers.append(nn.ConvTranspose2d(inner, outer, 4, stride=2, padding=1, bias=False))
        layers += [nn.BatchNorm2d(outer), nn.LeakyReLU(0.2, inplace=True)]
    layers.append(nn.ConvTranspose2d(levels[-1], channels, 4, stride=2, padding=1))
    return nn.Sequential(*layers, nn.Tanh())
