"""The adversarial autoencoder (Makhzani et al. 2015, arXiv:1511.05644).

An autoencoder reconstructs the images while a critic compares its codes with draws from a prior;
the encoder is asked to fool it, so the codes of all images together come to follow the prior.
"""

from collections.abc import Iterator
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from replearn.adversarial import call_fake, call_real
from replearn.networks import dcgan, mlp
from replearn.objective import Objective
from replearn.priors import PRIORS


class AAE(Objective):
    """Autoencoder against critic of codes, with z drawn from the prior.

    critic:       min_C    E_z -log C(z) + E_x -log(1 - C(E(x)))
    autoencoder:  min_E,G  E_x |x - G(E(x))|^2 + w E_x -log C(E(x))
    """

    def __init__(
        self,
        *,
        size: int = 64,
        channels: int = 1,
        latent_dim: int = 128,
        width: int = 32,
        critic_width: int = 512,
        prior: Literal["sphere", "normal", "uniform"] = "sphere",
        prior_weight: float = 0.01,
        layer: Literal["code", "convolution"] = "code",
    ) -> None:
        super().__init__()
        self.encoder = dcgan.Encoder(size, channels, width, latent_dim)
        self.decoder = dcgan.decoder(size, channels, width, latent_dim)
        self.critic = mlp.critic(latent_dim, critic_width)
        self.prior = PRIORS[prior]
        self.prior_weight = prior_weight
        self.layer = layer

    def players(self) -> dict[str, list[nn.Module]]:
        return {"critic": [self.critic], "autoencoder": [self.encoder, self.decoder]}

    def losses(self, images: Tensor, progress: float) -> Iterator[tuple[str, dict[str, Tensor]]]:
        codes = self.encode(images)  # [N, D]
        drawn = self.prior.sample_like(codes)

        # The critic must not train the encoder, hence the detach.
        judged = {
            "prior": call_real(self.critic(drawn)),
            "codes": call_fake(self.critic(codes.detach())),
        }
        yield "critic", judged

        # Mean, not sum, over pixels: the weight then means the same at every image size.
        fooled = {
            "reconstruction": F.mse_loss(self.decoder(codes), images),
            "prior": self.prior_weight * call_real(self.critic(codes)),
        }
        yield "autoencoder", fooled

    def encode(self, images: Tensor) -> Tensor:
        """Return the code [N, D] of each image, on the support of the prior."""
        return self.prior.project(self.encoder(images))

    def embed(self, images: Tensor) -> Tensor:
        return self.encode(images) if self.layer == "code" else self.encoder.pooled(images)

    def pictures(self, images: Tensor) -> dict[str, Tensor]:
        codes = self.encode(images)
        return {
            "reconstructions": self.decoder(codes),
            "samples": self.decoder(self.prior.sample_like(codes)),
        }
