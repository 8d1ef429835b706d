"""Diffusion as an encoder (Xiang et al. 2023, arXiv:2303.09769), in the form of flow matching.

A network sees mixtures of an image and noise, from the image alone to noise alone, and says where
the noise lies from the image (Lipman et al. 2022, arXiv:2210.02747).  That takes knowing what
images look like, and its feature maps of an image hold what it knows.  How much of the mixture is
noise it is not told, as it can see that (Sun et al. 2025, arXiv:2502.13129).  Xiang et al. read
maps inside large networks of an image with a little noise; here they are the encoder's, of the
image alone.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from replearn.encoders.contract import Codes, Objective
from replearn.encoders.grids import in_rows
from replearn.encoders.networks.architectures import Convolutional, Maps
from replearn.encoders.networks.unet import UNet

_STEPS = 50  # from noise to a sample
_SHARES = (0.2, 0.4, 0.6, 0.8)  # of noise in the mixtures that are shown


class Diffusion(Objective):
    """min_U  E |U((1 - t) x + t n) - (n - x)|^2,  n normal, t uniform in [0, 1].

    U learns the mean of n - x over all pairs that the mixture may be of.  Following -U from noise
    leads to an image, and mixture - t U(mixture) is the mean of the images that may be behind it,
    as far as the mixture shows t.
    """

    def __init__(
        self,
        *,
        size: int = 64,
        channels: int = 1,
        architecture: Convolutional = "sndcgan",
        width: int = 32,
        layer: Maps = "levels",
    ) -> None:
        super().__init__()
        self.denoiser = UNet(architecture, size, channels, width)
        self.shape = (channels, size, size)
        self.layer = layer

    def players(self) -> dict[str, list[nn.Module]]:
        return {"denoiser": [self.denoiser]}

    def losses(self, images: Tensor, progress: float) -> Iterator[tuple[str, dict[str, Tensor]]]:
        noise = torch.randn_like(images)
        share = torch.rand_like(images[:, :1, :1, :1])
        found = self.denoiser(torch.lerp(images, noise, share))
        yield "denoiser", {"velocity": F.mse_loss(found, noise - images)}

    def sample(self, noise: Tensor) -> Tensor:
        """Return the image [N, C, H, W] in [-1, 1] to which each noise leads, in Euler's steps."""
        mixtures = noise
        for _ in range(_STEPS):
            mixtures = mixtures - self.denoiser(mixtures) / _STEPS
        return mixtures.clamp(-1, 1)

    def denoise(self, mixtures: Tensor, share: float) -> Tensor:
        """Return what the network takes for the images behind mixtures with this share of noise."""
        images: Tensor = mixtures - share * self.denoiser(mixtures)
        return images.clamp(-1, 1)

    def embed(self, images: Tensor) -> Tensor:
        return self.denoiser.pooled(images, self.layer)

    def codes(self) -> Codes:
        return Codes(
            decode=lambda noise: self.sample(noise.reshape(-1, *self.shape)),
            draw=lambda images: torch.randn_like(images).flatten(1),
        )

    def grids(self, images: Tensor) -> dict[str, Tensor]:
        noise = torch.randn_like(images)
        some = images[:8]
        columns = [some]
        for share in _SHARES:
            mixtures = torch.lerp(some, noise[:8], share)
            columns += [mixtures.clamp(-1, 1), self.denoise(mixtures, share)]
        return {
            "denoised": torch.stack(columns, dim=1),
            "samples": in_rows(self.sample(noise)),
        }
