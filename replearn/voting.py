"""Neighbours to scores: how strongly the images found near one speak for each concept.

All scores are sparse: only concepts of a neighbour get any.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Rows = NDArray[np.int64]
Distances = NDArray[np.floating[Any]]


def union_scores(rows: Rows, concepts: sparse.csr_array) -> sparse.csr_array:
    """Score each concept by 1 / rank of the first neighbour that shows it, [M, L].

    The seed names the union of the concepts of the first k neighbours.  That is what a threshold
    between 1 / (k + 1) and 1 / k does with these scores, so tuning the threshold tunes k.

    Args:
        rows: the neighbours of each image, nearest first [M, k].
        concepts: of the indexed images, 0/1 [N, L].
    """
    images, count = rows.shape
    ranks = np.tile(np.arange(1, count + 1), images)
    # The largest of several: walk from the farthest neighbour to the nearest and overwrite.
    shown = sparse.coo_array(concepts[rows.ravel()])
    pairs, columns = shown.coords
    image, score = pairs // count, 1.0 / ranks[pairs]
    order = np.lexsort((-score, columns, image))
    image, columns, score = image[order], columns[order], score[order]
    first = np.ones(len(image), dtype=bool)
    first[1:] = (image[1:] != image[:-1]) | (columns[1:] != columns[:-1])
    shape = (images, concepts.shape[1])
    return sparse.csr_array((score[first], (image[first], columns[first])), shape=shape)


def weighted_scores(
    rows: Rows, similarities: Distances, concepts: sparse.csr_array
) -> sparse.csr_array:
    """Score each concept by the share of the neighbours' similarity that shows it, [M, L].

    Args:
        rows: the neighbours of each image [M, k].
        similarities: how much each of them counts, at least 0 [M, k].
        concepts: of the indexed images, 0/1 [N, L].
    """
    images, count = rows.shape
    totals = similarities.sum(axis=1, keepdims=True)
    # Where no neighbour is similar at all, each counts the same.
    weights = np.divide(similarities, totals, out=np.full(rows.shape, 1 / count), where=totals > 0)
    starts = np.arange(0, rows.size + 1, count)
    votes = sparse.csr_array(
        (weights.ravel(), rows.ravel(), starts), shape=(images, concepts.shape[0])
    )
    return sparse.csr_array(votes @ concepts)


def similarities(distances: Distances, metric: str) -> Distances:
    """Turn the distances of neighbours [M, k] into weights of at least 0.

    Cosine: the cosine where it is positive.  L2: a Gaussian as wide as the farthest of the k is
    far, so that dense and sparse regions are treated alike.
    """
    if metric == "cosine":
        return np.maximum(1 - distances, 0)
    width = np.maximum(distances[:, -1:], 1e-12)
    return np.exp(-((distances / width) ** 2))


def scores(
    vote: str, rows: Rows, distances: Distances, metric: str, concepts: sparse.csr_array
) -> sparse.csr_array:
    """Return the scores [M, L] of one way to vote, `union` or `similarity`.

    Args:
        vote: which way.
        rows: the neighbours of each image, nearest first [M, k].
        distances: to them [M, k], ascending.
        metric: of the distances, `cosine` or `l2`.
        concepts: of the indexed images, 0/1 [N, L].
    """
    if vote == "union":
        return union_scores(rows, concepts)
    return weighted_scores(rows, similarities(distances, metric), concepts)
