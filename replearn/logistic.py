"""Logistic regression for many labels over shared features, all labels at once.

Every label has scikit-learn's objective and its meaning of C,

    C * sum_i log(1 + exp(z_i)) - y_i z_i  +  |w|^2 / 2,     z = x w + b,  b free,

minimised by Newton's method.  The Newton step of each label is solved by conjugate gradients, but
the products with the features are done for all labels together as one matrix product, which is
what makes thousands of labels affordable.  Labels that are done leave the batch.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from replearn.errors import DataError

Matrix = NDArray[np.floating[Any]]

_CERTAIN = 20.0  # logit of a label that all training images have, or (negative) none


class MultiLabelLogisticRegression(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """L2-penalised logistic regression of L labels on the same features.

    Features are standardised inside, or C would mean something else for every encoder.

    Attributes:
        coef_: weights on the standardised features, float32 [L, D].
        intercept_: float32 [L].
        mean_: subtracted from the features, float32 [D].
        scale_: the features are divided by it, float32 [D].
        n_iter_: Newton steps that the slowest label took.
    """

    def __init__(
        self,
        C: float = 1.0,
        standardize: bool = True,
        max_iter: int = 100,
        tol: float = 1e-5,
        warm_start: bool = False,
    ) -> None:
        """Set the penalty and when to stop.

        Args:
            C: weight of the losses against the penalty.
            standardize: whether to bring features to mean 0 and deviation 1 first.
            max_iter: Newton steps at most.
            tol: a label is done when no entry of its gradient exceeds this for each image of its
                rarer class; measured by all images, a rare label would be done at the start.
            warm_start: whether `fit` begins at the last solution, as along a path of C.
        """
        self.C = C
        self.standardize = standardize
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start

    def fit(self, X: Matrix, Y: sparse.csr_array | Matrix) -> "MultiLabelLogisticRegression":
        """Fit every label.

        Args:
            X: features float [N, D].
            Y: 0/1 [N, L], sparse or dense.

        Raises:
            DataError: the numbers of rows differ, or X holds NaN or infinity.
        """
        if X.shape[0] != Y.shape[0]:
            raise DataError(f"{X.shape[0]} rows of features for {Y.shape[0]} rows of labels")
        finite = np.isfinite(X).all(axis=1)
        if not finite.all():
            raise DataError(f"row {int(np.argmin(finite))} of the features holds NaN or infinity")
        labels = (Y.toarray() if sparse.issparse(Y) else np.asarray(Y)).astype(np.float32)
        self.mean_, self.scale_ = self._moments(X)
        extended = np.ones((X.shape[0], X.shape[1] + 1), np.float32)  # the last is the intercept's
        extended[:, :-1] = (X - self.mean_) / self.scale_
        rate = labels.mean(axis=0)
        learnable = np.flatnonzero((rate > 0) & (rate < 1))
        weights = self._start(rate, learnable, X.shape[1])
        weights[:, learnable], self.n_iter_ = _minimise(
            extended, labels[:, learnable], weights[:, learnable], self.C, self.tol, self.max_iter
        )
        self.coef_ = np.ascontiguousarray(weights[:-1].T)
        self.intercept_ = weights[-1].copy()
        self.n_features_in_ = X.shape[1]
        return self

    def _moments(self, X: Matrix) -> tuple[Matrix, Matrix]:
        if not self.standardize:
            return np.zeros(X.shape[1], np.float32), np.ones(X.shape[1], np.float32)
        mean = X.mean(axis=0, dtype=np.float64)
        scale = X.std(axis=0, dtype=np.float64)
        # A constant feature says nothing: dividing its rounding errors by one keeps it at zero.
        scale[scale <= 1e-6 * np.maximum(np.abs(mean), scale.max(initial=0))] = 1.0
        return mean.astype(np.float32), scale.astype(np.float32)

    def _start(self, rate: Matrix, learnable: NDArray[np.intp], width: int) -> Matrix:
        """Return where to begin [D + 1, L]: the prevalences, or the last solution."""
        weights = np.zeros((width + 1, len(rate)), np.float32)
        weights[-1] = np.clip(special.logit(rate), -_CERTAIN, _CERTAIN)
        if self.warm_start and hasattr(self, "coef_") and self.coef_.shape == (len(rate), width):
            # From a certain label there is no way back: its loss is flat.
            known = learnable[np.abs(self.intercept_[learnable]) < _CERTAIN]
            weights[:-1, known], weights[-1, known] = self.coef_[known].T, self.intercept_[known]
        return weights

    def decision_function(self, X: Matrix) -> Matrix:
        """Return the logit of each label, float [N, L], for features [N, D]."""
        check_is_fitted(self)
        logits: Matrix = (X - self.mean_) / self.scale_ @ self.coef_.T + self.intercept_
        return logits

    def predict_proba(self, X: Matrix) -> Matrix:
        """Return the probability of each label, float [N, L], for features [N, D]."""
        probabilities: Matrix = special.expit(self.decision_function(X))
        return probabilities

    def predict(self, X: Matrix) -> NDArray[np.int8]:
        """Return the labels that are more likely than not, 0/1 [N, L]."""
        return (self.decision_function(X) > 0).astype(np.int8)


def _minimise(
    X: Matrix, Y: Matrix, weights: Matrix, C: float, tol: float, max_iter: int
) -> tuple[Matrix, int]:
    """Return the weights [D + 1, L] of the least objective, and the number of steps."""
    weights = weights.copy()
    positive = Y.sum(axis=0)
    enough = tol * np.minimum(positive, len(X) - positive)
    penalty = np.full((X.shape[1], 1), 1 / C, np.float32)
    penalty[-1] = 0
    active = np.arange(Y.shape[1])
    steps = 0
    while active.size and steps < max_iter:
        steps += 1
        w, y = weights[:, active], Y[:, active]
        logits = X @ w
        probabilities = special.expit(logits)
        gradient = X.T @ (probabilities - y) + penalty * w
        unfinished = np.abs(gradient).max(axis=0) > enough[active]
        if not unfinished.any():
            break
        active, w, y = active[unfinished], w[:, unfinished], y[:, unfinished]
        curvature = (probabilities * (1 - probabilities))[:, unfinished]
        direction = _newton_direction(X, curvature, gradient[:, unfinished], penalty)
        lengths = _step_lengths(logits[:, unfinished], X @ direction, y, w, direction, penalty)
        weights[:, active] = w + lengths * direction
        active = active[lengths > 0]  # no shorter step helps: at the limit of float32
    return weights, steps


def _newton_direction(
    X: Matrix, curvature: Matrix, gradient: Matrix, penalty: Matrix, most: int = 100
) -> Matrix:
    """Solve (X' diag(curvature) X + penalty) d = -gradient for each label by conjugate gradients.

    It is solved the more precisely the smaller the gradient is, so that Newton's method keeps its
    fast convergence (Nocedal and Wright, Numerical Optimization, 2nd ed., algorithm 7.1).
    """
    direction = np.zeros_like(gradient)
    residual = -gradient
    search = residual.copy()
    square = (residual**2).sum(axis=0)
    size = np.sqrt(square) / len(X)
    goal = (np.minimum(0.25, np.sqrt(size)) ** 2) * square
    for _ in range(most):
        running = square > goal
        if not running.any():
            break
        curved = X.T @ (curvature * (X @ search)) + penalty * search
        along = (search * curved).sum(axis=0)
        length = np.where(running & (along > 0), square / np.maximum(along, 1e-30), 0)
        direction += length * search
        residual -= length * curved
        previous, square = square, (residual**2).sum(axis=0)
        search = residual + np.where(running, square / np.maximum(previous, 1e-30), 0) * search
        square = np.where(running, square, 0)
    return direction


def _step_lengths(
    logits: Matrix, change: Matrix, y: Matrix, w: Matrix, direction: Matrix, penalty: Matrix
) -> Matrix:
    """Return for each label the first of 1, 1/2, 1/4, ... that lowers its objective, else 0 [L]."""

    def objective(length: Matrix) -> Matrix:
        z = logits + length * change
        # log(1 + e^z) - y z in double precision, as `length` is: the differences are small.
        losses = np.logaddexp(0, z) - y * z
        moved = w + length * direction
        total: Matrix = losses.sum(axis=0, dtype=np.float64) + 0.5 * (penalty * moved**2).sum(
            axis=0, dtype=np.float64
        )
        return total

    lengths = np.ones(y.shape[1])
    before = objective(np.zeros_like(lengths))
    for _ in range(20):
        worse = objective(lengths) >= before
        if not worse.any():
            break
        lengths[worse] /= 2
    lengths[objective(lengths) >= before] = 0
    return lengths
