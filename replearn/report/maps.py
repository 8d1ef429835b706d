"""Embeddings in the plane: where each image lies, and which ones stand for a region."""

import importlib.util
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.floating]

_NEIGHBOURS = 15  # of UMAP


@dataclass(frozen=True)
class Projection:
    """Embeddings laid out in two dimensions.

    Attributes:
        places: of the images, scaled to [0, 1], float64 [N, 2].
        method: how they were found, for a caption.
    """

    places: NDArray[np.float64]
    method: str


def project(vectors: Vectors) -> Projection:
    """Return embeddings [N, D] in the plane: by UMAP where it is installed, else by PCA."""
    if importlib.util.find_spec("umap") is not None and len(vectors) > _NEIGHBOURS:
        return by_neighbourhood(vectors)
    return by_components(vectors)


def by_neighbourhood(vectors: Vectors) -> Projection:
    """Return embeddings where neighbours stay together (McInnes et al. 2018, arXiv:1802.03426)."""
    from umap import UMAP

    # One thread is what a seed costs, and said so in a warning otherwise.
    found = UMAP(n_neighbors=_NEIGHBOURS, random_state=0, n_jobs=1).fit_transform(vectors)
    return Projection(_scaled(np.asarray(found, np.float64)), "UMAP")


def by_components(vectors: Vectors) -> Projection:
    """Return embeddings by their first two principal components."""
    centred = np.asarray(vectors, np.float64) - np.mean(vectors, axis=0, dtype=np.float64)
    left, lengths, _ = np.linalg.svd(centred, full_matrices=False)
    places = np.zeros((len(vectors), 2))
    rank = min(2, left.shape[1])
    places[:, :rank] = left[:, :rank] * lengths[:rank]
    variance = (lengths**2).sum()
    share = (lengths[:2] ** 2).sum() / variance if variance > 0 else 0.0
    return Projection(
        _scaled(places), f"the first two principal components, {share:.0%} of the variance"
    )


def _scaled(places: NDArray[np.float64]) -> NDArray[np.float64]:
    low = places.min(axis=0)
    extent = np.maximum(places.max(axis=0) - low, 1e-12)
    return np.asarray((places - low) / extent, np.float64)


def standing_for(places: NDArray[np.float64], cells: int) -> dict[tuple[int, int], int]:
    """Return one point for each cell of a grid over the plane that has any, nearest its centre.

    Args:
        places: in [0, 1], [N, 2].
        cells: of the grid, in each direction.
    """
    cell = np.minimum((places * cells).astype(int), cells - 1)
    away = np.linalg.norm(places * cells - cell - 0.5, axis=1)
    chosen: dict[tuple[int, int], int] = {}
    for row in np.argsort(-away, kind="stable").tolist():
        chosen[int(cell[row, 0]), int(cell[row, 1])] = row  # the nearest comes last and stays
    return chosen
