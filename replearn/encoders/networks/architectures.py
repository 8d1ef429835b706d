"""Encoders, decoders and critics' trunks of any architecture."""

from collections.abc import Iterable
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from replearn.encoders.networks import dcgan, dense, resnet, sndcgan
from replearn.encoders.networks.critic import Trunk, initialise

Convolutional = Literal["dcgan", "sndcgan", "resnet"]
Architecture = Literal[Convolutional, "dense"]
Maps = Literal["convolution", "levels"]
Layer = Literal["code", Maps]


class _Pair(Protocol):
    """The functions that the file of an architecture offers."""

    def convolutions(
        self, size: int, channels: int, width: int, *, normalised: bool
    ) -> nn.Sequential: ...

    def decoder(self, size: int, channels: int, width: int, inputs: int) -> nn.Sequential: ...


ARCHITECTURES: dict[Architecture, _Pair] = {
    "dcgan": dcgan,
    "sndcgan": sndcgan,
    "resnet": resnet,
    "dense": dense,
}


class Encoder(nn.Module):
    """Feature maps with batch normalisation, then one linear layer to the outputs."""

    def __init__(
        self, architecture: Architecture, size: int, channels: int, width: int, outputs: int
    ) -> None:
        """Build for images [N, channels, size, size] and vectors [N, outputs].

        Raises:
            UsageError: `size` is not 8, 16, 32, ..., which all but `dense` need.
        """
        super().__init__()
        pair = ARCHITECTURES[architecture]
        self.convolutions = pair.convolutions(size, channels, width, normalised=True)
        self.head = nn.Linear(_flat_width(self.convolutions, size, channels), outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Map images [N, C, H, W] to vectors [N, outputs]."""
        outputs: Tensor = self.head(self.convolutions(images).flatten(1))
        return outputs

    def pooled(self, images: Tensor, maps: Maps) -> Tensor:
        """Map images [N, C, H, W] to what is left of their feature maps, [N, D]; see `pool`.

        A linear probe finds more here than behind the linear layer, which keeps only what the
        decoder needs.
        """
        return pool(self.convolutions, images, maps)


class ImageTrunk(Trunk):
    """Feature maps without normalisation: in a critic it ties an image's verdict to the others."""

    def __init__(self, architecture: Architecture, size: int, channels: int, width: int) -> None:
        """Build for images [N, channels, size, size]."""
        super().__init__()
        pair = ARCHITECTURES[architecture]
        self.convolutions = pair.convolutions(size, channels, width, normalised=False)
        initialise(self.convolutions)
        self.outputs = _flat_width(self.convolutions, size, channels)

    def forward(self, images: Tensor) -> Tensor:
        """Map images [N, C, H, W] to features [N, outputs]."""
        maps: Tensor = self.convolutions(images)
        return maps.flatten(1)

    def pooled(self, images: Tensor, maps: Maps) -> Tensor:
        """Map images [N, C, H, W] to what is left of their feature maps, [N, D]; see `pool`."""
        return pool(self.convolutions, images, maps)


def decoder(
    architecture: Architecture, size: int, channels: int, width: int, inputs: int
) -> nn.Sequential:
    """Return a network from vectors [N, inputs] to images [N, channels, size, size] in [-1, 1].

    Raises:
        UsageError: `size` is not 8, 16, 32, ..., which all but `dense` need.
    """
    return ARCHITECTURES[architecture].decoder(size, channels, width, inputs)


def pool(convolutions: Iterable[nn.Module], images: Tensor, maps: Maps) -> Tensor:
    """Reduce feature maps of images [N, C, H, W] to few places, [N, D].

    The levels side by side are what Radford et al. 2015 (arXiv:1511.06434, section 5.1) read from
    a critic.  The maps of `dense` are one pixel and stay so.

    Args:
        convolutions: the layers, one after the other.
        images: to look at.
        maps: `convolution`, the averages of the last map over its quarters, or `levels`, of the
            last map of each size the maxima over 4 x 4 places.
    """
    kept = levels(convolutions, images)
    if maps == "convolution":
        return F.adaptive_avg_pool2d(kept[-1], min(2, kept[-1].shape[-1])).flatten(1)
    places = [F.adaptive_max_pool2d(m, min(4, m.shape[-1])).flatten(1) for m in kept]
    return torch.cat(places, dim=1)


def levels(convolutions: Iterable[nn.Module], images: Tensor) -> list[Tensor]:
    """Return the last feature map of each size, [N, C, H, W] each, the largest map first."""
    last: dict[int, Tensor] = {}
    seen = images
    for layer in convolutions:
        seen = layer(seen)
        if seen.ndim == 4:  # those of `dense` are vectors on the way
            last[seen.shape[-1]] = seen
    return list(last.values())


def _flat_width(convolutions: nn.Module, size: int, channels: int) -> int:
    """Return how many numbers the last feature map holds, by a look at it."""
    with torch.no_grad():
        maps: Tensor = convolutions.eval()(torch.zeros(1, channels, size, size))
    convolutions.train()
    return maps[0].numel()
