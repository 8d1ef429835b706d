"""The strided convolution pair of DCGAN (Radford et al. 2015, arXiv:1511.06434), any power of two.

The encoder halves the image until 4 x 4 remain while the channels double, up to eight times the
width; the decoder mirrors it.
"""

import itertools

import torch.nn.functional as F
from torch import Tensor, nn

from replearn.errors import UsageError

_SMALLEST = 4  # side of the last feature map, as in the paper


class Encoder(nn.Module):
    """Strided convolutions, then one linear layer to the outputs."""

    def __init__(self, size: int, channels: int, width: int, outputs: int) -> None:
        """Build for images [N, channels, size, size] and vectors [N, outputs].

        Raises:
            UsageError: `size` is not 8, 16, 32, ...
        """
        super().__init__()
        widths = _widths(size, width)
        layers: list[nn.Module] = []
        for level, (inner, outer) in enumerate(itertools.pairwise([channels, *widths])):
            # No normalisation on the pixels' own layer: it would remove their brightness.
            layers.append(nn.Conv2d(inner, outer, 4, stride=2, padding=1, bias=level == 0))
            if level > 0:
                layers.append(nn.BatchNorm2d(outer))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        self.convolutions = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1] * _SMALLEST**2, outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Map images [N, C, H, W] to vectors [N, outputs]."""
        outputs: Tensor = self.head(self.convolutions(images).flatten(1))
        return outputs

    def pooled(self, images: Tensor) -> Tensor:
        """Map images [N, C, H, W] to the last feature map averaged to 2 x 2, [N, 4 * channels].

        A linear probe finds more here than behind the linear layer, which keeps only what the
        decoder needs.
        """
        return F.adaptive_avg_pool2d(self.convolutions(images), 2).flatten(1)


def decoder(size: int, channels: int, width: int, inputs: int) -> nn.Sequential:
    """Return a network from vectors [N, inputs] to images [N, channels, size, size] in [-1, 1].

    Raises:
        UsageError: `size` is not 8, 16, 32, ...
    """
    widths = _widths(size, width)[::-1]
    layers: list[nn.Module] = [
        nn.Linear(inputs, widths[0] * _SMALLEST**2, bias=False),
        nn.Unflatten(1, (widths[0], _SMALLEST, _SMALLEST)),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(inplace=True),
    ]
    for inner, outer in itertools.pairwise(widths):
        layers.append(nn.ConvTranspose2d(inner, outer, 4, stride=2, padding=1, bias=False))
        layers += [nn.BatchNorm2d(outer), nn.ReLU(inplace=True)]
    layers.append(nn.ConvTranspose2d(widths[-1], channels, 4, stride=2, padding=1))
    return nn.Sequential(*layers, nn.Tanh())


def _widths(size: int, width: int) -> list[int]:
    """Return the channels of each level, from the pixels down to 4 x 4."""
    levels = (size // _SMALLEST).bit_length() - 1
    if size < 2 * _SMALLEST or size != _SMALLEST << levels:
        raise UsageError(f"image size {size}: these networks need 8, 16, 32, 64, 128, ...")
    return [width * min(2**level, 8) for level in range(levels)]
