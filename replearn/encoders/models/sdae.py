"""The sparse denoising autoencoder (Vincent et al. 2010, JMLR 11:3371; L1 on the code).

It sees a noisy image and reconstructs the clean one, with few units of its code far from zero.
Without noise and sparsity it is the plain autoencoder.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from replearn.encoders.contract import Codes, Objective
from replearn.encoders.grids import autoencoder_grids
from replearn.encoders.networks.architectures import Architecture, Encoder, Layer, decoder
from replearn.encoders.networks.full_precision import to_full_precision


class SDAE(Objective):
    """min_E,G  E |x - G(E(x + n))|^2 + s E |E(x + n)|_1,  n normal with standard deviation `noise`.

    The units of the code have mean 0 and variance 1 over a batch: the decoder normalises what it
    gets, so the penalty could otherwise be escaped by making all codes small.
    """

    def __init__(
        self,
        *,
        size: int = 64,
        channels: int = 1,
        architecture: Architecture = "dcgan",
        width: int = 32,
        latent_dim: int = 128,
        noise: float = 0.2,
        sparsity: float = 1e-2,
        layer: Layer = "code",
    ) -> None:
        super().__init__()
        self.encoder = Encoder(architecture, size, channels, width, latent_dim)
        self.decoder = decoder(architecture, size, channels, width, latent_dim)
        self.standardise = nn.BatchNorm1d(latent_dim, affine=False)
        self.noise = noise
        self.sparsity = sparsity
        self.layer = layer

    def players(self) -> dict[str, list[nn.Module]]:
        return {"autoencoder": [self.encoder, self.decoder]}

    def losses(self, images: Tensor, progress: float) -> Iterator[tuple[str, dict[str, Tensor]]]:
        codes = self.encode(images + self.noise * torch.randn_like(images))  # [N, D]
        yield (
            "autoencoder",
            {
                "reconstruction": F.mse_loss(self.decoder(codes), images),
                # The mean over the code's units, so the weight means the same at every dimension.
                "sparsity": self.sparsity * to_full_precision(codes).abs().mean(),
            },
        )

    def encode(self, images: Tensor) -> Tensor:
        """Return the code [N, D] of each image."""
        codes: Tensor = self.standardise(self.encoder(images))
        return codes

    def embed(self, images: Tensor) -> Tensor:
        if self.layer == "code":
            return self.encode(images)
        return self.encoder.pooled(images, self.layer)

    def codes(self) -> Codes:
        return Codes(decode=self.decoder, encode=self.encode)

    def grids(self, images: Tensor) -> dict[str, Tensor]:
        return autoencoder_grids(images, encode=self.encode, decode=self.decoder)
