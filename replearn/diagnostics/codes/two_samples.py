"""Whether two samples come from one distribution: distances of the samples, each with its test.

The test is by permutation (Gretton et al. 2012, section 8.1): where both samples are of one
distribution, it makes no difference which vector belongs to which of them.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.distance import pdist, squareform

from replearn.arrays import Float64, Vectors
from replearn.diagnostics.estimates import (
    Estimate,
    blocks_of_rows,
    from_left_out,
    jackknife,
    mean_of,
    permutation_p,
)
from replearn.errors import UsageError

PERMUTATIONS = 199
_DIRECTIONS = 64
_EPOCHS = 100

Members = NDArray[np.bool_]  # which of the joined vectors [N + M] belong to a sample


def kernel_discrepancy(first: Vectors, second: Vectors, *, seed: int = 0) -> Estimate:
    """Return the squared maximum mean discrepancy of samples [N, D] and [M, D], without bias.

    Gretton et al. 2012 (JMLR 13, lemma 6), with the kernel exp(-|a - b|^2 / (2 s^2)), where s is
    the median distance of the vectors of both samples.  Where the distributions are the same, its
    expectation is 0, and it may be negative.

    Raises:
        UsageError: the vectors are not of one length.
    """
    joined = _joined(first, second)
    squares = squareform(pdist(joined, "sqeuclidean"))
    median = np.median(squares[np.triu_indices(len(joined), 1)])
    kernel = np.exp(-squares / (2 * (median or 1.0)))
    np.fill_diagonal(kernel, 0)  # no vector is compared with itself
    of_first = np.arange(len(joined)) < len(first)
    blocks = np.concatenate([blocks_of_rows(len(first)), blocks_of_rows(len(second), 1)])
    left_out = [
        _discrepancy(kernel, of_first & (blocks != block), ~of_first & (blocks != block))
        for block in range(blocks.max() + 1)
    ]
    value = _discrepancy(kernel, of_first, ~of_first)
    estimate = from_left_out(value, left_out, min(len(first), len(second)))
    p = permutation_p(
        lambda member: _discrepancy(kernel, member, ~member),
        len(first),
        len(second),
        permutations=PERMUTATIONS,
        seed=seed,
    )
    return replace(estimate, p=p)


def _discrepancy(kernel: Float64, first: Members, second: Members) -> float:
    """Return the unbiased squared discrepancy of two groups, from a kernel with diagonal 0."""
    of_first, of_second = first.astype(np.float64), second.astype(np.float64)
    n, m = of_first.sum(), of_second.sum()
    to_first, to_second = kernel @ of_first, kernel @ of_second
    within = to_first @ of_first / (n * (n - 1)) + to_second @ of_second / (m * (m - 1))
    return float(within - 2 * (to_first @ of_second) / (n * m))


def sliced_distance(first: Vectors, second: Vectors, *, seed: int = 0) -> Estimate:
    """Return the sliced Wasserstein-2 distance of samples [N, D] and [N, D].

    Bonneel et al. 2015; Kolouri et al. 2018 (arXiv:1804.01947): the root of the mean, over random
    directions, of the squared Wasserstein-2 distance of the projections.

    Raises:
        UsageError: the samples are not of one size, or their vectors not of one length.
    """
    if len(first) != len(second):
        raise UsageError(f"samples of {len(first)} and {len(second)} vectors: give as many of each")
    joined = _joined(first, second)
    lines = np.random.default_rng(seed).standard_normal((joined.shape[1], _DIRECTIONS))
    projected = joined @ (lines / np.linalg.norm(lines, axis=0))
    estimate = jackknife(_distance_on_lines, projected[: len(first)], projected[len(first) :])
    order = np.argsort(projected, axis=0, kind="stable").T
    ordered = np.take_along_axis(projected.T, order, axis=1)

    def distance(member: Members) -> float:
        of_first = member[order]
        one, other = (ordered[side].reshape(_DIRECTIONS, -1) for side in (of_first, ~of_first))
        return float(np.sqrt(((one - other) ** 2).mean()))

    p = permutation_p(distance, len(first), len(first), permutations=PERMUTATIONS, seed=seed)
    return replace(estimate, p=p)


def _distance_on_lines(first: Float64, second: Float64) -> float:
    """Return the distance of samples from their projections [N, directions]."""
    return float(np.sqrt(((np.sort(first, axis=0) - np.sort(second, axis=0)) ** 2).mean()))


def classifier_accuracy(first: Vectors, second: Vectors, *, seed: int = 0) -> Estimate:
    """Return how often a classifier tells which sample a vector is of, 1/2 by chance.

    Lopez-Paz and Oquab 2016 (arXiv:1610.06545): half of both samples train a network with one
    layer of 20 rectified units, for 100 passes, and the other half tests it.  The test is that of
    a fair coin.

    Args:
        first: a sample [N, D].
        second: another one [M, D], of about as many.
        seed: divides and initialises.

    Raises:
        UsageError: the vectors are not of one length.
    """
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    joined = _joined(first, second)
    labels = (np.arange(len(joined)) < len(first)).astype(int)
    learned, tested = np.array_split(np.random.default_rng(seed).permutation(len(joined)), 2)
    scaler = StandardScaler().fit(joined[learned])
    # One pass at a time: what is fitted in one call warns that it might still learn.
    network = MLPClassifier((20,), random_state=seed)
    for _ in range(_EPOCHS):
        network.partial_fit(scaler.transform(joined[learned]), labels[learned], classes=[0, 1])
    hits = network.predict(scaler.transform(joined[tested])) == labels[tested]
    p = float(stats.binom.sf(hits.sum() - 1, len(hits), 0.5))
    return replace(mean_of(hits).clipped(0, 1), p=p).against(0.5, "a guess")


def _joined(first: Vectors, second: Vectors) -> Float64:
    if first.shape[1] != second.shape[1]:
        raise UsageError(f"vectors of {first.shape[1]} and {second.shape[1]} numbers: not alike")
    return np.concatenate([first, second]).astype(np.float64)
