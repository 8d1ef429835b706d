"""Numbers on features alone, without labels: rank, spread, dimension, hubs.

RankMe is that of Garrido et al. 2022 (arXiv:2210.02885), uniformity and alignment those of Wang and
Isola 2020 (arXiv:2005.10242), the intrinsic dimension by the two nearest neighbours that of Facco
et al. 2017 (arXiv:1803.06992), hubness that of Radovanovic et al. 2010 (JMLR 11).
"""

import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Float64, Vectors
from replearn.detection.probe import rank_of_spectrum
from replearn.diagnostics.estimates import (
    BLOCKS,
    Estimate,
    blocks_of_rows,
    from_left_out,
    jackknife,
    mean_of,
)
from replearn.diagnostics.neighbourhoods import nearest_others

_HUB_NEIGHBOURS = 10
_KEPT = 0.9  # of the ratios, for the dimension: the largest are far from locally uniform
_MOST = 3000  # rows for what compares all with all


def rankme(vectors: Vectors) -> Estimate:
    """Return how many directions features [N, D] fill, from 1 to min(N, D).

    Example:
        >>> round(rankme(np.random.default_rng(0).normal(size=(4000, 8))).value)
        8
    """
    rows = np.asarray(vectors, np.float64)
    wide = len(rows) < rows.shape[1]
    block = blocks_of_rows(len(rows))
    products = rows @ rows.T if wide else rows.T @ rows

    def rank(left_out: int) -> float:
        if wide:
            kept = block != left_out
            return rank_of_spectrum(np.linalg.eigvalsh(products[np.ix_(kept, kept)]))
        gone = rows[block == left_out]
        return rank_of_spectrum(np.linalg.eigvalsh(products - gone.T @ gone))

    found = [rank(number) for number in range(min(BLOCKS, len(rows)))]
    return from_left_out(rank(-1), found, len(rows)).clipped(1, min(rows.shape))


def to_sphere(vectors: Vectors) -> Float64:
    """Return the direction of each vector from the origin, of length 1; zero stays zero."""
    rows = np.asarray(vectors, np.float64)
    units: Float64 = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return units


def uniformity(vectors: Vectors) -> Estimate:
    """Return log E exp(-2 |u - v|^2) over pairs of directions: 0 if all agree, lower if spread.

    On the sphere in many dimensions D it approaches -4 from above, by 4 / D, where directions are
    spread evenly.

    Args:
        vectors: float [N, D]; of more than 3,000 as many are drawn.
    """
    units = to_sphere(_drawn(vectors))
    block = blocks_of_rows(len(units))
    kernel = np.exp(np.minimum(4 * (units @ units.T) - 4, 0))
    np.fill_diagonal(kernel, 0)
    member = np.eye(BLOCKS)[block]  # [N, B]
    sums, counts = member.T @ kernel @ member, member.sum(axis=0)

    def value(kept: NDArray[np.bool_]) -> float:
        n = counts[kept].sum()
        return float(np.log(max(sums[np.ix_(kept, kept)].sum() / (n * (n - 1)), 1e-300)))

    everything = np.ones(BLOCKS, bool)
    left_out = [value(np.arange(BLOCKS) != number) for number in range(BLOCKS)]
    return from_left_out(value(everything), left_out, len(units)).clipped(-np.inf, 0)


def alignment(vectors: Vectors, others: Vectors) -> Estimate:
    """Return the mean squared distance of the directions of two views of each image, 0 to 4.

    The baseline is that of views of different images.

    Args:
        vectors: features of images, float [N, D].
        others: features of other views of the same images, float [N, D].
    """
    ours, theirs = to_sphere(vectors), to_sphere(others)
    found = mean_of(np.square(ours - theirs).sum(axis=1)).clipped(0, 4)
    strangers = np.square(ours - np.roll(theirs, 1, axis=0)).sum(axis=1).mean()
    return found.against(float(strangers), "views of different images")


def intrinsic_dimension(vectors: Vectors) -> Estimate:
    """Return the dimension of the surface that features lie on, by two nearest neighbours.

    The ratio of the distances to the second and to the first neighbour follows a Pareto law whose
    exponent is the dimension; its line is fitted through the lower 90 % of the ratios.  Exact
    copies count once.  It is too low in many dimensions: N images cannot fill them.

    Args:
        vectors: float [N, D].
    """
    unique = np.unique(np.asarray(vectors, np.float32), axis=0)
    hits = nearest_others(unique, 2)
    if hits.distances.shape[1] < 2:
        return Estimate(0.0, 0.0, 0.0, len(unique))
    first, second = np.asarray(hits.distances, np.float64).T
    logs = np.log(second[first > 0] / first[first > 0])
    if len(logs) < 2 or not logs.any():
        return Estimate(0.0, 0.0, 0.0, len(unique))
    found = jackknife(_slope, logs)
    return found.clipped(0, np.inf)


def _slope(logs: Float64) -> float:
    """Return the slope through the origin of -log(1 - F) over the logarithm of the ratio."""
    ordered = np.sort(logs)
    kept = max(int(len(ordered) * _KEPT), 1)
    line = -np.log1p(-np.arange(1, len(ordered) + 1) / (len(ordered) + 1))
    x, y = ordered[:kept], line[:kept]
    return float((x @ y) / max(float(x @ x), 1e-30))


def hubness(vectors: Vectors, k: int = _HUB_NEIGHBOURS) -> dict[str, Estimate]:
    """Return the skewness of how often each image is a neighbour, and the share that never is.

    A few images that are neighbours of everything make searches useless; the skewness is about 0
    to 1 where there are none, and grows with the dimension.

    Args:
        vectors: float [N, D].
        k: neighbours of each image.
    """
    hits = nearest_others(vectors, k)
    block = blocks_of_rows(len(vectors))
    from_block = np.zeros((BLOCKS, len(vectors)))  # whose neighbour each image is, by block
    np.add.at(from_block, (np.repeat(block, hits.rows.shape[1]), hits.rows.ravel()), 1)
    counts = from_block.sum(axis=0)
    left_out = [(counts - part)[block != number] for number, part in enumerate(from_block)]
    n = len(vectors)
    return {
        "hubness": from_left_out(_skewness(counts), [_skewness(some) for some in left_out], n),
        "never_a_neighbour": from_left_out(
            float((counts == 0).mean()), [float((some == 0).mean()) for some in left_out], n
        ).clipped(0, 1),
    }


def _skewness(counts: Float64) -> float:
    spread = counts - counts.mean()
    deviation = spread.std()
    return float((spread**3).mean() / deviation**3) if deviation > 0 else 0.0


def _drawn(vectors: Vectors) -> Vectors:
    if len(vectors) <= _MOST:
        return vectors
    rows = np.random.default_rng(0).choice(len(vectors), _MOST, replace=False)
    return np.asarray(vectors[np.sort(rows)])
