"""The logistic loss of many labels on shared features: values, gradients, curvature.

A pass over the features gives the gradients of all labels by two matrix products, block by block,
so that the logits [block, L] never leave the cache.  The labels take part only once, as X'Y.
"""

from collections.abc import Callable

import numpy as np
from scipy import sparse

from replearn.arrays import Floats
from replearn.detection.logistic.lbfgs import Columns
from replearn.detection.logistic.standardised_rows import StandardisedRows, each_block

# minus the weights [K, B] -> sums of log(1 + exp(z)) [B] and of p (1 - p) [B], products X'p [K, B]
Pass = Callable[[Floats], tuple[Floats, Floats, Floats]]

_CHUNK = 256  # rows between the two products at a time: they stay in the inner cache
_LARGE = 80.0  # a logit as good as any larger one, but with a finite exponential
_LEAST = 0.1  # rows with p = 1/2 have 0.25: less is a label that is separated
_ENOUGH = 16  # rows for each feature tell the covariance well enough to precondition
_WIDE = 2048  # features: with more of them, finding all axes of the covariance takes too long


class LogisticLoss:
    """sum_i log(1 + exp(z_i)) - y_i z_i  +  penalty |w|^2 / 2, of each of L labels, z = x w + b.

    Weights are [K, L] with K = D + 1: the last row holds the intercepts, free of the penalty.
    """

    def __init__(
        self,
        rows: StandardisedRows,
        labels: sparse.csr_array,
        penalty: float,
        through: Pass | None = None,
    ) -> None:
        """Prepare the sums over the rows that stay the same.

        Args:
            rows: features, standardised and with a last entry of 1 [N, K].
            labels: 0/1 [N, L].
            penalty: on the squares of the weights.
            through: how to pass over the rows; `through_rows` by default.
        """
        self._through = through or (lambda minus: through_rows(rows, minus))
        self._count, width = rows.shape
        self._penalty = np.full((width, 1), penalty)
        self._penalty[-1] = 0
        self._sum, self._towards = _sums(rows, labels)
        rate = self._towards[-1] / self._count
        self._most = self._count * rate * (1 - rate)
        self._weight = self._most.copy()  # about sum of p (1 - p), follows the evaluations
        variances, axes, rest = principal_axes(rows)
        least = max(1e-6 * variances.max(initial=0), 1e-12)  # for features that are constant
        self._variances = np.maximum(variances, least)[:, None].astype(np.float32)
        self._axes, self._rest = axes.astype(np.float32), np.float32(max(rest, least))

    def __call__(self, weights: Floats, columns: Columns) -> tuple[Floats, Floats]:
        """Return the values [B] and gradients [K, B] of some of the labels at weights [K, B]."""
        towards = self._towards[:, columns]
        if not weights[:-1].any():  # as at the start: every row's probability is the same
            probability = 1 / (1 + np.exp(-weights[-1]))
            losses = self._count * np.logaddexp(0, weights[-1])
            weight = self._count * probability * (1 - probability)
            pushes = self._sum[:, None] * probability
        else:
            losses, weight, pushes = self._through(-weights.astype(np.float32))
        # Steps towards a curvature that is rather too high than too low need fewer passes.
        self._weight[columns] = np.minimum(2 * np.maximum(weight, _LEAST), self._most[columns])
        losses = losses - np.einsum("kb,kb->b", weights, towards)
        penalties = np.einsum("kb,kb->b", self._penalty * weights, weights) / 2
        # No loss is negative but by rounding.
        return np.maximum(losses, 0) + penalties, pushes - towards + self._penalty * weights

    def precondition(self, gradient: Floats, columns: Columns) -> Floats:
        """Return about the inverse Hessian times the gradient [K, B] of some of the labels.

        If the weights p (1 - p) of the rows were all the same, the Hessian would be a multiple of
        the features' covariance plus the penalty, for every label diagonal on the same axes.
        """
        weight = self._weight[columns].astype(np.float32)
        penalty = np.float32(self._penalty[0])
        along = self._axes.T @ gradient[:-1]
        beside = self._rest * weight + penalty
        turned = along / (self._variances * weight + penalty)
        if len(self._axes) == len(along):
            return np.concatenate([self._axes @ turned, gradient[-1:] / weight])
        turned -= along / beside
        return np.concatenate(
            [self._axes @ turned + gradient[:-1] / beside, gradient[-1:] / weight]
        )

    def precondition_diagonally(self, gradient: Floats, columns: Columns) -> Floats:
        """Return the same without turning to other axes, as an L1 penalty asks."""
        weight = self._weight[columns]
        own = self._axes**2 @ (self._variances - self._rest) + self._rest
        return np.asarray(gradient / (np.vstack([own, [[1]]]) * weight + self._penalty))


