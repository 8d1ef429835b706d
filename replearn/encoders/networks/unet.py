"""A U-Net (Ronneberger et al. 2015, arXiv:1505.04597) around any encoder's convolutions.

The decoder gets the encoder's maps of every size.  Detail takes the short way over the large maps,
so the small ones are free for what is not detail.
"""

import itertools

import torch
from torch import Tensor, nn

from replearn.encoders.networks.architectures import (
    ARCHITECTURES,
    Convolutional,
    Maps,
    levels,
    pool,
)


class UNet(nn.Module):
    """Maps images to images through feature maps of all sizes."""

    def __init__(self, architecture: Convolutional, size: int, channels: int, width: int) -> None:
        """Build for images [N, channels, size, size].

        Raises:
            UsageError: `size` is not 8, 16, 32, ...
        """
        super().__init__()
        pair = ARCHITECTURES[architecture]
        convolutions = pair.convolutions(size, channels, width, normalised=True)
        image = torch.zeros(1, channels, size, size)
        self.stages = nn.ModuleList(_stages(convolutions, image))
        with torch.no_grad():
            maps = levels(self.stages.eval(), image)
        self.stages.train()
        widths = [map_.shape[1] for map_ in reversed(maps)]
        self.doublings = nn.ModuleList(
            _normalised(nn.ConvTranspose2d(inner, outer, 4, stride=2, padding=1, bias=False))
            for inner, outer in itertools.pairwise(widths)
        )
        self.meetings = nn.ModuleList(
            _normalised(nn.Conv2d(2 * outer, outer, 3, padding=1, bias=False))
            for outer in widths[1:]
        )
        self.last = (
            nn.Conv2d(widths[-1], channels, 3, padding=1)
            if maps[0].shape[-1] == size
            else nn.ConvTranspose2d(widths[-1], channels, 4, stride=2, padding=1)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map images [N, C, H, W] to as many of the same shape, of any values."""
        *larger, maps = levels(self.stages, images)
        for double, meet in zip(self.doublings, self.meetings, strict=True):
            maps = meet(torch.cat([double(maps), larger.pop()], dim=1))
        made: Tensor = self.last(maps)
        return made

    def pooled(self, images: Tensor, maps: Maps) -> Tensor:
        """Map images [N, C, H, W] to what is left of the encoder's maps, [N, D]; see `pool`."""
        return pool(self.stages, images, maps)


@torch.no_grad()
def _stages(convolutions: nn.Sequential, image: Tensor) -> list[nn.Sequential]:
    """Cut a chain of layers into chains after which the maps have another size."""
    stages: list[nn.Sequential] = []
    for layer in convolutions.eval():
        side, image = image.shape[-1], layer(image)
        if not stages or image.shape[-1] != side:
            stages.append(nn.Sequential())
        stages[-1].append(layer)
    return stages


def _normalised(convolution: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    return nn.Sequential(
        convolution, nn.BatchNorm2d(convolution.out_channels), nn.LeakyReLU(0.1, inplace=True)
    )
