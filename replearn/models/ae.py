"""The plain autoencoder: reconstruction and nothing else, the AAE's nearest relative."""

from collections.abc import Iterator
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from replearn.networks import dcgan
from replearn.objective import Objective


class AE(Objective):
    """Encoder and decoder together: min_E,G  E_x |x - G(E(x))|^2."""

    def __init__(
        self,
        *,
        size: int = 64,
        channels: int = 1,
        latent_dim: int = 128,
        width: int = 32,
        layer: Literal["code", "convolution"] = "code",
    ) -> None:
        super().__init__()
        self.encoder = dcgan.Encoder(size, channels, width, latent_dim)
        self.layer = layer
        self.decoder = dcgan.decoder(size, channels, width, latent_dim)

    def players(self) -> dict[str, list[nn.Module]]:
        return {"autoencoder": [self.encoder, self.decoder]}

    def losses(self, images: Tensor, progress: float) -> Iterator[tuple[str, dict[str, Tensor]]]:
        yield (
            "autoencoder",
            {"reconstruction": F.mse_loss(self.decoder(self.encoder(images)), images)},
        )

    def embed(self, images: Tensor) -> Tensor:
        embeddings: Tensor = (
            self.encoder(images) if self.layer == "code" else self.encoder.pooled(images)
        )
        return embeddings

    def pictures(self, images: Tensor) -> dict[str, Tensor]:
        return {"reconstructions": self.decoder(self.encoder(images))}
