"""The variational autoencoder (Kingma and Welling 2013, arXiv:1312.6114).

The encoder gives a normal distribution for each image, a draw from it is decoded, and the
distribution pays for every nat by which it differs from the prior.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from replearn.encoders.contract import Codes, Objective
from replearn.encoders.grids import autoencoder_grids
from replearn.encoders.losses.priors import PRIORS, compare
from replearn.encoders.networks.architectures import Architecture, Encoder, Layer, decoder
from replearn.encoders.networks.collective import mean_over_processes
from replearn.encoders.networks.full_precision import to_full_precision

_PIXEL_VARIANCE = 0.1  # of images in [-1, 1]


class VAE(Objective):
    """min_E,G  E |x - G(m + s e)|^2 + 2 v b sum_d max(f, KL_d) / P,  e normal, P pixels.

    (m, log s^2) = E(x);  KL_d = E (m_d^2 + s_d^2 - log s_d^2 - 1) / 2.

    This is the negative evidence bound with pixels of variance v = 0.1, scaled by 2 v / P so that
    the reconstruction is a mean over pixels as in the other models.  b is beta (Higgins et al.
    2017); f are the free bits, in nats, that each unit has for nothing (Kingma et al. 2016,
    arXiv:1606.04934, appendix C.8).
    """

    def __init__(
        self,
        *,
        size: int = 64,
        channels: int = 1,
        architecture: Architecture = "dcgan",
        width: int = 32,
        latent_dim: int = 128,
        beta: float = 1.0,
        free_bits: float = 0.0,
        layer: Layer = "code",
    ) -> None:
        super().__init__()
        self.encoder = Encoder(architecture, size, channels, width, 2 * latent_dim)
        self.decoder = decoder(architecture, size, channels, width, latent_dim)
        self.kl_weight = 2 * _PIXEL_VARIANCE * beta / (channels * size * size)
        self.free_bits = free_bits
        self.prior = PRIORS["normal"]
        self.latent_dim = latent_dim
        self.layer = layer

    def players(self) -> dict[str, list[nn.Module]]:
        return {"autoencoder": [self.encoder, self.decoder]}

    def losses(self, images: Tensor, progress: float) -> Iterator[tuple[str, dict[str, Tensor]]]:
        mean, log_variance = self.posterior(images)
        codes = _drawn(mean, log_variance)
        divergence = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1)  # [N, D]
        yield (
            "autoencoder",
            {
                "reconstruction": F.mse_loss(self.decoder(codes), images),
                # The mean over images comes first: a unit, not an image, has free bits.
                "kl": self.kl_weight
                * mean_over_processes(divergence).clamp_min(self.free_bits).sum(),
            },
        )

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance [N, D] of each image's distribution of codes."""
        mean, log_variance = to_full_precision(self.encoder(images)).chunk(2, dim=1)
        # Beyond this the exponential overflows in half precision, or the draw has no noise left.
        return mean, log_variance.clamp(-10, 10)

    def encode(self, images: Tensor) -> Tensor:
        """Return the mean code [N, D] of each image, never a draw."""
        return self.posterior(images)[0]

    def embed(self, images: Tensor) -> Tensor:
        if self.layer == "code":
            return self.encode(images)
        return self.encoder.pooled(images, self.layer)

    def statistics(self, images: Tensor) -> dict[str, Tensor]:
        mean, log_variance = self.posterior(images)
        return compare(mean, self.prior, drawn=_drawn(mean, log_variance))

    def draw(self, images: Tensor) -> Tensor:
        """Return as many codes [N, D] from the prior as there are images."""
        return self.prior.sample_like(images.new_empty(len(images), self.latent_dim))

    def codes(self) -> Codes:
        return Codes(
            decode=self.decoder,
            draw=self.draw,
            encode=self.encode,
            posterior=self.posterior,
            variance=_PIXEL_VARIANCE,
        )

    def grids(self, images: Tensor) -> dict[str, Tensor]:
        return autoencoder_grids(images, encode=self.encode, decode=self.decoder, prior=self.prior)


def _drawn(mean: Tensor, log_variance: Tensor) -> Tensor:
    return mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
