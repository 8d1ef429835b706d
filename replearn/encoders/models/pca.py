"""Principal components of the pixels: the best linear code for reconstruction."""

import torch
from torch import Tensor

from replearn.encoders.contract import FittedEncoder
from replearn.encoders.grids import autoencoder_grids
from replearn.errors import DataError


class PCA(FittedEncoder):
    """Projection of the centred pixels onto the directions of largest variance."""

    mean: Tensor
    components: Tensor

    def __init__(self, *, size: int = 64, channels: int = 1, latent_dim: int = 128) -> None:
        super().__init__()
        pixels = channels * size * size
        self.register_buffer("mean", torch.zeros(pixels))
        self.register_buffer("components", torch.zeros(latent_dim, pixels))

    def fit(self, images: Tensor, seed: int = 0) -> None:
        wanted, pixels = self.components.shape
        most = min(len(images), pixels)
        if wanted > most:
            raise DataError(
                f"latent_dim {wanted}: {len(images)} images of {pixels} values have no more than "
                f"{most} principal components; lower it or give more or larger images"
            )
        # Slow to import, and nothing that is fitted needs it.
        from sklearn.decomposition import PCA as ScikitPCA

        solver = ScikitPCA(wanted, svd_solver="randomized", random_state=seed)
        solver.fit(images.flatten(1).cpu().numpy())
        self.mean.copy_(torch.from_numpy(solver.mean_))
        self.components.copy_(torch.from_numpy(solver.components_))

    def embed(self, images: Tensor) -> Tensor:
        return (images.flatten(1) - self.mean) @ self.components.T

    def grids(self, images: Tensor) -> dict[str, Tensor]:
        def decode(codes: Tensor) -> Tensor:
            pixels = codes @ self.components + self.mean
            return pixels.clamp(-1, 1).reshape(-1, *images.shape[1:])

        return autoencoder_grids(images, encode=self.embed, decode=decode)
