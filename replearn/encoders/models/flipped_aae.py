"""The flipped adversarial autoencoder (Zhang et al. 2018, arXiv:1802.04504): a GAN and its inverse.

A critic judges images, not codes, and what is reconstructed are codes, not images: an encoder
learns to tell from a generated image the code that it was made of.  It is the latent regressor of
Donahue et al. 2016, who let it be a player of its own (`joint_weight: 0`) or let the generator
help it (jointly; they found 0.25 good, and 1 degenerate).
"""

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from replearn.encoders.contract import Codes, Objective
from replearn.encoders.grids import autoencoder_grids
from replearn.encoders.losses.adversarial import Adversary
from replearn.encoders.losses.priors import PRIORS, PriorName, compare
from replearn.encoders.networks import two_level
from replearn.encoders.networks.architectures import (
    Architecture,
    Encoder,
    ImageTrunk,
    Layer,
    decoder,
)
from replearn.encoders.networks.critic import Trunk


class FlippedAAE(Objective):
    """Generator against critic of images, and an encoder of what is generated.

    critic:     min_C  E_x -log C(x) + E_z -log(1 - C(G(z)))
    generator:  min_G  E_z -log C(G(z)) + w E_z |z - E(G(z) + n)|^2
    encoder:    min_E  E_z |z - E(G(z) + n)|^2

    The two-level networks have no `architecture`; only the encoder then follows it.
    The noise n, of standard deviation `noise`, is as strong as the image: through less of it the
    encoder reads details that no photograph has, and the generator hides the code in them.
    """

    def __init__(
        self,
        *,
        size: int = 64,
        channels: int = 1,
        generator: Literal["two-level", "plain"] = "two-level",
        architecture: Architecture = "dcgan",
        width: int = 32,
        latent_dim: int = 128,
        prior: PriorName = "sphere",
        joint_weight: float = 0.25,
        noise: float = 1.0,
        adversary: Adversary = Adversary(r1=1.0),  # noqa: B008
        layer: Layer = "code",
    ) -> None:
        super().__init__()
        self.encoder = Encoder(architecture, size, channels, width, latent_dim)
        self.two_level = generator == "two-level"
        if self.two_level:
            self.generator: nn.Module = two_level.Generator(size, channels, width, latent_dim)
            trunk: Trunk = two_level.PyramidTrunk(size, channels, width)
        else:
            self.generator = decoder(architecture, size, channels, width, latent_dim)
            trunk = ImageTrunk(architecture, size, channels, width)
        self.critic = adversary.critic(trunk)
        self.latent_dim = latent_dim
        self.adversary = adversary
        self.prior = PRIORS[prior]
        self.joint_weight = joint_weight
        self.noise = noise
        self.layer = layer

    def players(self) -> dict[str, list[nn.Module]]:
        return {
            "critic": [self.critic],
            "generator": [self.generator],
            "encoder": [self.encoder],
        }

    def losses(self, images: Tensor, progress: float) -> Iterator[tuple[str, dict[str, Tensor]]]:
        real = two_level.pyramid(images) if self.two_level else (images,)
        for _ in range(self.adversary.critic_steps):
            drawn = self.draw(images)  # [N, D]
            made = self.generate(drawn)
            yield (
                "critic",
                self.adversary.critic_loss(self.critic, real=real, fake=made, progress=progress),
            )

        terms = {
            "adversarial": self.adversary.generator_loss(
                self.critic, fake=made, real=real, progress=progress
            )
        }
        if self.joint_weight:
            terms["latent"] = self.joint_weight * self._error(made[0], drawn)
        yield "generator", terms
        yield "encoder", {"latent": self._error(made[0].detach(), drawn)}

    def _error(self, made: Tensor, drawn: Tensor) -> Tensor:
        noisy = made + self.noise * torch.randn_like(made)
        return F.mse_loss(self.encode(noisy), drawn)

    def draw(self, images: Tensor) -> Tensor:
        """Return as many codes [N, D] from the prior as there are images."""
        return self.prior.sample_like(images.new_empty(len(images), self.latent_dim))

    def generate(self, codes: Tensor) -> tuple[Tensor, ...]:
        """Map codes [N, D] to all that the critic sees of an image, the image itself first."""
        made = self.generator(codes)
        return made if self.two_level else (made,)

    def encode(self, images: Tensor) -> Tensor:
        """Return the code [N, D] of each image, on the support of the prior."""
        return self.prior.project(self.encoder(images))

    def embed(self, images: Tensor) -> Tensor:
        if self.layer == "code":
            return self.encode(images)
        return self.encoder.pooled(images, self.layer)

    def statistics(self, images: Tensor) -> dict[str, Tensor]:
        return compare(self.encode(images), self.prior)

    def codes(self) -> Codes:
        return Codes(
            decode=lambda codes: self.generate(codes)[0], draw=self.draw, encode=self.encode
        )

    def grids(self, images: Tensor) -> dict[str, Tensor]:
        return autoencoder_grids(
            images,
            encode=self.encode,
            decode=lambda codes: self.generate(codes)[0],
            prior=self.prior,
        )
