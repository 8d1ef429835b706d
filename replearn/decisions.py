"""Scores to concept sets: which concepts to name, given how much each speaks for itself.

The measure is the benchmark's, the mean over images of the F1 of predicted against true concepts.
One threshold for all concepts is its natural rule: with per-concept thresholds the few images of
a rare concept decide alone, and what they decide does not carry over.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from replearn import metrics
from replearn.errors import DataError

Scores = NDArray[np.floating[Any]] | sparse.csr_array
Counts = NDArray[np.integer[Any]]
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Threshold:
    """A global threshold: an image's concepts are those that score at least `value`.

    Attributes:
        value: the threshold.
        f1: mean F1 that it reaches on the images it was tuned on.
    """

    value: float
    f1: float


def tune_threshold(
    scores: Scores, truth: sparse.csr_array, counts: Counts, *, empty: metrics.EmptyRule
) -> Threshold:
    """Return the threshold with the largest mean F1 over all distinct scores, in O(NL log NL).

    One walk down the sorted scores suffices: naming one more concept changes the F1 of its image
    alone.  Ties move together.

    Args:
        scores: [N, L], dense or sparse; only positive ones can be named.
        truth: 0/1 [N, L].
        counts: true concepts of each image [N], also those outside the L columns.
        empty: what an image without true concepts counts, see `metrics.f1_per_image`.

    Raises:
        DataError: scores are NaN, or no image counts.
    """
    images, concepts, values = _pairs(scores)
    hits = _are_true(truth, images, concepts)
    counting = counts > 0 if empty == "skip" else np.ones(len(counts), dtype=bool)
    if not counting.any():
        raise DataError("no image counts: none has a concept; give validation images with concepts")
    changes = _changes_of_f1(images, values, hits, counts)
    changes[~counting[images]] = 0.0

    order = np.argsort(-values, kind="stable")
    values = values[order]
    nothing_named = float((counts[counting] == 0).sum())
    sums = nothing_named + np.concatenate([[0.0], np.cumsum(changes[order])])
    # The walk may stop before the first score, after the last, or between two that differ.
    stops = np.concatenate([[True], values[1:] != values[:-1], [True]])
    stops = stops[: len(sums)]  # without any score there is one place to stop
    best = int(np.argmax(np.where(stops, sums, -np.inf)))
    return Threshold(_between(values, best), float(sums[best] / counting.sum()))


def _pairs(scores: Scores, at_least: float = 0.0) -> tuple[Rows, Rows, NDArray[np.float64]]:
    """Return image, concept and score of every pair that can be named: positive, and so high."""
    matrix = sparse.coo_array(scores)
    if np.isnan(matrix.data).any():
        raise DataError("scores hold NaN; the detector has diverged")
    # As a Python float, a threshold between neighbouring float32 scores would be rounded to one.
    keep = (matrix.data > 0) & (matrix.data >= np.float64(at_least))
    images, concepts = (axis[keep].astype(np.intp) for axis in matrix.coords)
    return images, concepts, matrix.data[keep].astype(np.float64)


def _are_true(truth: sparse.csr_array, images: Rows, concepts: Rows) -> NDArray[np.float64]:
    """Return 1 for each pair (image, concept) that is in the truth [N, L], else 0."""
    width = truth.shape[1]
    true_images, true_concepts = sparse.coo_array(truth).coords
    true_pairs = true_images.astype(np.intp) * width + true_concepts
    return np.isin(images * width + concepts, true_pairs).astype(np.float64)


def _changes_of_f1(
    images: Rows,
    values: NDArray[np.float64],
    hits: NDArray[np.float64],
    counts: Counts,
) -> NDArray[np.float64]:
    """Return by how much each pair changes its image's F1 when it is named after all above it."""
    order = np.lexsort((-values, images))
    image, hit = images[order], hits[order]
    first = np.searchsorted(image, image)  # where the image of each pair begins
    named = np.arange(len(image)) - first + 1
    running = np.cumsum(hit)
    found = running - (running[first] - hit[first])
    true = counts[image]
    after = np.divide(2 * found, true + named)
    before = np.divide(2 * (found - hit), true + named - 1, where=true + named > 1, out=0 * after)
    # An image without true concepts scores 1 as long as nothing is named.
    before[(true == 0) & (named == 1)] = 1.0
    changes = np.empty_like(after)
    changes[order] = after - before
    return changes


def _between(values: NDArray[np.float64], place: int) -> float:
    """Return a threshold above `values[place]` and not above `values[place - 1]`, descending."""
    if len(values) == 0:
        return 1.0  # nothing can be named whatever it is
    if place == 0:
        return float(np.nextafter(values[0], np.inf))
    upper = values[place - 1]
    if place == len(values):
        return float(upper)
    middle = (upper + values[place]) / 2
    return float(middle if middle > values[place] else upper)


def name_above(scores: Scores, threshold: float, *, limit: int | None = None) -> sparse.csr_array:
    """Return the concepts that score at least `threshold` as 0/1 float32 [N, L].

    Args:
        scores: [N, L], dense or sparse; only positive ones can be named.
        threshold: of all concepts.
        limit: at most this many concepts for an image, those of the highest scores.
    """
    images, concepts, values = _pairs(scores, threshold)
    order = np.lexsort((-values, images))
    images, concepts = images[order], concepts[order]
    if limit is not None:
        rank = np.arange(len(images)) - np.searchsorted(images, images)
        images, concepts = images[rank < limit], concepts[rank < limit]
    ones = np.ones(len(images), dtype=np.float32)
    return sparse.csr_array((ones, (images, concepts)), shape=scores.shape)


def best_constant(
    truth: sparse.csr_array,
    counts: Counts,
    *,
    empty: metrics.EmptyRule,
    candidates: int = 60,
    limit: int | None = None,
) -> tuple[list[int], float]:
    """Return the columns to name for every image alike, and the mean F1 that this reaches.

    The set grows greedily from the `candidates` most frequent concepts as long as that helps.  It
    is the floor for every detector, and the answer for an image without features.

    Args:
        truth: 0/1 [N, L].
        counts: true concepts of each image [N], also those outside the L columns.
        empty: what an image without true concepts counts.
        candidates: how many concepts are considered.
        limit: at most this many concepts.
    """
    frequent = np.argsort(-truth.sum(axis=0), kind="stable")[:candidates]
    shown = truth[:, frequent].toarray()  # [N, candidates]
    best = metrics.mean_f1(truth, sparse.csr_array(truth.shape), counts, empty=empty)
    chosen: list[int] = []
    while len(chosen) < len(frequent[:limit]):
        hits = shown[:, chosen].sum(axis=1, keepdims=True) + shown
        scores = 2 * hits / (counts[:, None] + len(chosen) + 1)  # [N, candidates]
        means = scores[counts > 0 if empty == "skip" else slice(None)].mean(axis=0)
        means[chosen] = -np.inf
        if means.max() <= best:
            break
        best = float(means.max())
        chosen.append(int(np.argmax(means)))
    return [int(frequent[place]) for place in chosen], best
