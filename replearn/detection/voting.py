"""Votes of the nearest neighbours: the weights of neighbours, and the scores of their concepts.

All scores are sparse: only concepts of a neighbour have one.  A row of -1 is no neighbour.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from replearn.arrays import Floats, Rows

Kind = Literal["union", "uniform", "rank", "similarity", "softmax", "gaussian"]


@dataclass(frozen=True)
class Vote:
    """A way of voting of nearest neighbours.

    Attributes:
        kind: `union`, or how much a neighbour weighs: a name in WEIGHTS.
        k: how many neighbours vote; for the union, at most.
        parameter: the exponent of `similarity`, the temperature of `softmax`.
        smoothing: number of further neighbours that vote as the prior; a concept that no
            neighbour shows still scores 0.
    """

    kind: Kind
    k: int
    parameter: float = 1.0
    smoothing: float = 0.0

    def scores(
        self, rows: Rows, distances: Floats, metric: str, concepts: sparse.csr_array
    ) -> sparse.csr_array:
        """Return the scores [M, L] in [0, 1].

        Args:
            rows: the neighbours of each image, nearest first [M, at least k].
            distances: to them, ascending.
            metric: of the distances, `cosine` or `l2`.
            concepts: of the indexed images, 0/1 [N, L].
        """
        rows = rows[:, : self.k]
        # Where there is no neighbour any number will do: it weighs nothing.
        distances = np.where(rows < 0, 0, distances[:, : self.k])
        if self.kind == "union":
            return union_scores(rows, concepts)
        weights = WEIGHTS[self.kind](squared_distances(distances, metric), metric, self.parameter)
        scores = weighted_scores(rows, weights, concepts)
        return _smooth(scores, concepts, self.k, self.smoothing) if self.smoothing else scores


def union_scores(rows: Rows, concepts: sparse.csr_array) -> sparse.csr_array:
    """Score each concept by 1 / rank of the first neighbour that shows it, [M, L].

    The original system names the union of the concepts of the first k neighbours, as a threshold
    between 1 / (k + 1) and 1 / k does with these scores, so tuning the threshold tunes k.

    Args:
        rows: the neighbours of each image, nearest first [M, k].
        concepts: of the indexed images, 0/1 [N, L].
    """
    count, width = rows.shape[1], concepts.shape[1]
    votes = sparse.coo_array(concepts[rows.ravel()])
    pairs, columns = votes.coords  # neighbour by neighbour, of each image the nearest first
    there = rows.ravel()[pairs] >= 0
    pairs, columns = pairs[there].astype(np.int64), columns[there]
    named, first = np.unique(pairs // count * width + columns, return_index=True)
    scores = 1.0 / (pairs[first] % count + 1)
    return sparse.csr_array((scores, np.divmod(named, width)), shape=(len(rows), width))


def weighted_scores(rows: Rows, weights: Floats, concepts: sparse.csr_array) -> sparse.csr_array:
    """Score each concept by the share of the neighbours' weight that shows it, [M, L].

    Args:
        rows: the neighbours of each image [M, k].
        weights: how much each of them counts, at least 0 [M, k].
        concepts: of the indexed images, 0/1 [N, L].
    """
    images, count = rows.shape
    there = rows >= 0
    weights = np.where(there, weights, 0)
    totals = weights.sum(axis=1, keepdims=True)
    # Where no neighbour weighs anything at all, each counts the same.
    alike = there / np.maximum(there.sum(axis=1, keepdims=True), 1)
    shares = np.divide(weights, totals, out=alike.astype(weights.dtype), where=totals > 0)
    starts = np.arange(0, rows.size + 1, count)
    votes = sparse.csr_array(
        (shares.ravel(), np.maximum(rows, 0).ravel(), starts), shape=(images, concepts.shape[0])
    )
    scores = sparse.csr_array(votes @ concepts)
    scores.eliminate_zeros()
    scores.sort_indices()  # once here; else every decision rule would sort a copy
    return scores


def _smooth(
    scores: sparse.csr_array, concepts: sparse.csr_array, k: int, smoothing: float
) -> sparse.csr_array:
    prior = frequencies(concepts)
    smooth = scores.copy()
    smooth.data = (k * scores.data + smoothing * prior[scores.indices]) / (k + smoothing)
    return smooth


def frequencies(concepts: sparse.csr_array) -> NDArray[np.float64]:
    """Return the share of the images that show each concept [L], for concepts 0/1 [N, L]."""
    return np.asarray(concepts.sum(axis=0, dtype=np.float64)) / max(concepts.shape[0], 1)


def squared_distances(distances: Floats, metric: str) -> Floats:
    """Return squared L2 distances [M, k]; for cosine, those between the normalised vectors."""
    return 2 * distances if metric == "cosine" else distances**2


def _uniform(squared: Floats, metric: str, parameter: float) -> Floats:
    return np.ones_like(squared)


def _by_rank(squared: Floats, metric: str, parameter: float) -> Floats:
    return np.broadcast_to(1 / np.arange(1, squared.shape[1] + 1), squared.shape)


def _by_similarity(squared: Floats, metric: str, parameter: float) -> Floats:
    """Weigh by the cosine where it is positive, or by the inverse of the distance, to a power."""
    if metric == "cosine":
        return np.asarray(np.maximum(1 - squared / 2, 0) ** parameter)
    # Relative to the nearest, which counts 1: copies of an image at distance 0 count alone.
    nearest = squared[:, :1]
    ratio = np.divide(nearest, squared, out=np.ones_like(squared), where=squared > nearest)
    return np.asarray(ratio ** (parameter / 2))


def _by_softmax(squared: Floats, metric: str, parameter: float) -> Floats:
    """Weigh by exp(cosine / T), or exp(-d^2 / 2 T), which is the same of normalised vectors."""
    farther = np.maximum(squared - squared[:, :1], 0)  # less only where there is no neighbour
    return np.asarray(np.exp(-farther / (2 * parameter)))


def _by_gaussian(squared: Floats, metric: str, parameter: float) -> Floats:
    """Weigh by a Gaussian as wide as the farthest of the k is far.

    So dense and sparse regions are treated alike (Zelnik-Manor and Perona, Self-tuning spectral
    clustering, NIPS 2004).
    """
    farthest = np.maximum(squared.max(axis=1, keepdims=True, initial=0), 1e-24)
    return np.asarray(np.exp(-squared / farthest))


WEIGHTS: dict[Kind, Callable[[Floats, str, float], Floats]] = {
    "uniform": _uniform,
    "rank": _by_rank,
    "similarity": _by_similarity,
    "softmax": _by_softmax,
    "gaussian": _by_gaussian,
}
