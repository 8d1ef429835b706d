"""Logistic regression for many labels over shared features.

One model for each label, with scikit-learn's objective and its meaning of C:
C * sum of log-losses + |w|^2 / 2, the intercept free.  The features are standardised inside, or C
would mean something else for every encoder.
"""

from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

from replearn.errors import DataError

Matrix = NDArray[np.floating[Any]]


class MultiLabelLogisticRegression(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """L2-penalised logistic regression of L labels on the same features.

    Attributes:
        coef_: weights on the standardised features, float32 [L, D].
        intercept_: float32 [L].
        mean_: subtracted from the features, float32 [D].
        scale_: the features are divided by it, float32 [D].
    """

    def __init__(
        self,
        C: float = 1.0,
        standardize: bool = True,
        max_iter: int = 1000,
        tol: float = 1e-4,
        n_jobs: int | None = None,
    ) -> None:
        self.C = C
        self.standardize = standardize
        self.max_iter = max_iter
        self.tol = tol
        self.n_jobs = n_jobs

    def fit(self, X: Matrix, Y: sparse.csr_array) -> "MultiLabelLogisticRegression":
        """Fit every label.

        Args:
            X: features float [N, D].
            Y: 0/1 [N, L], sparse or dense.

        Raises:
            DataError: the numbers of rows differ, or X holds NaN or infinity.
        """
        if X.shape[0] != Y.shape[0]:
            raise DataError(f"{X.shape[0]} rows of features for {Y.shape[0]} rows of labels")
        X = np.asarray(X)
        if not np.isfinite(X).all():
            row = int(np.argmin(np.isfinite(X).all(axis=1)))
            raise DataError(f"row {row} of the features holds NaN or infinity")
        self.mean_, self.scale_ = self._moments(X)
        standard = (X - self.mean_) / self.scale_
        labels = sparse.csc_array(Y)
        # joblib hands a large matrix to its workers as a memory map, not as copies.
        solutions = joblib.Parallel(n_jobs=self.n_jobs)(
            joblib.delayed(_fit_label)(
                standard, labels[:, [label]].toarray().ravel(), self.C, self.max_iter, self.tol
            )
            for label in range(labels.shape[1])
        )
        self.coef_ = np.array([weights for weights, _ in solutions], dtype=np.float32)
        self.coef_ = self.coef_.reshape(labels.shape[1], X.shape[1])
        self.intercept_ = np.array([intercept for _, intercept in solutions], dtype=np.float32)
        self.n_features_in_ = X.shape[1]
        return self

    def _moments(self, X: Matrix) -> tuple[Matrix, Matrix]:
        if not self.standardize:
            return np.zeros(X.shape[1], np.float32), np.ones(X.shape[1], np.float32)
        scale = X.std(axis=0, dtype=np.float64)
        # A constant feature says nothing; dividing by one keeps it at zero.
        scale[scale <= 1e-6 * max(scale.max(initial=0), 1e-30)] = 1.0
        return X.mean(axis=0, dtype=np.float64).astype(np.float32), scale.astype(np.float32)

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


def _fit_label(
    X: Matrix, y: NDArray[np.floating[Any]], C: float, max_iter: int, tol: float
) -> tuple[Matrix, float]:
    """Return weights [D] and intercept of one label."""
    positive = float(y.mean())
    if positive in (0.0, 1.0):  # nothing to learn: the constant that an expit can still hold
        return np.zeros(X.shape[1], np.float32), 20.0 if positive else -20.0
    model = LogisticRegression(C=C, max_iter=max_iter, tol=tol).fit(X, y)
    return model.coef_[0], float(model.intercept_[0])
