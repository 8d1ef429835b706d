"""Minimise many convex functions at once by limited-memory BFGS, with or without an L1 penalty.

The functions are independent, one for each column of the weights, but their gradients are cheap
only together.  So all columns that still need it take a step in every iteration, each with its own
curvature, and leave the batch when they are done.  There is no line search, in which columns
would wait for each other: a step that goes too far is taken back, but what it says of the
curvature is kept, and the next one is shorter for it.

The recursion is Nocedal's (Nocedal and Wright, Numerical Optimization, 2nd ed., algorithm 7.4);
with an L1 penalty a step stays within its orthant (Andrew and Gao 2007, Scalable training of
L1-regularized log-linear models), which gives exact zeros.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Floats

Columns = NDArray[np.intp]

# (weights [K, B], which columns they are of [B]) -> values [B], gradients [K, B]
Evaluate = Callable[[Floats, Columns], tuple[Floats, Floats]]
# (gradients [K, B], which columns they are of [B]) -> about inverse Hessian times gradient [K, B]
Precondition = Callable[[Floats, Columns], Floats]

_MEMORY = 20  # steps that a column's curvature is learned from; with 10, hard ones take 8 % more
_CROWD = 12  # columns leave when they are one in so many: each time the memory is copied


def minimise(
    evaluate: Evaluate,
    start: Floats,
    precondition: Precondition,
    *,
    tol: float,
    max_iter: int,
    l1: Floats | None = None,
) -> tuple[Floats, NDArray[np.intp]]:
    """Return weights [K, L] that minimise each column's function, and its number of iterations [L].

    A column is done when the decrease that is still to be had, as the quadratic model of its
    function predicts it, is at most `tol` of its value.  It then takes the step to the model's
    minimum, which need not be evaluated any more.  One that is never done counts `max_iter` + 1.

    Args:
        evaluate: values and gradients of some of the columns, without the L1 penalty.
        start: where to begin [K, L].
        precondition: a guess of the inverse Hessian; diagonal where `l1` is given.
        tol: relative to the value of the function.
        max_iter: iterations at most.
        l1: weight of |w| for each row of the weights [K, 1].
    """
    weights = start.astype(np.float64)
    iterations = np.full(start.shape[1], max_iter + 1)
    batch = _Batch(evaluate, weights.copy(), l1)
    for count in range(max_iter + 1):
        subgradient, step, done = batch.propose(precondition, tol)
        new = np.flatnonzero(done & (iterations[batch.columns] > max_iter))
        # What else happens to a column that waits to leave depends on the others: ignore it.
        weights[:, batch.columns[new]] = batch.weights[:, new] + step[:, new]
        iterations[batch.columns[new]] = count
        waiting = iterations[batch.columns] <= max_iter
        if waiting.all() or count == max_iter:
            break
        if waiting.sum() * _CROWD >= len(waiting):
            stay = np.flatnonzero(~waiting)
            batch.keep(stay)
            subgradient, step = subgradient[:, stay], step[:, stay]
        batch.try_step(subgradient, step)
    unfinished = np.flatnonzero(iterations[batch.columns] > max_iter)
    weights[:, batch.columns[unfinished]] = batch.weights[:, unfinished]
    return weights, iterations


class _Batch:
    """The columns that still take steps, with all that is known of them.

    Attributes:
        columns: which ones they are [B].
        weights: where they are [K, B].
    """

    def __init__(self, evaluate: Evaluate, start: Floats, l1: Floats | None) -> None:
        self._evaluate, self._l1 = evaluate, l1
        self.columns = np.arange(start.shape[1])
        self.weights = start
        self._value, self._gradient = evaluate(start, self.columns)
        # Nothing is known of the curvature yet: half a step.
        self._length = np.full(len(self.columns), 0.5)
        self._pairs = _Pairs()

    def propose(
        self, precondition: Precondition, tol: float
    ) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Return subgradients and the next steps, [K, B] each, and which columns are done [B]."""
        l1, weights, gradient = self._l1, self.weights, self._gradient
        subgradient = gradient if l1 is None else _least_subgradient(weights, gradient, l1)
        free = None if l1 is None else (weights != 0) | (subgradient != 0)
        step = -self._length * self._pairs.solve(subgradient, precondition, self.columns, free)
        total = self._value if l1 is None else self._value + (l1 * np.abs(weights)).sum(axis=0)
        done = -_dots(subgradient, step) / (2 * self._length) <= tol * total
        if l1 is not None:
            step = _within_orthant(weights, step, subgradient)
        return subgradient, step, done

    def keep(self, stay: Columns) -> None:
        """Forget all columns but those at these positions in the batch."""
        self.columns, self._length = self.columns[stay], self._length[stay]
        self._value = self._value[stay]
        self.weights, self._gradient = self.weights[:, stay], self._gradient[:, stay]
        self._pairs.keep(stay)

    def try_step(self, subgradient: Floats, step: Floats) -> None:
        """Learn the curvature along the steps, and take those that do not go too far."""
        value, gradient = self._evaluate(self.weights + step, self.columns)
        slope = _dots(subgradient, step)
        change = gradient - self._gradient
        self._pairs.add(step, change)
        # The L1 penalty is straight within the orthant: it adds the same to both slopes.
        good = slope + _dots(change, step) <= -0.9 * slope
        self._length = np.where(good, 1, self._length / 2)
        self.weights += good * step
        self._gradient += good * change
        self._value = np.where(good, value, self._value)


