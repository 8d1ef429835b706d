"""Features with mean 0 and standard deviation 1, in blocks of rows, from memory or from a file.

Every pass over the features goes block by block, on as many threads as the matrix products would
use.  So nothing is as large as the features except, where a budget allows it, one copy of them.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, TypeVar

import h5py
import numpy as np
from threadpoolctl import ThreadpoolController

from replearn.arrays import Floats, fit_float32
from replearn.errors import DataError

Result = TypeVar("Result")

BLOCK = 2048  # rows: matrix products are near their full speed, and their results still in cache


class RowSource(Protocol):
    """An array, a memory map or an HDF5 dataset of features [N, D]."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, D)."""
        ...

    def __getitem__(self, rows: slice, /) -> Any:
        """Return some rows as an array."""
        ...


@dataclass(frozen=True)
class StoredRows:
    """An HDF5 dataset by its name, which, unlike the open one, can be sent to another process.

    Attributes:
        path: of the file.
        name: of the dataset.
        shape: (N, D).
    """

    path: str
    name: str
    shape: tuple[int, ...]

    def __getitem__(self, rows: slice) -> Any:
        """Return some rows as an array."""
        with h5py.File(self.path, "r") as file:
            return file[self.name][rows]


def moments(X: RowSource) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each feature, float64 [D].

    Raises:
        DataError: a row holds NaN or infinity, or a number beyond float32.
    """
    shift = np.asarray(X[:1], np.float64)[0]  # or squares of large means would swamp it

    beyond = 0.0 if not fit_float32(shift[None]).all() else float(np.finfo(np.float32).max) ** 2

    def sums(rows: slice) -> tuple[Floats, Floats]:
        with np.errstate(invalid="ignore", over="ignore"):
            block = np.asarray(X[rows], np.float64) - shift
            total, squares = block.sum(axis=0), np.einsum("nd,nd->d", block, block)
        if not (squares <= beyond).all():
            check_finite(X)
        return total, squares

    pairs = list(each_block(sums, X.shape[0]))
    mean = np.sum([total for total, _ in pairs], axis=0) / X.shape[0]
    variance = np.sum([squares for _, squares in pairs], axis=0) / X.shape[0] - mean**2
    return mean + shift, np.sqrt(np.maximum(variance, 0))


def check_finite(X: RowSource, name: str = "the features", *, first: int = 0) -> None:
    """Refuse rows with NaN or infinity, or a number beyond float32.

    Args:
        X: features [N, D].
        name: of all features in messages.
        first: number of the first of these rows among all.

    Raises:
        DataError: there are some; the message has the numbers of the first ones.
    """
    bad: list[int] = []
    for rows in _slices(X.shape[0]):
        fitting = fit_float32(np.asarray(X[rows]))
        bad += [first + rows.start + int(row) for row in np.flatnonzero(~fitting)]
        if len(bad) > 2:
            break
    if bad:
        raise DataError(
            f"row {', '.join(map(str, bad[:3]))} of {name} holds NaN or infinity, or a "
            "number beyond float32; leave such rows out or extract the features again"
        )


class StandardisedRows:
    """The rows (X - mean) / scale, each with a last entry of 1 for the intercept, float32.

    Attributes:
        shape: (N, D + 1).
    """

    def __init__(self, X: RowSource, mean: Floats, scale: Floats, memory: float) -> None:
        """Keep all rows if they take at most `memory` bytes, else make them when asked for."""
        self.shape = (X.shape[0], X.shape[1] + 1)
        self._source, self._mean, self._scale = X, mean, scale
        self._ready: Floats | None = None
        if 4 * self.shape[0] * self.shape[1] <= memory:
            ready = np.empty(self.shape, np.float32)

            def fill(rows: slice) -> None:
                ready[rows] = self[rows]

            list(each_block(fill, self.shape[0]))
            self._ready = ready

    def __getitem__(self, rows: slice) -> Floats:
        """Return some rows [n, D + 1]."""
        if self._ready is not None:
            return self._ready[rows]
        block = np.asarray(self._source[rows])
        extended = np.ones((len(block), self.shape[1]), np.float32)
        extended[:, :-1] = (block - self._mean) / self._scale
        return extended


def each_block(work: Callable[[slice], Result], count: int) -> Iterator[Result]:
    """Yield what `work` returns for each block of `count` rows, in their order.

    The blocks are shared out to threads.  Within one, a matrix product takes a single thread, so
    that what lies between the products runs on all cores too.
    """
    slices = _slices(count)
    blas = _blas()
    threads = min(max((library["num_threads"] for library in blas.info()), default=1), len(slices))
    if threads < 2:
        yield from map(work, slices)
        return
    with blas.limit(limits=1), ThreadPoolExecutor(threads) as pool:
        begun: deque[Future[Result]] = deque()
        for rows in slices:
            begun.append(pool.submit(work, rows))
            if len(begun) > 2 * threads:  # results may be large: no more of them than needed
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()


def _slices(count: int) -> list[slice]:
    return [slice(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK)]


@cache  # looking for the libraries takes milliseconds
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")