def through_rows(rows: StandardisedRows, minus: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the sums of log(1 + exp(z)) and of p (1 - p) [B], and X'p [K, B].

    The products are in single precision, the sums over blocks in double.
    """

    def one(block: slice) -> tuple[Floats, Floats, Floats]:
        x = rows[block]
        z = x @ minus
        losses, squares = np.zeros(z.shape[1]), np.zeros(z.shape[1])
        for start in range(0, len(z), _CHUNK):
            part = z[start : start + _CHUNK]
            odds = np.exp(np.clip(part, -_LARGE, _LARGE, out=part))  # against the label
            np.reciprocal(np.add(odds, 1, out=part), out=part)  # its probability
            losses -= np.log(np.multiply(odds, part, out=odds), out=odds).sum(axis=0)
            squares += np.einsum("nb,nb->b", part, part)
        return losses, squares, x.T @ z

    losses, squares = np.zeros(minus.shape[1]), np.zeros(minus.shape[1])
    pushes = np.zeros(minus.shape)
    for some_losses, some_squares, some_pushes in each_block(one, rows.shape[0]):
        losses += some_losses
        squares += some_squares
        pushes += some_pushes
    return losses, pushes[-1] - squares, pushes


def _sums(rows: StandardisedRows, labels: sparse.csr_array) -> tuple[Floats, Floats]:
    """Return X'1 [K] and X'Y [K, L]."""

    def one(block: slice) -> tuple[Floats, Floats]:
        x = rows[block]
        return x.sum(axis=0), (labels[block].T @ x).T

    total, towards = np.zeros(rows.shape[1]), np.zeros((rows.shape[1], labels.shape[1]))
    for some, toward in each_block(one, rows.shape[0]):
        total += some
        towards += toward
    return total, towards


def principal_axes(rows: StandardisedRows) -> tuple[Floats, Floats, float]:
    """Return variances [R], axes [D, R] and the variance beside them, from some of the rows.

    Up to 2,048 features have all their axes, R = D.  Of wider ones they are those of 2,048 rows.
    Where there are more rows, the weaker half of these axes is noise, and the largest of their
    variances stands for all that is beside: steps that are too short cost less than too long ones.
    """
    count, width = rows.shape[0], rows.shape[1] - 1
    if width <= _WIDE:
        variances, axes = np.linalg.eigh(_covariance(rows, max(1, count // (_ENOUGH * width))))
        return variances, axes, 0.0
    every = -(-count // _WIDE)
    few = np.concatenate(list(each_block(lambda b: rows[b][::every, :-1], count)))
    variances, mixtures = np.linalg.eigh(few @ few.T / len(few))
    first = len(few) // 2 if every > 1 else 0
    first += int(np.searchsorted(variances[first:], 1e-6 * variances[-1], "right"))
    rest = float(variances[first - 1]) if first else 0.0
    axes = few.T @ (mixtures[:, first:] / np.sqrt(len(few) * variances[first:]))
    return variances[first:], axes, rest


def _covariance(rows: StandardisedRows, every: int) -> Floats:
    def one(block: slice) -> Floats:
        few = rows[block][::every]
        return few.T @ few

    gram = sum(each_block(one, rows.shape[0]), np.zeros((rows.shape[1], rows.shape[1])))
    return np.asarray(gram[:-1, :-1] / gram[-1, -1])
