"""Logistic regression for many labels over shared features, all labels at once.

Every label has scikit-learn's objective and its meaning of C,

    C * sum_i (log(1 + exp(z_i)) - y_i z_i)  +  (1 - r) |w|^2 / 2  +  r |w|_1,    z = x w + b,

b free and r the share of L1.  All gradients together take two matrix products, so what counts is
the number of passes over the features.  `lbfgs` keeps it low: one eigendecomposition of the
covariance preconditions all labels, and each learns the rest of its curvature from its own steps.
"""

import warnings
from dataclasses import dataclass, replace
from typing import Any, Literal

import h5py
import joblib
import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from replearn.arrays import Floats
from replearn.artefacts.disk_rows import DiskRows, Segment, is_file_backed
from replearn.detection.label_matrix import label_matrix
from replearn.detection.logistic.lbfgs import minimise
from replearn.detection.logistic.loss import LogisticLoss
from replearn.detection.logistic.standardised_rows import (
    RowSource,
    StandardisedRows,
    StoredRows,
    check_finite,
    each_block,
    moments,
)
from replearn.errors import DataError
from replearn.features import Features

_CERTAIN = 20.0  # logit of a label that all training images have, or (negative) none


class MultiLabelLogisticRegression(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Penalised logistic regression of L labels on the same features.

    Features are standardised inside, or C would mean something else for every encoder.  They may
    be an array, a memory map, `Features`, or an HDF5 dataset that is larger than memory.

    Attributes:
        coef_: weights on the standardised features, float32 [L, D]; `folded` gives others.
        intercept_: float32 [L].
        mean_: subtracted from the features, float64 [D].
        scale_: the features are divided by it, float64 [D].
        classes_: the number of each label, the columns of Y [L].
        label_dtype_: of the labels that it was fitted on.
        n_features_in_: D.
        n_iter_: passes over the features for the slowest label.

    Example:
        >>> X, Y = np.random.default_rng(0).normal(size=(40, 5)), np.eye(40, 3)
        >>> model = replearn.MultiLabelLogisticRegression(C=0.1).fit(X, Y)
        >>> model.predict_proba(X).shape, model.predict(X).shape
        ((40, 3), (40, 3))
    """

    def __init__(
        self,
        C: float = 1.0,
        penalty: Literal["l2", "l1", "elasticnet"] = "l2",
        l1_ratio: float = 0.5,
        standardize: bool = True,
        max_iter: int = 500,
        tol: float = 2e-7,
        warm_start: bool = False,
        memory: float = 4e9,
        n_jobs: int | None = None,
        device: str | None = None,
    ) -> None:
        """Set the penalty and when to stop.

        Args:
            C: weight of the losses against the penalty.
            penalty: on the squares of the weights, their sizes, or both.
            l1_ratio: share of the sizes in `elasticnet`, 0 to 1.
            standardize: whether to bring features to mean 0 and standard deviation 1 first.
            max_iter: passes over the features at most.
            tol: a label is done when its objective is this close to the least one, relative to
                it, as far as the curvature seen so far tells.
            warm_start: whether `fit` begins at the last solution, as along a path of C.
            memory: bytes for a copy of the standardised features (a GPU gives half of what is
                free there); where it is not enough for all, each pass makes them anew, reading
                from where they lie.
            n_jobs: tasks that share the labels, as joblib and its backend understand it; each
                reads the features from where they lie.
            device: where torch does the passes, as `cuda`; None for NumPy.
        """
        self.C = C
        self.penalty = penalty
        self.l1_ratio = l1_ratio
        self.standardize = standardize
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.memory = memory
        self.n_jobs = n_jobs
        self.device = device

    def fit(
        self, X: RowSource | Features, Y: sparse.csr_array | NDArray[Any]
    ) -> "MultiLabelLogisticRegression":
        """Fit every label.

        A label that all rows have, or none, is predicted with certainty.

        Args:
            X: features float [N, D].
            Y: 0/1 [N, L], sparse or dense.

        Raises:
            DataError: the numbers of rows differ, X holds NaN or infinity, Y is not 0/1, or a
                setting does not fit.
        """
        share = self._checked_share()
        source, labels = self._rows(X, reset=True), label_matrix(Y)
        if source.shape[0] != labels.shape[0]:
            raise DataError(
                f"{source.shape[0]} rows of features for {labels.shape[0]} rows of labels"
            )
        mean, scale = _scaling(source, self.standardize)
        rate = np.asarray(labels.sum(axis=0, dtype=np.float64)) / source.shape[0]
        weights = self._start(rate, mean, scale)
        solver = _Solver(1 / self.C, share, self.tol, self.max_iter, self.memory, self.device)
        groups = _groups(np.flatnonzero((rate > 0) & (rate < 1)), self.n_jobs)
        if len(groups) > 1:
            source = _sendable(source)
            solver = replace(solver, memory=self.memory / len(groups))
        solutions = joblib.Parallel(n_jobs=self.n_jobs)(
            joblib.delayed(solver.solve)(source, mean, scale, labels[:, group], weights[:, group])
            for group in groups
        )
        passes = np.zeros(len(rate), np.intp)
        for group, (solution, iterations) in zip(groups, solutions, strict=True):
            weights[:, group], passes[group] = solution, iterations
        self.n_iter_ = min(int(passes.max(initial=0)), self.max_iter)
        self._warn_if_unfinished(int((passes > self.max_iter).sum()), len(rate))
        self._keep(weights, mean, scale)
        self.label_dtype_ = Y.dtype if hasattr(Y, "dtype") else np.asarray(Y).dtype
        self.classes_ = np.arange(len(rate))  # as OneVsRestClassifier has them
        return self

    def folded(self) -> tuple[Floats, Floats]:
        """Return weights [L, D] and intercepts [L] on the features as they are, float32.

        Where a feature's mean is many times its standard deviation, `decision_function`, which
        standardises first, is more precise.
        """
        check_is_fitted(self)
        coef = self.coef_ / self.scale_
        intercept = self.intercept_ - coef @ self.mean_
        return coef.astype(np.float32), intercept.astype(np.float32)

    def decision_function(self, X: RowSource | Features) -> Floats:
        """Return the logit of each label, float32 [N, L], for features [N, D]."""
        check_is_fitted(self)
        rows = self._rows(X, reset=False)
        weights = np.vstack([self.coef_.T, self.intercept_])
        standardised = StandardisedRows(rows, self.mean_, self.scale_, memory=0)
        logits = np.empty((rows.shape[0], len(self.coef_)), np.float32)

        def fill(block: slice) -> None:
            np.matmul(standardised[block], weights, out=logits[block])

        list(each_block(fill, len(logits)))
        if not np.isfinite(logits).all():
            check_finite(rows)
        return logits

    def predict_proba(self, X: RowSource | Features) -> Floats:
        """Return the probability of each label, float32 [N, L], for features [N, D]."""
        probabilities: Floats = special.expit(self.decision_function(X))
        return probabilities

    def predict(self, X: RowSource | Features) -> NDArray[Any]:
        """Return the labels that are more likely than not, 0/1 [N, L], of the type of Y."""
        return (self.decision_function(X) > 0).astype(self.label_dtype_)

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        tags.target_tags.two_d_labels = True
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.multi_label = True
        return tags

    def _rows(self, X: RowSource | Features, *, reset: bool) -> RowSource:
        rows = _by_path(X.vectors if isinstance(X, Features) else X)
        if not isinstance(rows, h5py.Dataset | DiskRows):
            # `moments` names the rows that are not finite.
            kinds = [np.float64, np.float32, np.float16]
            options = {"reset": reset, "dtype": kinds, "ensure_all_finite": False}
            return np.asarray(validate_data(self, rows, **options))
        if reset:
            if len(rows.shape) != 2 or 0 in rows.shape:
                raise DataError(
                    f"features {list(rows.shape)} where [N, D] is expected, at least one of each"
                )
            self.n_features_in_ = rows.shape[1]
        if rows.shape[1:] != (self.n_features_in_,):
            raise DataError(
                f"features {list(rows.shape)} where [N, {self.n_features_in_}] is expected"
            )
        return rows

    def _checked_share(self) -> float:
        shares = {"l2": 0.0, "l1": 1.0, "elasticnet": self.l1_ratio}
        if not self.C > 0:
            raise DataError(f"C {self.C}: it must be above 0")
        if self.penalty not in shares:
            raise DataError(f"penalty {self.penalty!r}: known are {', '.join(shares)}")
        if not 0 <= self.l1_ratio <= 1:
            raise DataError(f"l1_ratio {self.l1_ratio}: it must be from 0 to 1")
        for name, value in (("max_iter", self.max_iter), ("tol", self.tol)):
            if not value >= 0:
                raise DataError(f"{name} {value}: it must not be below 0")
        return shares[self.penalty]

    def _start(self, rate: Floats, mean: Floats, scale: Floats) -> Floats:
        """Return where to begin [D + 1, L]: the prevalences, or the last solution."""
        weights = np.zeros((len(mean) + 1, len(rate)))
        with np.errstate(divide="ignore"):
            weights[-1] = np.clip(special.logit(rate), -_CERTAIN, _CERTAIN)
        if self.warm_start and hasattr(self, "coef_"):
            if self.coef_.shape != (len(rate), len(mean)):
                return weights
            # What was certain has no weights, and there is no way back from it: the loss is flat.
            known = self.coef_.any(axis=1) & (rate > 0) & (rate < 1)
            coef = self.coef_[known] / self.scale_
            weights[:-1, known] = (coef * scale).T
            weights[-1, known] = self.intercept_[known] + coef @ (mean - self.mean_)
        return weights

    def _warn_if_unfinished(self, count: int, labels: int) -> None:
        if count:
            warnings.warn(
                f"C {self.C:g}: {count} of {labels} labels are not at their optimum after "
                f"{self.max_iter} passes; raise max_iter or lower C",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _keep(self, weights: Floats, mean: Floats, scale: Floats) -> None:
        intercepts = weights[-1]
        if not self.standardize:  # the features were centred only for the solver
            intercepts = intercepts - mean @ weights[:-1]
            mean = np.zeros_like(mean)
        self.mean_, self.scale_ = mean, scale
        self.coef_ = np.ascontiguousarray(weights[:-1].T, np.float32)
        self.intercept_ = intercepts.astype(np.float32)


@dataclass(frozen=True)
class _Solver:
    """The settings of the solver; small, because they are sent to other processes."""

    weight_of_penalty: float
    l1_share: float
    tol: float
    max_iter: int
    memory: float
    device: str | None

    def solve(
        self,
        source: RowSource,
        mean: Floats,
        scale: Floats,
        labels: sparse.csr_array,
        start: Floats,
    ) -> tuple[Floats, NDArray[np.intp]]:
        """Return the weights [D + 1, L] of these labels, and the passes that each took [L]."""
        rows = StandardisedRows(source, mean, scale, self.memory if self.device is None else 0)
        through = None
        if self.device is not None:
            # torch only where it is asked for
            from replearn.detection.logistic.loss_torch import device_pass

            through = device_pass(rows, self.device, self.memory)
        loss = LogisticLoss(rows, labels, (1 - self.l1_share) * self.weight_of_penalty, through)
        precondition, l1 = loss.precondition, None
        if self.l1_share:
            precondition = loss.precondition_diagonally
            l1 = np.full((len(start), 1), self.l1_share * self.weight_of_penalty)
            l1[-1] = 0  # the intercept is free
        return minimise(loss, start, precondition, tol=self.tol, max_iter=self.max_iter, l1=l1)


def _scaling(source: RowSource, standardize: bool) -> tuple[Floats, Floats]:
    mean, scale = moments(source)
    if not standardize:
        return mean, np.ones_like(scale)
    # A constant feature says nothing: dividing its rounding errors by one keeps it at zero.  Nor
    # does one that is all but zero, as of a saturated unit: its weight would be beyond float32.
    scale[scale <= np.maximum(1e-6 * np.abs(mean), 1e-30)] = 1.0
    return mean, scale


def _groups(labels: NDArray[np.intp], n_jobs: int | None) -> list[NDArray[np.intp]]:
    """Share labels out to processes: frequent ones take fewer passes, so each gets of all sorts."""
    jobs = joblib.effective_n_jobs(n_jobs)
    return [labels[first::jobs] for first in range(min(jobs, len(labels)))]


def _by_path(rows: RowSource) -> RowSource:
    """Return a memory map of a file as rows that travel by its path; all others as they are."""
    return DiskRows([Segment.of(rows)]) if is_file_backed(rows) else rows


def _sendable(source: RowSource) -> RowSource:
    """Return what other processes read the features from; only arrays in memory are sent."""
    if isinstance(source, h5py.Dataset):
        return StoredRows(source.file.filename, source.name, source.shape)
    return source
