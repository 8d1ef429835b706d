"""The contract of search engines, the space that they search in, and the merging of hits.

Cosine is the inner product of normalised vectors.  For L2 the mean of the indexed vectors is
subtracted from both sides first: distances do not change, but batched kernels compute
|x|^2 + |y|^2 - 2xy, which loses all digits where the mean is large.
"""

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Vectors
from replearn.artefacts.disk_rows import is_file_backed
from replearn.errors import UsageError

Metric = Literal["cosine", "l2"]

_ROWS = 65536  # that are copied at a time


class Hits(NamedTuple):
    """The nearest of each query, nearest first.

    Attributes:
        distances: 1 - cosine or the unsquared L2, ascending, float32 [M, k].
        rows: of the indexed vectors, int64 [M, k]; -1 at distance infinity where there are fewer.
    """

    distances: NDArray[np.float32]
    rows: NDArray[np.int64]

    def without(self, left_out: NDArray[np.bool_], k: int) -> "Hits":
        """Return the first k of each query that are not left out, bool [M, k]; -1 fills up."""
        order = np.argsort(left_out | (self.rows < 0), axis=1, kind="stable")[:, :k]
        distances, rows = (np.take_along_axis(found, order, axis=1) for found in self)
        unfilled = np.take_along_axis(left_out, order, axis=1)
        return Hits(np.where(unfilled, np.float32(np.inf), distances), np.where(unfilled, -1, rows))


@dataclass(frozen=True)
class Space:
    """A metric, and the transformation of vectors that it takes.

    Attributes:
        metric: `cosine` or `l2`.
        centre: subtracted before L2, float32 [D]; zero for cosine.
    """

    metric: Metric
    centre: NDArray[np.float32]

    @property
    def width(self) -> int:
        """Return D."""
        return len(self.centre)

    def transform(self, vectors: Vectors) -> NDArray[np.float32]:
        """Return a copy of vectors [M, D], float32 in C order, normalised or centred."""
        transformed = np.array(vectors, dtype=np.float32, order="C")
        if self.metric == "l2":
            transformed -= self.centre
            return transformed
        # In double precision: squares of float32 overflow above 1e19 and vanish below 1e-19.
        norms = np.sqrt(np.einsum("md,md->m", transformed, transformed, dtype=np.float64))
        transformed /= np.where(norms > 0, norms, 1)[:, None].astype(np.float32)
        return transformed

    def to_hits(self, values: NDArray[np.float32], rows: NDArray[np.int64]) -> Hits:
        """Return hits from what kernels compute: inner products or squared L2 distances [M, k]."""
        cosine = self.metric == "cosine"
        distances = np.maximum(1 - values if cosine else values, 0)
        if not cosine:
            np.sqrt(distances, out=distances)
        distances[rows < 0] = np.inf
        return Hits(distances, rows)


class Engine(Protocol):
    """N vectors that can be searched, wherever they lie; an index adds their ids."""

    kind: ClassVar[str]

    @property
    def space(self) -> Space:
        """The space in which the vectors are compared."""
        ...

    @property
    def exact(self) -> bool:
        """True if the search always finds the nearest."""
        ...

    def __len__(self) -> int: ...

    def search(self, vectors: Vectors, k: int) -> Hits:
        """Return the k nearest of each vector [M, D], where k is 1 to N."""
        ...

    def vectors(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """Return indexed vectors [M, D] as far as they are kept: direction alone for cosine."""
        ...

    def add(self, vectors: Vectors) -> None:
        """Append vectors [M, D] as the rows N to N + M - 1.

        Raises:
            UsageError: the engine cannot add vectors.
        """
        ...

    def remove(self, rows: NDArray[np.int64]) -> None:
        """Take rows out; those behind them move up.

        Raises:
            UsageError: the engine cannot remove vectors.
        """
        ...

    def save(self, folder: Path) -> dict[str, Any]:
        """Write binary parts into a folder, and return all other facts, for JSON."""
        ...


class ReadOnlyEngine:
    """An engine that can only be searched; it refuses everything else, with a remedy.

    Attributes:
        description: of the engine, for messages.
        remedy: what to do instead.
    """

    description: ClassVar[str]
    remedy: ClassVar[str]

    def add(self, vectors: Vectors) -> None:
        """Refuse.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"{self.description} takes no vectors; {self.remedy}")

    def remove(self, rows: NDArray[np.int64]) -> None:
        """Refuse.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"{self.description} gives no vectors back; {self.remedy}")

    def save(self, folder: Path) -> dict[str, Any]:
        """Refuse.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"{self.description} is not saved; {self.remedy}")


def even_blocks(count: int, most: int) -> Iterator[slice]:
    """Yield slices of 0 to `count`, as few and as even as none being longer than `most` allows.

    Kernels are slow on a small remainder.
    """
    return even_parts(count, -(-count // most))


def even_parts(count: int, number: int) -> Iterator[slice]:
    """Yield so many slices of 0 to `count`, as even as can be."""
    edges = np.linspace(0, count, number + 1).astype(int).tolist()
    yield from (slice(start, stop) for start, stop in pairwise(edges))


def blocks_of(vectors: Vectors) -> Iterator[Vectors]:
    """Yield vectors [N, D] some rows at a time; a memory map gives back what was read."""
    for some in even_blocks(len(vectors), _ROWS):
        block = vectors[some]
        yield block
        if is_file_backed(block):  # else all that was read would stay resident
            block._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


def merge(parts: Sequence[Hits], k: int) -> Hits:
    """Return the k nearest of several hits of the same queries; ties by row.

    Args:
        parts: the hits in each part, with rows counted over all parts.
        k: how many to keep; there may be fewer.
    """
    distances = np.concatenate([part.distances for part in parts], axis=1)
    rows = np.concatenate([part.rows for part in parts], axis=1)
    order = np.lexsort((rows, distances), axis=1)[:, :k]
    return Hits(
        np.take_along_axis(distances, order, axis=1), np.take_along_axis(rows, order, axis=1)
    )
