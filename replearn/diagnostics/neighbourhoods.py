"""Nearest neighbours, and all pairs that lie within a radius, of sets of any size.

Neighbours come from the library's exact search.  No engine returns everything within a radius of
its own for each vector, so pairs are looked for in tiles of two matrices; nothing of N x M is held.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Vectors
from replearn.neighbors.engine import Hits, Space, even_blocks

_TILE = 2048  # rows of either side at a time
_MEASURED = 2**25  # numbers of neighbours that are measured again at a time
_DOUBTFUL = 4  # neighbours that are looked at beyond those asked for
_NOISE = 4e-6  # of squared distances in float32, relative to the squared lengths of both vectors


class Pairs(NamedTuple):
    """Pairs of rows that lie near each other.

    Attributes:
        first: rows of the first set, int64 [P].
        second: rows of the second set, int64 [P].
        squares: their squared distances, float32 [P].
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    squares: NDArray[np.float32]


def nearest(vectors: Vectors, queries: Vectors, k: int) -> Hits:
    """Return the exact min(k, N) nearest vectors [N, D] of each query [M, D], by L2.

    The search knows distances to a few millionths of the vectors' lengths; those of what it finds
    are measured again, so that copies are at 0 and the order of close neighbours is right.
    """
    from replearn.neighbors.faiss_engine import build

    space = Space("l2", np.asarray(vectors.mean(axis=0), np.float32))
    hits = build(space, vectors, "Flat").search(queries, min(k + _DOUBTFUL, len(vectors)))
    distances = np.empty_like(hits.distances)
    most = max(_MEASURED // (hits.rows.shape[1] * vectors.shape[1]), 1)
    for some in even_blocks(len(queries), most):
        ours = np.asarray(queries[some], np.float32)[:, None]
        gaps = np.asarray(vectors[hits.rows[some].ravel()], np.float32)
        gaps = gaps.reshape(*hits.rows[some].shape, -1) - ours
        distances[some] = np.sqrt(np.einsum("nkd,nkd->nk", gaps, gaps))
    order = np.argsort(distances, axis=1, kind="stable")[:, : min(k, len(vectors))]
    rows = np.take_along_axis(hits.rows, order, axis=1)
    return Hits(np.take_along_axis(distances, order, axis=1), rows)


def nearest_others(vectors: Vectors, k: int) -> Hits:
    """Return the exact min(k, N - 1) nearest other vectors of each of a set [N, D], by L2.

    A copy of a vector is another one: what is left out is the row itself.
    """
    k = min(k, len(vectors) - 1)
    hits = nearest(vectors, vectors, k + 1)
    return hits.without(hits.rows == np.arange(len(vectors))[:, None], k)


def near_pairs(
    first: Vectors, second: Vectors, squared_radii: NDArray[np.floating]
) -> Iterator[Pairs]:
    """Yield, tile by tile, all pairs at most as far apart as the radius of the second one.

    A distance of float32 is known to a few millionths of the vectors' lengths; pairs in doubt count
    as near, so that copies lie within a radius of zero.

    Args:
        first: float [N, D].
        second: float [M, D].
        squared_radii: of each of the second set [M].
    """
    centre = np.asarray(second.mean(axis=0), np.float32)
    for rows in even_blocks(len(first), _TILE):
        ours = np.asarray(first[rows], np.float32) - centre
        our_squares = np.einsum("nd,nd->n", ours, ours)
        for columns in even_blocks(len(second), _TILE):
            theirs = np.asarray(second[columns], np.float32) - centre
            lengths = our_squares[:, None] + np.einsum("md,md->m", theirs, theirs)
            squares = ours @ theirs.T
            squares *= -2
            squares += lengths
            lengths *= -_NOISE
            lengths += squares
            near, far = np.nonzero(lengths <= squared_radii[columns])
            yield Pairs(near + rows.start, far + columns.start, np.maximum(lengths[near, far], 0))
