"""A small network that learns a teacher's features (Hinton et al. 2015, arXiv:1503.02531).

What is regressed are the features themselves, as in FitNets (Romero et al. 2014, arXiv:1412.6550),
brought to their principal components, so that networks of any width can teach.
"""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from replearn.arrays import Vectors
from replearn.encoders.contract import TaughtObjective
from replearn.encoders.networks.architectures import Architecture, Encoder
from replearn.errors import DataError

_SAMPLE = 10_000  # images whose features decide the principal components
_BLOCK = 8192  # images whose features are projected together


class Distilled(TaughtObjective):
    """min_E  E |E(x) - W (f(x) / |f(x)| - mean)|^2,  f the teacher, W its principal directions.

    The targets keep the teacher's angles but for a shift, so that neighbours stay neighbours; they
    are scaled to a mean square of 1.
    """

    def __init__(
        self,
        *,
        size: int = 64,
        channels: int = 1,
        architecture: Architecture = "dcgan",
        width: int = 32,
        latent_dim: int = 256,
        noise: float = 0.1,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(architecture, size, channels, width, latent_dim)
        self.latent_dim = latent_dim
        self.noise = noise

    def players(self) -> dict[str, list[nn.Module]]:
        return {"student": [self.encoder]}

    def aims(self, vectors: Vectors) -> Vectors:
        most = min(len(vectors), vectors.shape[1])
        if self.latent_dim > most:
            raise DataError(
                f"latent_dim {self.latent_dim}: the teacher's features of {len(vectors)} images "
                f"have no more than {most} principal components; lower it"
            )
        # Slow to import, and nothing that is trained needs it.
        from sklearn.decomposition import PCA

        rows = np.random.default_rng(0).permutation(len(vectors))[:_SAMPLE]
        solver = PCA(self.latent_dim, svd_solver="randomized", random_state=0)
        solver.fit(_directions(vectors[np.sort(rows)]))
        scale = np.sqrt(solver.explained_variance_.mean())
        starts = range(0, len(vectors), _BLOCK)
        parts = [solver.transform(_directions(vectors[s : s + _BLOCK])) for s in starts]
        aims: Vectors = (np.concatenate(parts) / scale).astype(np.float32, copy=False)
        return aims

    def losses(
        self, images: Tensor, targets: Tensor, progress: float
    ) -> Iterator[tuple[str, dict[str, Tensor]]]:
        seen = images + self.noise * torch.randn_like(images)
        yield "student", {"regression": F.mse_loss(self.embed(seen), targets)}

    def embed(self, images: Tensor) -> Tensor:
        vectors: Tensor = self.encoder(images)
        return vectors


def _directions(vectors: Vectors) -> Vectors:
    """Return vectors [N, T] at length 1, as float32."""
    rows = np.asarray(vectors, np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    directions: Vectors = rows / np.maximum(lengths, np.finfo(np.float32).tiny)
    return directions
