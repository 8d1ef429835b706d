"""The number of most probable concepts to name for an image that maximises its expected F1.

With independent concepts of probabilities p_1 >= p_2 >= ..., the best set of any size k is the
first k (Lewis, Evaluating and optimizing autonomous text classification systems, SIGIR 1995).
Concept j adds p_j 2 / (k + 1 + S_j) to the expected F1, S_j being how many of the others are true:
a Poisson-binomial number, whose reciprocals are integrals of its generating function (Chao and
Strawderman, Negative moments of positive random variables, JASA 1972):

    E[1 / (k + 1 + S_j)] = int_0^1 t^k prod_{i != j} (1 - p_i (1 - t)) dt.

The sum over j leaves one integral for each k,

    E[F1 of the first k] = 2 int_0^1 t^k G(t) sum_{j <= k} p_j / (1 - p_j (1 - t)) dt,
    G(t) = prod_i (1 - p_i (1 - t)),

over all concepts i, down to the last.  No difference of nearly equal numbers occurs, so no
probability is too small or too large, and Gauss-Legendre quadrature is exact up to rounding.
True concepts that have no column, a Poisson number with mean `beyond`, are a factor
exp(-beyond (1 - t)) in G.
"""

import math

import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Floats
from replearn.metrics import EmptyRule

_BATCH = 1024  # images at a time


def best_numbers(
    probabilities: Floats,
    *,
    empty: EmptyRule,
    beyond: float = 0.0,
    limit: int | None = None,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return how many concepts of each image to name [N], and the F1 expected of that [N].

    Args:
        probabilities: of the concepts of each image, from the highest down [N, L].
        empty: what an image without true concepts counts; with `skip`, it adds 0 here.
        beyond: expected number of true concepts of an image that have no column.
        limit: at most this many concepts for an image.
    """
    numbers = np.zeros(len(probabilities), np.intp)
    expected = np.zeros(len(probabilities))
    # Images that need about the same number of steps are processed together.
    most = _most_needed(probabilities, beyond, limit)
    for rows in np.array_split(np.argsort(most), max(1, math.ceil(len(most) / _BATCH))):
        steps = int(most[rows].max(initial=0))
        of_first = expected_f1(
            probabilities[rows].astype(np.float64), steps, empty=empty, beyond=beyond
        )
        numbers[rows] = of_first.argmax(axis=1)
        expected[rows] = of_first.max(axis=1)
    return numbers, expected


def expected_f1(
    probabilities: Floats, most: int, *, empty: EmptyRule, beyond: float = 0.0
) -> NDArray[np.float64]:
    """Return the expected F1 of naming the first 0, 1, ..., `most` concepts, [N, most + 1].

    Args:
        probabilities: of the concepts of each image, from the highest down, float64 [N, L].
        most: how many are named at most.
        empty: what an image without true concepts counts; with `skip`, it adds 0 here.
        beyond: expected number of true concepts of an image that have no column.
    """
    largest = float(probabilities.sum(axis=1).max(initial=0))
    nodes, weights = _nodes(most + largest + beyond)
    rest = 1 - nodes
    generating = np.tile(2 * weights * np.exp(-beyond * rest), (len(probabilities), 1))
    for column in probabilities.T:  # [N]
        generating *= 1 - column[:, None] * rest
    expected = np.zeros((len(probabilities), most + 1))
    if empty == "match":
        expected[:, 0] = np.prod(1 - probabilities, axis=1) * math.exp(-beyond)
    shares = np.zeros_like(generating)  # sum_{j <= k} p_j / (1 - p_j (1 - t))
    for number, column in enumerate(probabilities.T[:most], 1):
        shares += column[:, None] / (1 - column[:, None] * rest)
        generating *= nodes
        expected[:, number] = np.einsum("nq,nq->n", generating, shares)
    return expected


def _nodes(steepness: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return nodes and weights of Gauss-Legendre quadrature on [0, 1] for these integrands.

    The integrand falls off like exp(-c (1 - t)) with c = k + sum_i p_i + beyond.  On the ellipse
    around [0, 1] whose half-axes sum to r / 2 it is at most exp(c (r - 1)^2 / 4r) times its
    largest value at 1, so Q nodes are wrong by at most 32/15 exp(c (r - 1)^2 / 4r) r^-2Q / (1 -
    r^-2) of that value, for any r > 1 (Trefethen, Is Gauss quadrature better than Clenshaw-Curtis?,
    SIAM Review 2008, theorem 4.5).  With these Q that is below 1e-12 for every c.
    """
    nodes, weights = np.polynomial.legendre.leggauss(16 + math.ceil(math.sqrt(8 * steepness)))
    return (nodes + 1) / 2, weights / 2


def _most_needed(probabilities: Floats, beyond: float, limit: int | None) -> NDArray[np.intp]:
    """Return an upper bound of the best number of concepts of each image [N].

    With m_k the sum of the first k probabilities and m that of all, Jensen's inequality holds the
    expected F1 of the first k between sum_{j <= k} 2 p_j / (k + 1 + m - p_j + beyond) and
    2 m_k / (m_k + k), which falls with k.
    """
    count, width = probabilities.shape
    needed = np.zeros(count, np.intp)
    number = np.arange(1, width + 1)
    for start in range(0, count, _BATCH):
        some = probabilities[start : start + _BATCH].astype(np.float64)
        sums = np.cumsum(some, axis=1)
        total = sums[:, -1:] + beyond
        at_least = 2 * sums / (number + 1 + total)  # leaves out the p_j below the line
        at_most = 2 * sums / (sums + number)
        allowed = (some > 0) & (number <= (width if limit is None else limit))
        best = np.where(allowed, at_least, 0.0).max(axis=1, initial=0.0, keepdims=True)
        needed[start : start + _BATCH] = (allowed & (at_most >= best)).sum(axis=1)
    return needed
