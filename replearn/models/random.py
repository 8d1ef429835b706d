"""An untrained network: the floor that says what training adds to an architecture.

Only the batch normalisation's statistics are measured on the images.  Without that the floor
would be lower than an untrained network deserves.
"""

import torch
from torch import Tensor, nn

from replearn.networks.convolutional import Architecture, Encoder, Layer
from replearn.objective import FittedEncoder


class Random(FittedEncoder):
    """The AAE's encoder with the weights that it starts from."""

    def __init__(
        self,
        *,
        size: int = 64,
        channels: int = 1,
        architecture: Architecture = "dcgan",
        width: int = 32,
        latent_dim: int = 128,
        layer: Layer = "code",
    ) -> None:
        super().__init__()
        self.encoder = Encoder(architecture, size, channels, width, latent_dim)
        self.layer = layer

    def fit(self, images: Tensor) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                layer.reset_running_stats()
                layer.momentum = None  # the plain average over the batches that follow
        self.train()
        with torch.no_grad():
            for batch in torch.split(images, 256):
                if len(batch) > 1:  # a unit of `dense` has no variance in a batch of one
                    self.encoder(batch)
        self.eval()

    def embed(self, images: Tensor) -> Tensor:
        if self.layer == "code":
            codes: Tensor = self.encoder(images)
            return codes
        return self.encoder.pooled(images, self.layer)