def _least_subgradient(weights: Floats, gradient: Floats, l1: Floats) -> Floats:
    """Return the subgradient of function and penalty that is nearest to zero."""
    shrunk = np.sign(gradient) * np.maximum(np.abs(gradient) - l1, 0)
    return np.where(weights == 0, shrunk, gradient + l1 * np.sign(weights))


def _within_orthant(weights: Floats, step: Floats, subgradient: Floats) -> Floats:
    """Return the step up to where a weight changes its sign; from zero it may only go downhill."""
    straight = step * subgradient < 0
    cut = np.where(weights * (weights + step) < 0, -weights, step)
    cut = np.where((weights == 0) & ~straight, 0, cut)
    # What was cut may have been what made the whole go downhill: then no entry may go uphill.
    return np.where(straight | (_dots(cut, subgradient) < 0), cut, 0)


class _Pairs:
    """Steps and the changes of the gradient along them, of each column."""

    def __init__(self) -> None:
        self.steps: list[Floats] = []
        self.changes: list[Floats] = []
        self.inverses: list[Floats] = []  # 1 / (step . change)

    def add(self, step: Floats, change: Floats) -> None:
        """Remember steps [K, B]; the oldest are forgotten."""
        step, change, inverse = _pair(step.astype(np.float32), change.astype(np.float32))
        self.steps = [*self.steps[1 - _MEMORY :], step]
        self.changes = [*self.changes[1 - _MEMORY :], change]
        self.inverses = [*self.inverses[1 - _MEMORY :], inverse]

    def keep(self, columns: Columns) -> None:
        """Forget all other columns."""
        self.steps = [step[:, columns] for step in self.steps]
        self.changes = [change[:, columns] for change in self.changes]
        self.inverses = [inverse[columns] for inverse in self.inverses]

    def solve(
        self,
        gradient: Floats,
        precondition: Precondition,
        columns: Columns,
        free: NDArray[np.bool_] | None,
    ) -> Floats:
        """Return about the inverse Hessian, of the free weights, times the gradient [K, B]."""
        result = gradient.astype(np.float32)
        pairs = list(zip(self.steps, self.changes, self.inverses, strict=True))
        if free is not None:
            pairs = [_pair(free * step, free * change) for step, change, _ in pairs]
        shares = []
        for step, change, inverse in reversed(pairs):
            shares.append((inverse * _dots(step, result)).astype(np.float32))
            result -= shares[-1] * change
        result = precondition(result, columns)
        for (step, change, inverse), share in zip(pairs, reversed(shares), strict=True):
            result += (share - inverse * _dots(change, result)).astype(np.float32) * step
        return result if free is None else free * result


def _pair(step: Floats, change: Floats) -> tuple[Floats, Floats, Floats]:
    along = _dots(step, change)
    # A column that did not move, or moved on flat ground, teaches nothing.
    return step, change, np.divide(1, along, out=np.zeros_like(along), where=along > 0)


def _dots(first: Floats, second: Floats) -> Floats:
    return np.asarray(np.einsum("kb,kb->b", first, second))
