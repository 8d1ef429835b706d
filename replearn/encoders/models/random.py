"""An untrained network: the baseline that shows what training adds to an architecture.

Only the batch normalisation's statistics are measured on the images.  Without that the scores of
the baseline would be too low.
"""

from torch import Tensor

from replearn.encoders.contract import FittedEncoder
from replearn.encoders.networks.architectures import Architecture, Encoder, Layer
from replearn.encoders.networks.normalisation import measure_statistics


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

    def fit(self, images: Tensor, seed: int = 0) -> None:
        measure_statistics(self.encoder, images)

    def embed(self, images: Tensor) -> Tensor:
        if self.layer == "code":
            codes: Tensor = self.encoder(images)
            return codes
        return self.encoder.pooled(images, self.layer)
