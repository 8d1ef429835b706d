"""Scores of predicted concepts: arrays in, floats out.

The benchmark scores each image by the F1 of its predicted against its true set of concepts and
takes the mean over images.  No label space is fitted anywhere: a true concept that no matrix
column stands for still counts, through `counts`.

Example:
    >>> from scipy import sparse
    >>> truth = sparse.csr_array(np.array([[1, 1, 0], [0, 0, 1]]))
    >>> predicted = sparse.csr_array(np.array([[1, 0, 0], [0, 0, 1]]))
    >>> replearn.metrics.f1_per_image(truth, predicted, empty="skip").round(3)
    array([0.667, 1.   ])
    >>> round(replearn.metrics.mean_f1(truth, predicted, empty="skip"), 3)
    0.833
"""

from collections.abc import Hashable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from replearn.errors import DataError

EmptyRule = Literal["skip", "match"]
"""What an image without true concepts counts: nothing (`skip`) or as one more label (`match`)."""

# Indices drawn at a time by the bootstrap: 16 MiB of them, whatever the number of images.
_BLOCK = 2**22


def f1_of_sets(truth: AbstractSet[str], predicted: AbstractSet[str]) -> float:
    """Return F1 = 2 |G & P| / (|G| + |P|) of two sets; 1 for two empty ones."""
    total = len(truth) + len(predicted)
    return 2 * len(truth & predicted) / total if total else 1.0


def f1_per_image(
    truth: sparse.csr_array,
    predicted: sparse.csr_array,
    counts: NDArray[np.integer[Any]] | None = None,
    *,
    empty: EmptyRule,
) -> NDArray[np.float64]:
    """Return the F1 of each image, float64 [N].

    Args:
        truth: 0/1 matrix [N, L].
        predicted: 0/1 matrix [N, L] of the same images and concepts.
        counts: how many true concepts each image has [N], also outside the L columns; the row
            sums of `truth` by default.
        empty: what an image without any true concept scores.  `skip` (editions to 2020): NaN, it
            does not count.  `match` (since 2021): 1 if nothing is predicted, otherwise 0.

    Raises:
        DataError: the shapes differ.
    """
    if truth.shape != predicted.shape:
        raise DataError(f"truth {truth.shape} and prediction {predicted.shape} differ in shape")
    hits = _row_sums(truth.multiply(predicted))
    true = _row_sums(truth) if counts is None else np.asarray(counts, dtype=np.float64)
    if true.shape != hits.shape:
        raise DataError(f"{true.shape[0]} counts for {hits.shape[0]} images")
    total = true + _row_sums(predicted)
    scores = np.divide(2 * hits, total, out=np.ones_like(total), where=total > 0)
    if empty == "skip":
        scores[true == 0] = np.nan
    return scores


def _row_sums(matrix: Any) -> NDArray[np.float64]:
    return np.asarray(matrix.sum(axis=1), dtype=np.float64).reshape(-1)


def mean_score(scores: NDArray[np.float64]) -> float:
    """Return the mean of the scores [N] of images; those that do not count are NaN.

    Raises:
        DataError: no image counts.
    """
    return float(_counting(scores).mean())


def mean_f1(
    truth: sparse.csr_array,
    predicted: sparse.csr_array,
    counts: NDArray[np.integer[Any]] | None = None,
    *,
    empty: EmptyRule,
) -> float:
    """Return the mean over the images that count; the arguments are those of `f1_per_image`.

    Raises:
        DataError: the shapes differ, or no image counts.
    """
    return mean_score(f1_per_image(truth, predicted, counts, empty=empty))


def bootstrap_interval(
    scores: NDArray[np.float64],
    *,
    groups: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval (low, high) of the mean score over images.

    Args:
        scores: one for each image [N]; NaN images are left out.
        groups: the group of each image [N], as its patient: whole groups are drawn, as images of
            one group are not independent.
        confidence: share of the resampled means inside the interval, in (0, 1).
        resamples: how many times N images, or all groups, are drawn with replacement.
        seed: the same seed gives the same interval.

    Raises:
        DataError: no image counts.

    Source: B. Efron, Bootstrap methods: another look at the jackknife, 1979; groups as clusters in
    A. C. Davison, D. V. Hinkley, Bootstrap methods and their application, 1997, section 3.8.
    """
    sums = _counting(scores)
    counts = np.ones_like(sums)
    if groups is not None:
        _, number = np.unique(np.array(groups, dtype=str)[~np.isnan(scores)], return_inverse=True)
        sums, counts = (np.bincount(number, each).astype(np.float64) for each in (sums, counts))
    generator = np.random.default_rng(seed)
    size = len(sums)
    at_once = max(1, _BLOCK // size)
    means = np.empty(resamples)
    for start in range(0, resamples, at_once):
        block = means[start : start + at_once]
        drawn = generator.integers(0, size, size=(len(block), size), dtype=np.int32)
        block[:] = sums[drawn].mean(axis=1)
        if groups is not None:
            block /= counts[drawn].mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _counting(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    counting = scores[~np.isnan(scores)]
    if not len(counting):
        raise DataError("no image counts: none has a true concept; give a truth with concepts")
    return counting
