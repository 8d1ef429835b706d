"""The bidirectional GAN (Donahue et al. 2016, arXiv:1605.09782; Dumoulin et al. 2016).

A critic sees images with their codes, and has to tell (image, its code) from (what a code
generates, the code).  Where it cannot, encoder and generator invert each other.
"""

from collections.abc import Iterator

import torch.nn.functional as F
from torch import Tensor, nn

from replearn.encoders.contract import Codes, Objective
from replearn.encoders.grids import autoencoder_grids
from replearn.encoders.losses.adversarial import Adversary
from replearn.encoders.losses.priors import PRIORS, PriorName, compare
from replearn.encoders.networks.architectures import (
    Architecture,
    Encoder,
    ImageTrunk,
    Layer,
    decoder,
)
from replearn.encoders.networks.critic import PairTrunk
from replearn.encoders.networks.jacobian import conditioning
from replearn.encoders.networks.mlp import CodeTrunk


class BiGAN(Objective):
    """Encoder and generator against a critic of pairs, with z drawn from the prior.

    critic:       min_C    E_x -log C(x, E(x))       + E_z -log(1 - C(G(z), z))
    autoencoder:  min_E,G  E_x -log(1 - C(x, E(x)))  + E_z -log C(G(z), z)  + w E_x |x - G(E(x))|^2

    w > 0 is ALICE (Li et al. 2017, arXiv:1709.01215): without it the inverse is right in theory
    only.
    """

    def __init__(
        self,
        *,
        size: int = 64,
        channels: int = 1,
        architecture: Architecture = "dcgan",
        width: int = 32,
        latent_dim: int = 128,
        code_width: int = 64,
        critic_width: int = 512,
        prior: PriorName = "normal",
        reconstruction_weight: float = 0.0,
        adversary: Adversary = Adversary(r1=1.0),  # noqa: B008
        layer: Layer = "code",
    ) -> None:
        super().__init__()
        self.encoder = Encoder(architecture, size, channels, width, latent_dim)
        self.generator = decoder(architecture, size, channels, width, latent_dim)
        images = ImageTrunk(architecture, size, channels, width)
        self.critic = adversary.critic(
            PairTrunk(images, CodeTrunk(latent_dim, code_width), critic_width)
        )
        self.adversary = adversary
        self.prior = PRIORS[prior]
        self.reconstruction_weight = reconstruction_weight
        self.latent_dim = latent_dim
        self.layer = layer

    def players(self) -> dict[str, list[nn.Module]]:
        return {"critic": [self.critic], "autoencoder": [self.encoder, self.generator]}

    def losses(self, images: Tensor, progress: float) -> Iterator[tuple[str, dict[str, Tensor]]]:
        codes = self.encode(images)  # [N, D]
        for _ in range(self.adversary.critic_steps):
            drawn = self.prior.sample_like(codes)
            pairs = {"real": (images, codes), "fake": (self.generator(drawn), drawn)}
            yield "critic", self.adversary.critic_loss(self.critic, **pairs, progress=progress)

        # Encoder and generator are trained to exchange the labels of their pairs.
        terms = {
            "exchange": self.adversary.generator_loss(
                self.critic, **pairs, progress=progress, exchange=True
            )
        }
        if self.reconstruction_weight:
            error = F.mse_loss(self.generator(codes), images)
            terms["reconstruction"] = self.reconstruction_weight * error
        yield "autoencoder", terms

    def encode(self, images: Tensor) -> Tensor:
        """Return the code [N, D] of each image, on the support of the prior."""
        return self.prior.project(self.encoder(images))

    def embed(self, images: Tensor) -> Tensor:
        if self.layer == "code":
            return self.encode(images)
        return self.encoder.pooled(images, self.layer)

    def statistics(self, images: Tensor) -> dict[str, Tensor]:
        return compare(self.encode(images), self.prior) | conditioning(
            self.generator, self.draw(images)
        )

    def draw(self, images: Tensor) -> Tensor:
        """Return as many codes [N, D] from the prior as there are images."""
        return self.prior.sample_like(images.new_empty(len(images), self.latent_dim))

    def codes(self) -> Codes:
        return Codes(decode=self.generator, draw=self.draw, encode=self.encode)

    def grids(self, images: Tensor) -> dict[str, Tensor]:
        return autoencoder_grids(
            images, encode=self.encode, decode=self.generator, prior=self.prior
        )
