"""Projections of embeddings to the plane, and the points that stand for its regions."""

import importlib.util
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Vectors

_NEIGHBOURS = 15  # of UMAP


@dataclass(frozen=True)
class Projection:
    """Embeddings laid out in two dimensions.

    Attributes:
        points: one for each image, scaled to [0, 1], float64 [N, 2].
        method: how they were computed, for a caption.
    """

    points: NDArray[np.float64]
    method: str


def project(vectors: Vectors) -> Projection:
    """Project embeddings [N, D] to the plane: by UMAP if it is installed, else by PCA."""
    if importlib.util.find_spec("umap") is not None and len(vectors) > _NEIGHBOURS:
        return project_by_umap(vectors)
    return project_by_pca(vectors)


def project_by_umap(vectors: Vectors) -> Projection:
    """Project so that neighbours stay together (McInnes et al. 2018, arXiv:1802.03426)."""
    from umap import UMAP

    # With a seed UMAP runs in one thread, and warns unless that is asked for.
    points = UMAP(n_neighbors=_NEIGHBOURS, random_state=0, n_jobs=1).fit_transform(vectors)
    return Projection(_scaled(np.asarray(points, np.float64)), "UMAP")


def project_by_pca(vectors: Vectors) -> Projection:
    """Project to the first two principal components."""
    centred = np.asarray(vectors, np.float64) - np.mean(vectors, axis=0, dtype=np.float64)
    left, lengths, _ = np.linalg.svd(centred, full_matrices=False)
    points = np.zeros((len(vectors), 2))
    rank = min(2, left.shape[1])
    points[:, :rank] = left[:, :rank] * lengths[:rank]
    variance = (lengths**2).sum()
    share = (lengths[:2] ** 2).sum() / variance if variance > 0 else 0.0
    return Projection(
        _scaled(points), f"the first two principal components, {share:.0%} of the variance"
    )


def _scaled(points: NDArray[np.float64]) -> NDArray[np.float64]:
    low = points.min(axis=0)
    extent = np.maximum(points.max(axis=0) - low, 1e-12)
    return np.asarray((points - low) / extent, np.float64)


def find_representatives(points: NDArray[np.float64], cells: int) -> dict[tuple[int, int], int]:
    """Return the row of the point nearest the centre of each grid cell that has any points.

    Args:
        points: in [0, 1], [N, 2].
        cells: of the grid, in each direction.
    """
    cell = np.minimum((points * cells).astype(int), cells - 1)
    distance = np.linalg.norm(points * cells - cell - 0.5, axis=1)
    nearest: dict[tuple[int, int], int] = {}
    for row in np.argsort(-distance, kind="stable").tolist():
        nearest[int(cell[row, 0]), int(cell[row, 1])] = row  # the nearest comes last and stays
    return nearest
