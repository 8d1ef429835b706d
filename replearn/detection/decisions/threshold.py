"""One threshold for all scores, the exact best one, and the best constant prediction.

The measure is the benchmark's, the mean over images of the F1 of predicted against true concepts.
One threshold for all concepts is its natural rule: a threshold of its own would rest, for a rare
concept, on few images, and would not generalise.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from replearn import metrics
from replearn.arrays import Float64, Floats, Integers
from replearn.detection.decisions.scores import (
    Block,
    ScoredImages,
    Scores,
    blocks,
    descending,
    in_order,
    name_first,
)
from replearn.errors import DataError


@dataclass(frozen=True)
class Threshold:
    """A global threshold: an image gets the concepts that score at least `value`.

    Attributes:
        value: the threshold.
        f1: mean F1 on the images it was tuned on.
    """

    value: float
    f1: float


def tune_threshold(images: ScoredImages, *, least: int = 0) -> Threshold:
    """Return the threshold with the largest mean F1 over all distinct scores.

    One pass down the sorted scores suffices: naming one more concept changes the F1 of its image
    alone.  Ties move together.  The pass is made twice, first over buckets of many neighbouring
    scores, then score by score in the buckets where the largest mean can lie.  That is exact, and
    scores are sorted within their image alone, not all among each other.

    Args:
        images: the scored images.
        least: so many concepts of an image are named however low they score.

    Raises:
        DataError: scores are NaN, or no image counts.
    """
    ranked = RankedScores(images)
    buckets = _BucketSums.of(ranked, least)
    low, high = buckets.promising(slack=1e-9 * len(images.counts))
    values, changes = _scores_between(ranked, least, low, high)
    order = np.argsort(-values)
    values = values[order]
    sums = buckets.before[high] + np.concatenate([[0.0], np.cumsum(changes[order])])
    # A threshold may lie above the first score, below the last, or between two that differ.
    possible = np.concatenate([[True], values[1:] != values[:-1], [True]])
    possible = possible[: len(sums)]  # without any score there is one possibility
    best = int(np.argmax(np.where(possible, sums, -np.inf)))
    return Threshold(_halfway(values, best), float(sums[best] / ranked.count))


def tune_number(images: ScoredImages) -> tuple[int, float]:
    """Return how many concepts to name of every image alike, and the mean F1 that results.

    Raises:
        DataError: scores are NaN, or no image counts.
    """
    ranked = RankedScores(images)
    sums = np.zeros(1 + images.scores.shape[1])
    for start, _, changes in ranked:
        sums[0] += start.sum()
        sums[1 : 1 + changes.shape[1]] += changes.sum(axis=0)
    means = np.cumsum(sums) / ranked.count
    return int(np.argmax(means)), float(means.max())


class RankedScores:
    """The scores of each image that counts from the highest down, with the changes of its F1.

    Attributes:
        count: how many images count.
    """

    def __init__(self, images: ScoredImages) -> None:
        """Find the true pairs among the scores.

        Raises:
            DataError: no image counts.
        """
        self.count = int(images.counting.sum())
        if not self.count:
            raise DataError(
                "no image counts: none has a concept; give validation images with concepts"
            )
        self._images = images
        self._hits = _positions_of_true(images.scores, images.truth)

    def __iter__(self) -> Iterator[tuple[Float64, Floats, Float64]]:
        """Yield for some images at a time the F1 to start from, the scores and the changes of F1.

        The first is the F1 of naming nothing [B], the second the scores from the highest down
        [B, W], the last by how much naming each after those above it changes the F1 [B, W].
        """
        counting, limit = self._images.counting, self._images.limit
        for block in blocks(self._images.scores):
            some = counting[block.images]
            hits = _rank(block, self._hits[block.images])[some]
            counts = self._images.counts[block.images][some][:, None].astype(np.float64)
            values = descending(block.values[some])
            f1 = np.cumsum(hits, axis=1, dtype=np.float64)
            f1 /= (counts + np.arange(1, 1 + values.shape[1])) / 2
            # An image without true concepts scores 1 as long as nothing is named.
            nothing = (counts == 0).astype(np.float64)
            changes = np.diff(f1, axis=1, prepend=nothing)
            changes[values <= 0] = 0.0
            yield nothing[:, 0], values[:, :limit], changes[:, :limit]


def _positions_of_true(scores: Scores, truth: sparse.csr_array) -> sparse.csr_array:
    """Return 1 [N, L] at each true pair's position among the stored scores of its image."""
    if isinstance(scores, np.ndarray):
        return sparse.csr_array(truth)
    stored = in_order(scores)
    number = np.arange(1, stored.nnz + 1) - np.repeat(stored.indptr[:-1], np.diff(stored.indptr))
    numbers = sparse.csr_array((number, stored.indices, stored.indptr), shape=stored.shape)
    true = sparse.coo_array(numbers.multiply(truth.astype(bool)))
    pairs = true.coords[0], true.data.astype(np.intp) - 1
    return sparse.csr_array((np.ones(len(true.data)), pairs), shape=scores.shape)


def _rank(block: Block, hits: sparse.csr_array) -> NDArray[np.bool_]:
    """Return the true pairs of a block in the order of scores, bool [B, W]."""
    ranked = np.zeros(block.values.shape, dtype=bool)
    rows, positions = sparse.coo_array(hits).coords
    of_image = block.values[rows]  # [hits, W]
    value = block.values[rows, positions][:, None]
    # Among equal scores the lower column comes first, as where they are named.
    earlier = np.arange(block.values.shape[1]) < positions[:, None]
    ahead = (of_image > value) | ((of_image == value) & earlier)
    ranked[rows, np.count_nonzero(ahead, axis=1)] = True
    return ranked


