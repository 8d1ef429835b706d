"""Stratified folds as a splitter of scikit-learn: several labels an image, groups kept together."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.model_selection import BaseCrossValidator

from replearn.concepts.splitting.stratification import stratify
from replearn.errors import DataError, UsageError


class MultiLabelStratifiedGroupKFold(BaseCrossValidator):  # type: ignore[misc]
    """Folds in which each label is as frequent as in all images, and no group is divided.

    Works wherever scikit-learn takes a splitter, as in `cross_val_predict(..., cv=...)`.

    Example:
        >>> folds = replearn.MultiLabelStratifiedGroupKFold(3, random_state=1)
        >>> Y = np.tile([[1, 0], [0, 1], [1, 1]], (20, 1))  # 0/1 [N, L]
        >>> patients = np.arange(60) // 2
        >>> [len(test) for _, test in folds.split(Y, Y, patients)]
        [20, 20, 20]
    """

    # Asks for groups where scikit-learn routes metadata, as its own group splitters do.
    __metadata_request__split = {"groups": True}  # noqa: RUF012

    def __init__(self, n_splits: int = 5, *, random_state: int = 0) -> None:
        """Set the number of folds.

        Args:
            n_splits: number of folds K, at least 2.
            random_state: the same one gives the same folds.

        Raises:
            UsageError: fewer than two folds, or a random state below 0.
        """
        if n_splits < 2 or random_state < 0:
            raise UsageError(
                f"n_splits {n_splits}, random_state {random_state}: give at least 2 folds, and a "
                "random state of at least 0"
            )
        self.n_splits = n_splits
        self.random_state = random_state

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield the rows to learn from and the rows to test on, for each fold.

        Args:
            X: anything of length N; only its length counts.
            y: 0/1 [N, L], dense or sparse, or one label for each image [N].
            groups: of each image [N]; without them, each image is on its own.

        Raises:
            DataError: lengths differ, there are no labels, or there are fewer groups than folds.
        """
        yield from super().split(X, y, groups)

    def _iter_test_indices(
        self, X: Any = None, y: Any = None, groups: Any = None
    ) -> Iterator[NDArray[np.intp]]:
        labels = _labels(y)
        count = labels.shape[0]
        given = np.arange(count) if groups is None else np.asarray(groups)
        if given.shape != (count,):
            raise DataError(f"groups {list(given.shape)} for {count} images; give one for each")
        names, numbers = np.unique(given, return_inverse=True)
        if len(names) < self.n_splits:
            raise DataError(
                f"{len(names)} groups for {self.n_splits} folds; give fewer folds or more groups"
            )
        shares = np.full(self.n_splits, 1 / self.n_splits)
        part = stratify(labels, numbers.astype(np.intp), shares, self.random_state)
        for fold in range(self.n_splits):
            yield np.flatnonzero(part == fold)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds."""
        return self.n_splits


def _labels(y: Any) -> sparse.csr_array:
    if y is None:
        raise DataError("y is None; give the labels that folds are stratified by, 0/1 [N, L]")
    given: Any = y if sparse.issparse(y) else np.asarray(y)
    if given.ndim == 1:  # one label an image: a column for each
        given = given[:, None] == np.unique(given)
    if given.ndim != 2:
        raise DataError(f"labels {list(given.shape)} where 0/1 [N, L] is expected")
    return sparse.csr_array(given, dtype=np.float64)
