"""The generative adversarial network (Goodfellow et al. 2014), its critic used as an encoder.

To tell photographs from forgeries the critic has to know what photographs show; Radford et al.
2015 (arXiv:1511.06434, section 5.1) took its features for classification.
"""

from collections.abc import Iterator
from typing import Literal

from pydantic import PositiveFloat
from torch import Tensor, nn

from replearn.encoders.contract import Codes, Objective
from replearn.encoders.grids import generator_grids
from replearn.encoders.losses.adversarial import Adversary
from replearn.encoders.losses.clamping import clamping_penalty
from replearn.encoders.losses.priors import PRIORS, PriorName
from replearn.encoders.networks.architectures import Architecture, ImageTrunk, decoder
from replearn.encoders.networks.jacobian import conditioning


class GAN(Objective):
    """Generator against critic of images, with z drawn from the prior.

    critic:     min_C  E_x -log C(x) + E_z -log(1 - C(G(z)))
    generator:  min_G  E_z -log C(G(z))

    `clamping`, if given, adds the squared distance of the generator's gains from two bounds.
    """

    def __init__(
        self,
        *,
        size: int = 64,
        channels: int = 1,
        architecture: Architecture = "dcgan",
        width: int = 32,
        latent_dim: int = 128,
        prior: PriorName = "normal",
        adversary: Adversary = Adversary(r1=1.0),  # noqa: B008
        clamping: tuple[PositiveFloat, PositiveFloat] | None = None,
        layer: Literal["convolution", "levels", "features"] = "convolution",
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.generator = decoder(architecture, size, channels, width, latent_dim)
        self.critic = adversary.critic(ImageTrunk(architecture, size, channels, width))
        self.adversary = adversary
        self.prior = PRIORS[prior]
        self.clamping = clamping
        self.layer = layer

    def players(self) -> dict[str, list[nn.Module]]:
        return {"critic": [self.critic], "generator": [self.generator]}

    def losses(self, images: Tensor, progress: float) -> Iterator[tuple[str, dict[str, Tensor]]]:
        for _ in range(self.adversary.critic_steps):
            codes = self.draw(images)
            made = self.generator(codes)
            yield (
                "critic",
                self.adversary.critic_loss(self.critic, real=images, fake=made, progress=progress),
            )
        terms = {
            "adversarial": self.adversary.generator_loss(
                self.critic, fake=made, real=images, progress=progress
            )
        }
        if self.clamping:
            terms["clamping"] = clamping_penalty(self.generator, codes, self.clamping)
        yield "generator", terms

    def draw(self, images: Tensor) -> Tensor:
        """Return as many codes [N, D] from the prior as there are images."""
        return self.prior.sample_like(images.new_empty(len(images), self.latent_dim))

    def embed(self, images: Tensor) -> Tensor:
        if self.layer == "features":
            return self.critic.features(images)
        return self.critic.trunk.pooled(images, self.layer)

    def statistics(self, images: Tensor) -> dict[str, Tensor]:
        return conditioning(self.generator, self.draw(images))

    def codes(self) -> Codes:
        return Codes(decode=self.generator, draw=self.draw)

    def grids(self, images: Tensor) -> dict[str, Tensor]:
        codes = self.draw(images[:1].expand(32, -1, -1, -1))
        return generator_grids(codes, decode=self.generator, prior=self.prior)