@dataclass(frozen=True)
class _BucketSums:
    """Sums of F1 down all scores, a bucket of neighbouring ones at a time.

    Attributes:
        before: sum of F1 when all above a bucket is named [buckets].
        total: by how much the bucket changes it [buckets].
        gain: the part of the change that is for the better [buckets].
    """

    before: Float64
    total: Float64
    gain: Float64

    @classmethod
    def of(cls, ranked: RankedScores, least: int) -> "_BucketSums":
        nothing, total, gain = 0.0, np.zeros(_BUCKETS), np.zeros(_BUCKETS)
        for start, values, changes in ranked:
            nothing += float(start.sum() + changes[:, :least].sum())
            bucket = _buckets(values[:, least:]).ravel()
            change = changes[:, least:].ravel()
            total += np.bincount(bucket, change, _BUCKETS)
            gain += np.bincount(bucket, np.maximum(change, 0.0), _BUCKETS)
        return cls(nothing + np.cumsum(total[::-1])[::-1] - total, total, gain)

    def promising(self, slack: float) -> tuple[int, int]:
        """Return the lowest and the highest bucket in which the largest sum can lie.

        Within a bucket the sum exceeds that before it by no more than the gain.

        Args:
            slack: more than the sums are wrong by rounding.
        """
        best = max(self.before.max(), self.before[0] + self.total[0])
        promising = np.flatnonzero(self.before + self.gain >= best - slack)
        return int(promising[0]), int(promising[-1])


# The upper half of a float32: sign, exponent and 7 bits, so 128 buckets between x and 2x.
_BUCKETS = 2**15
_LARGEST = np.finfo(np.float32).max


def _buckets(values: Floats) -> NDArray[np.intp]:
    """Return the bucket of each value, in their order; of what is not positive, the lowest."""
    bits = np.clip(values, 0, _LARGEST).astype(np.float32).view(np.uint32)
    return (bits >> 16).astype(np.intp)


def _scores_between(
    ranked: RankedScores, least: int, low: int, high: int
) -> tuple[Float64, Float64]:
    """Return all scores [M] in the buckets from low to high, and their changes of F1 [M]."""
    parts: list[tuple[Floats, Float64]] = [(np.zeros(0), np.zeros(0))]
    for _, values, changes in ranked:
        values, changes = values[:, least:], changes[:, least:]
        bucket = _buckets(values)
        inside = (bucket >= low) & (bucket <= high) & (values > 0)
        parts.append((values[inside], changes[inside]))
    values, changes = map(np.concatenate, zip(*parts, strict=True))
    return values.astype(np.float64), changes


def _halfway(values: Float64, position: int) -> float:
    """Return a threshold above `values[position]`, not above the one before; values descend."""
    if len(values) == 0:
        return 1.0  # nothing can be named, whatever the threshold
    if position == 0:
        return float(np.nextafter(values[0], np.inf))
    upper = values[position - 1]
    if position == len(values):
        return float(upper)
    middle = (upper + values[position]) / 2
    return float(middle if middle > values[position] else upper)


def name_above(
    scores: Scores, threshold: float, *, least: int = 0, limit: int | None = None
) -> sparse.csr_array:
    """Return the concepts that score at least `threshold` as 0/1 float32 [N, L].

    Args:
        scores: [N, L], dense or sparse; only positive ones can be named.
        threshold: of all concepts.
        least: so many of an image are named however low they score.
        limit: at most this many concepts for an image, those of the highest scores.

    Raises:
        DataError: scores are NaN.
    """
    # As a Python float, a threshold between neighbouring float32 scores would be rounded to one.
    exact = np.float64(threshold)
    numbers = np.zeros(scores.shape[0], np.intp)
    for block in blocks(scores):
        numbers[block.images] = ((block.values >= exact) & (block.values > 0)).sum(axis=1)
    most = scores.shape[1] if limit is None else limit
    return name_first(scores, np.clip(numbers, min(least, most), most))


def best_constant(
    truth: sparse.csr_array,
    counts: Integers,
    *,
    empty: metrics.EmptyRule,
    candidates: int = 60,
    limit: int | None = None,
) -> tuple[list[int], float]:
    """Return the columns to name for every image alike, and the mean F1 that results.

    The set grows greedily from the `candidates` most frequent concepts as long as that helps.  It
    is the baseline for every detector, and the answer for an image without features.

    Args:
        truth: 0/1 [N, L].
        counts: true concepts of each image [N], also those outside the L columns.
        empty: what an image without true concepts counts.
        candidates: how many concepts are considered.
        limit: at most this many concepts.
    """
    frequent = np.argsort(-truth.sum(axis=0), kind="stable")[:candidates]
    true = truth[:, frequent].toarray()  # [N, candidates]
    best = metrics.mean_f1(truth, sparse.csr_array(truth.shape), counts, empty=empty)
    chosen: list[int] = []
    while len(chosen) < len(frequent[:limit]):
        hits = true[:, chosen].sum(axis=1, keepdims=True) + true
        scores = 2 * hits / (counts[:, None] + len(chosen) + 1)  # [N, candidates]
        means = scores[counts > 0 if empty == "skip" else slice(None)].mean(axis=0)
        means[chosen] = -np.inf
        if means.max() <= best:
            break
        best = float(means.max())
        chosen.append(int(np.argmax(means)))
    return [int(frequent[number]) for number in chosen], best
