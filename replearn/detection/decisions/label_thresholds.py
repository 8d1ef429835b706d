"""A threshold for each concept, shrunk to the global one the more the fewer images show it.

The best threshold of a single concept rests on few images and is mostly chance: thresholds that
are tuned freely lose to a global one on new images.  So each is a weighted mean, on the scale of
logarithms, of the concept's own best and the global one,

    log t_l = log t + n_l / (n_l + s) (log t_l* - log t),

with n_l the number of images that show the concept and s the strength of the shrinkage.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from replearn.arrays import Float64, Integers
from replearn.detection.decisions.scores import ScoredImages, Scores, blocks
from replearn.detection.decisions.threshold import name_above

# How far a concept's own threshold may lie from the global one, as a factor.
FARTHEST = 4.0


def tune_each_threshold(images: ScoredImages, threshold: float) -> Float64:
    """Return for each concept the threshold that is best while all others keep the global one, [L].

    It is sought between `threshold` / 4 and `threshold` * 4; a concept without a score there
    keeps the global one.  The limit of concepts is left out of account.

    Args:
        images: the scored images.
        threshold: the global one.

    Raises:
        DataError: scores are NaN.
    """
    truth = images.truth
    rows, columns, values = _pairs(images.scores, threshold / FARTHEST)
    named = name_above(images.scores, threshold)
    hit = _entries(truth, rows, columns)
    kept = _entries(named, rows, columns)
    # Of all but the concept in question: how many are named, how many of them are true.
    number = named.sum(axis=1)[rows] - kept
    hits = truth.multiply(named).sum(axis=1)[rows] - hit * kept
    true = images.counts[rows]
    before = np.divide(2 * hits, number + true, out=np.ones_like(hits), where=number + true > 0)
    changes = 2 * (hits + hit) / (number + 1 + true) - before
    if images.empty == "skip":
        changes[true == 0] = 0.0

    best = np.full(truth.shape[1], threshold)
    order = np.lexsort((-values, columns))
    starts = np.flatnonzero(np.diff(columns[order], prepend=-1))
    for group in np.split(order, starts[1:]) if len(order) else []:
        best[columns[group[0]]] = _best_threshold(
            values[group], changes[group], FARTHEST * threshold
        )
    return np.asarray(np.clip(best, threshold / FARTHEST, threshold * FARTHEST))


def shrink(own: Float64, threshold: float, positives: Integers, strength: float) -> Float64:
    """Return thresholds [L] between the global one and each concept's own.

    Args:
        own: best of each concept alone [L].
        threshold: the global one.
        positives: images that show each concept [L].
        strength: number of positives at which the two count the same.
    """
    weights = positives / (positives + strength)
    return np.asarray(threshold * (own / threshold) ** weights)


def name_above_each(
    scores: Scores, thresholds: Float64, *, limit: int | None = None
) -> sparse.csr_array:
    """Return the concepts that score at least their threshold as 0/1 float32 [N, L].

    Args:
        scores: [N, L], dense or sparse; only positive ones can be named.
        thresholds: above 0, of each concept [L].
        limit: at most this many for an image, those the highest above their threshold as a factor.

    Raises:
        DataError: scores are NaN.
    """
    if isinstance(scores, np.ndarray):
        return name_above(scores / thresholds, 1.0, limit=limit)
    factors = scores.astype(np.float64)
    factors.data /= thresholds[factors.indices]
    return name_above(factors, 1.0, limit=limit)


def _pairs(
    scores: Scores, at_least: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return image, concept and score of every pair that scores so high."""
    images, columns = [np.zeros(0, np.intp)], [np.zeros(0, np.intp)]
    values = [np.zeros(0)]
    for block in blocks(scores):
        high = (block.values > 0) & (block.values >= np.float64(at_least))
        rows, positions = np.nonzero(high)
        images.append(rows + block.images.start)
        columns.append(block.columns[rows, positions].astype(np.intp))
        values.append(block.values[rows, positions].astype(np.float64))
    return np.concatenate(images), np.concatenate(columns), np.concatenate(values)


def _entries(
    matrix: sparse.csr_array, images: NDArray[np.intp], columns: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the entries of a 0/1 matrix at these pairs."""
    width = matrix.shape[1]
    rows, stored = sparse.coo_array(matrix).coords
    ones = rows.astype(np.intp) * width + stored
    return np.isin(images * width + columns, ones).astype(np.float64)


def _best_threshold(
    values: NDArray[np.float64], changes: NDArray[np.float64], at_most: float
) -> float:
    """Return the threshold in values, descending, at which the sum of changes is largest."""
    sums = np.concatenate([[0.0], np.cumsum(changes)])
    around = np.concatenate([[np.inf], values, [0.0]])  # a threshold lies between two of them
    possible = (around[1:] != around[:-1]) & (around[1:] < at_most)
    best = int(np.argmax(np.where(possible, sums, -np.inf)))
    above, below = around[best], around[best + 1]
    if not (np.isfinite(above) and below):
        return float(above if below == 0 else np.nextafter(below, np.inf))
    middle = np.sqrt(above * below)
    return float(middle if below < middle <= above else above)
