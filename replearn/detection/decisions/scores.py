"""Scored images, their scores in blocks, dense or sparse, and naming the highest of each image.

The concepts named for an image are nearly always a prefix of its concepts in the order of their
scores, so most rules need its sorted scores alone, without their columns: sorting float32 numbers
is twenty times as fast as finding their order.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special

from replearn.arrays import Floats, Integers
from replearn.errors import DataError
from replearn.metrics import EmptyRule, f1_per_image

Scores = NDArray[np.floating[Any]] | sparse.csr_array

# Scores in a block: 1 MiB of float32, so that intermediate results stay in the CPU's cache.
_BLOCK = 2**18
_NEAREST = 1e-6  # distance from 0 and 1 of the probabilities that have logits


@dataclass(frozen=True)
class ScoredImages:
    """Scores of images with their truth and how it counts: all that a rule is fitted on.

    Attributes:
        scores: [N, L], dense or sparse; only positive ones can be named.
        truth: 0/1 [N, L].
        counts: true concepts of each image [N], also those outside the L columns.
        empty: what an image without true concepts counts, see `metrics.f1_per_image`.
        limit: at most this many concepts for an image, those of the highest scores.
    """

    scores: Scores
    truth: sparse.csr_array
    counts: Integers
    empty: EmptyRule
    limit: int | None = None

    @property
    def counting(self) -> NDArray[np.bool_]:
        """The mask of the images that count in the mean [N]."""
        return self.counts > 0 if self.empty == "skip" else np.ones(len(self.counts), dtype=bool)

    def take(self, images: NDArray[np.intp]) -> "ScoredImages":
        """Return the part of these images."""
        scores, truth = self.scores[images], sparse.csr_array(self.truth[images])
        return replace(self, scores=scores, truth=truth, counts=self.counts[images])

    def f1(self, named: sparse.csr_array) -> NDArray[np.float64]:
        """Return the F1 of each image [N] for the concepts named; NaN where it does not count."""
        return f1_per_image(self.truth, named, self.counts, empty=self.empty)


def check_scoring(empty: str, limit: int | None) -> None:
    """Refuse a scoring that is not known: what an image without true concepts counts, the limit.

    Raises:
        DataError: `empty` is no EmptyRule, or `limit` no number of concepts.
    """
    if empty not in get_args(EmptyRule):
        raise DataError(f"empty {empty!r}: give one of {', '.join(get_args(EmptyRule))}")
    check_limit(limit)


def check_limit(limit: int | None) -> None:
    """Refuse what is no number of concepts.

    Raises:
        DataError: it is neither None nor a whole number of at least 0.
    """
    if limit is not None and not (isinstance(limit, Integral) and limit >= 0):
        raise DataError(f"limit {limit!r}: give a whole number from 0 on, or None for no limit")


class Block(NamedTuple):
    """The scores of consecutive images, side by side.

    Attributes:
        images: which rows of the scores.
        values: float32 or float64 [B, W]; where an image has fewer than W, the rest is 0.
        columns: of the scores [L] that the values [B, W] are of, in ascending order.
    """

    images: slice
    values: Floats
    columns: NDArray[np.integer[Any]]


def blocks(scores: Scores) -> Iterator[Block]:
    """Yield the scores [N, L] block by block; of sparse ones only what is stored.

    Raises:
        DataError: scores are NaN.
    """
    count, width = scores.shape
    ordered = scores if isinstance(scores, np.ndarray) else in_order(scores)
    widest = width if isinstance(ordered, np.ndarray) else np.diff(ordered.indptr).max(initial=0)
    rows = max(1, _BLOCK // max(int(widest), 1))
    for start in range(0, count, rows):
        images = slice(start, min(start + rows, count))
        part = ordered[images]
        if isinstance(part, np.ndarray):
            values = part.astype(np.result_type(part.dtype, np.float32), copy=False)
            columns: NDArray[np.integer[Any]] = np.broadcast_to(np.arange(width), values.shape)
        else:
            values, columns = _pad(part)
        if np.isnan(values).any():
            raise DataError("scores hold NaN; every score must be a number")
        yield Block(images, values, columns)


def in_order(scores: sparse.csr_array) -> sparse.csr_array:
    """Return sparse scores [N, L] with the columns of each image ascending, none twice."""
    ordered = sparse.csr_array(scores)
    if not ordered.has_canonical_format:
        ordered = ordered.copy()
        ordered.sum_duplicates()
    return ordered


def _pad(part: sparse.csr_array) -> tuple[Floats, NDArray[np.integer[Any]]]:
    """Return values and columns of the stored entries of each row, padded to the longest row."""
    lengths = np.diff(part.indptr)
    filled = np.arange(lengths.max(initial=0)) < lengths[:, None]
    values = np.zeros(filled.shape, np.result_type(part.dtype, np.float32))
    columns = np.zeros(filled.shape, part.indices.dtype)
    values[filled], columns[filled] = part.data, part.indices
    return values, columns


def descending(values: Floats) -> Floats:
    """Return each row of values [B, W] from the highest down."""
    return np.asarray(-np.sort(-values, axis=1))


def logits(probabilities: Floats) -> Floats:
    """Return the logits of probabilities, finite for 0 and 1 too."""
    return np.asarray(special.logit(np.clip(probabilities, _NEAREST, 1 - _NEAREST)))


def name_first(scores: Scores, numbers: Integers) -> sparse.csr_array:
    """Return the first concepts of each image in the order of scores as 0/1 float32 [N, L].

    Among equal scores the lower column comes first.

    Args:
        scores: [N, L], dense or sparse; only positive ones can be named.
        numbers: how many of each image [N]; where fewer are positive, all of those.

    Raises:
        DataError: scores are NaN.
    """
    images, columns = [np.zeros(0, np.intp)], [np.zeros(0, np.intp)]
    for block in blocks(scores):
        rows, positions = np.nonzero(_are_first(block.values, numbers[block.images]))
        images.append(rows + block.images.start)
        columns.append(block.columns[rows, positions].astype(np.intp))
    pairs = np.concatenate(images), np.concatenate(columns)
    ones = np.ones(len(pairs[0]), np.float32)
    return sparse.csr_array((ones, pairs), shape=scores.shape)


def _are_first(values: Floats, numbers: Integers) -> NDArray[np.bool_]:
    """Return which of the values [B, W] are positive and among the `numbers` [B] highest."""
    width = values.shape[1]
    numbers = np.minimum(numbers, width)[:, None]
    # The lowest value that is still named, and infinity where nothing is.
    ends = np.column_stack([np.full(len(values), np.inf, values.dtype), descending(values)])
    lowest = np.take_along_axis(ends, numbers, axis=1)
    above, level = values > lowest, values == lowest
    left = numbers - above.sum(axis=1, keepdims=True)
    first: NDArray[np.bool_] = above | (level & (np.cumsum(level, axis=1) <= left))
    return first & (values > 0)
