"""The adversarial autoencoder (Makhzani et al. 2015, arXiv:1511.05644).

An autoencoder reconstructs the images while a critic compares its codes with draws from a prior;
the encoder is trained to deceive it, so the distribution of all codes approaches the prior.
"""

from collections.abc import Iterator
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from replearn.encoders.contract import Codes, Objective
from replearn.encoders.grids import autoencoder_grids
from replearn.encoders.losses.adversarial import Adversary
from replearn.encoders.losses.priors import PRIORS, PriorName, compare
from replearn.encoders.networks.architectures import Architecture, Encoder, Layer, decoder
from replearn.encoders.networks.mlp import CodeTrunk


class AAE(Objective):
    """Autoencoder against critic of codes, with z drawn from the prior.

    critic:       min_C    E_z -log C(z) + E_x -log(1 - C(E(x)))
    encoder:      min_E    w E_x -log C(E(x))
    autoencoder:  min_E,G  E_x |x - G(E(x))|^2

    The paper updates the three in turn (`moves: three`); with one optimiser for both of the
    encoder's losses (`moves: two`) the weight w, and not two learning rates, balances them.
    """

    def __init__(
        self,
        *,
        size: int = 64,
        channels: int = 1,
        architecture: Architecture = "dcgan",
        width: int = 32,
        latent_dim: int = 128,
        critic_width: int = 512,
        critic_depth: int = 2,
        prior: PriorName = "sphere",
        prior_weight: float = 0.01,
        moves: Literal["two", "three"] = "two",
        adversary: Adversary = Adversary(),  # noqa: B008
        layer: Layer = "code",
    ) -> None:
        super().__init__()
        self.encoder = Encoder(architecture, size, channels, width, latent_dim)
        self.decoder = decoder(architecture, size, channels, width, latent_dim)
        self.critic = adversary.critic(CodeTrunk(latent_dim, critic_width, critic_depth))
        self.adversary = adversary
        self.prior = PRIORS[prior]
        self.prior_weight = prior_weight
        self.moves = moves
        self.latent_dim = latent_dim
        self.layer = layer

    def players(self) -> dict[str, list[nn.Module]]:
        autoencoder: list[nn.Module] = [self.encoder, self.decoder]
        if self.moves == "two":
            return {"critic": [self.critic], "autoencoder": autoencoder}
        return {"critic": [self.critic], "encoder": [self.encoder], "autoencoder": autoencoder}

    def losses(self, images: Tensor, progress: float) -> Iterator[tuple[str, dict[str, Tensor]]]:
        codes = self.encode(images)  # [N, D]
        for _ in range(self.adversary.critic_steps):
            drawn = self.prior.sample_like(codes)
            yield (
                "critic",
                self.adversary.critic_loss(self.critic, real=drawn, fake=codes, progress=progress),
            )

        adversarial = self.prior_weight * self.adversary.generator_loss(
            self.critic, fake=codes, real=drawn, progress=progress
        )
        if self.moves == "two":
            yield (
                "autoencoder",
                {"reconstruction": self._error(codes, images), "prior": adversarial},
            )
        else:
            yield "encoder", {"prior": adversarial}
            # The encoder has been updated, so the codes are new ones.
            yield "autoencoder", {"reconstruction": self._error(self.encode(images), images)}

    def _error(self, codes: Tensor, images: Tensor) -> Tensor:
        # Mean, not sum, over pixels: the weight then means the same at every image size.
        return F.mse_loss(self.decoder(codes), images)

    def encode(self, images: Tensor) -> Tensor:
        """Return the code [N, D] of each image, on the support of the prior."""
        return self.prior.project(self.encoder(images))

    def embed(self, images: Tensor) -> Tensor:
        if self.layer == "code":
            return self.encode(images)
        return self.encoder.pooled(images, self.layer)

    def statistics(self, images: Tensor) -> dict[str, Tensor]:
        return compare(self.encode(images), self.prior)

    def draw(self, images: Tensor) -> Tensor:
        """Return as many codes [N, D] from the prior as there are images."""
        return self.prior.sample_like(images.new_empty(len(images), self.latent_dim))

    def codes(self) -> Codes:
        return Codes(decode=self.decoder, draw=self.draw, encode=self.encode)

    def grids(self, images: Tensor) -> dict[str, Tensor]:
        return autoencoder_grids(images, encode=self.encode, decode=self.decoder, prior=self.prior)
