"""Rows that lie in several files, one after another, and are read when they are used."""

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard, cast

import numpy as np

from replearn.arrays import Array
from replearn.errors import DataError

_BLOCK = 4096  # rows that are in memory at a time, where all are gone through


@dataclass(frozen=True)
class Segment:
    """Rows that lie contiguous in one file.

    Attributes:
        path: of the file.
        offset: of the first row, in bytes.
        dtype: NumPy's name of the numbers' type.
        shape: [n, ...].
        stamp: size and time of the file that is meant, if it must not be another one of this name.
    """

    path: str
    offset: int
    dtype: str
    shape: tuple[int, ...]
    stamp: tuple[int, int] | None = None

    @classmethod
    def of(cls, rows: np.memmap[Any, Any]) -> "Segment":
        """Return where the rows of a memory map that `is_file_backed`, or of a part of one, lie.

        Raises:
            DataError: another file has taken its place.
        """
        whole = np.frombuffer(rows._mmap, np.uint8)  # type: ignore[attr-defined]
        begin = rows.offset - rows.offset % mmap.ALLOCATIONGRANULARITY
        offset = begin + rows.ctypes.data - whole.ctypes.data
        path = str(rows.filename)
        found = cls(path, offset, rows.dtype.str, rows.shape, stamp_of(path))
        # A map goes on showing a file that has been replaced, which its path no longer leads to.
        some = evenly_spaced(len(rows), 16)
        if not np.array_equal(found.map()[some], rows[some], equal_nan=True):
            raise _replaced(path)
        return found

    def map(self) -> Array:
        """Return the rows as a memory map.

        Raises:
            DataError: the file is gone, or another one.
        """
        if not self.shape[0]:  # nothing cannot be mapped
            return np.empty(self.shape, self.dtype)
        try:
            rows = np.memmap(self.path, self.dtype, "r", self.offset, self.shape)
            same = self.stamp in (None, stamp_of(self.path))
        except (OSError, ValueError):  # of a file that has become too short
            same = False
        if not same:
            raise _replaced(self.path)
        return rows


def stamp_of(path: str) -> tuple[int, int]:
    """Return what tells a file from another one that takes its name: its size and time.

    Raises:
        DataError: there is none.
    """
    try:
        found = Path(path).stat()
    except OSError:
        raise _replaced(path) from None
    return found.st_size, found.st_mtime_ns


def _replaced(path: str) -> DataError:
    return DataError(f"{path}: removed or replaced while it was in use; run this again")


def is_file_backed(rows: Any) -> TypeGuard[np.memmap[Any, Any]]:
    """Tell whether rows are what a file holds, one after another, and nothing else."""
    # One that can be written to may hold what the file does not; and copies of maps, which lie in
    # memory, are called maps by NumPy too.
    return (
        isinstance(rows, np.memmap)
        and rows.mode == "r"
        and rows._mmap is not None  # type: ignore[attr-defined]
        and rows.flags.c_contiguous
    )


def as_array(rows: "DiskRows") -> Array:
    """Return the same object, for whoever asks of an array no more than `DiskRows` offers."""
    return cast(Array, rows)


def evenly_spaced(count: int, most: int) -> Array:
    """Return numbers of rows from all over `count`, at most so many, the same at every call."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.intp))


def select_rows(rows: Array, chosen: Sequence[int] | Array) -> Array:
    """Return rows [M, ...] of a file's memory map or of `DiskRows` without reading them."""
    places = np.array(chosen, np.int64)
    if is_file_backed(rows):
        return as_array(DiskRows([Segment.of(rows)]).take(places))
    return as_array(rows.take(places)) if isinstance(rows, DiskRows) else rows[places]


class DiskRows:
    """An array [N, ...] of rows on disk; what travels to another process are paths and numbers.

    It offers what the library asks of an array of rows: a length, a shape, any choice of rows as
    an array, and products and means that hold only a block in memory.
    """

    def __init__(self, segments: Sequence[Segment], chosen: Array | None = None) -> None:
        """Join segments of one type and one shape of row.

        Args:
            segments: in the order of their rows; at least one.
            chosen: which of all these rows are meant, in this order; all of them if None.
        """
        self._segments = list(segments)
        self._chosen = chosen
        self._starts = np.cumsum([0, *(segment.shape[0] for segment in segments)])
        self._maps: dict[int, Array] = {}
        count = int(self._starts[-1]) if chosen is None else len(chosen)
        self.dtype = np.dtype(segments[0].dtype)
        self.shape = (count, *segments[0].shape[1:])
        self.ndim = len(self.shape)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_maps": {}}

    @property
    def nbytes(self) -> int:
        """Size of all rows in bytes."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Array]:
        return (row for block in self.blocks() for row in block)

    def blocks(self, size: int = _BLOCK) -> Iterator[Array]:
        """Yield all rows in their order, [<= size, ...] at a time."""
        return (self[start : start + size] for start in range(0, len(self), size))

    def take(self, rows: Array) -> "DiskRows":
        """Choose rows [M] of these without reading them; only their files go along."""
        rows = np.asarray(rows, np.int64)
        whole = rows if self._chosen is None else self._chosen[rows]
        places = np.searchsorted(self._starts, whole, side="right") - 1
        used, numbers = np.unique(places, return_inverse=True)
        segments = [self._segments[place] for place in used.tolist()] or self._segments[:1]
        starts = np.cumsum([0, *(segment.shape[0] for segment in segments)])
        moved = whole - self._starts[places] + starts[numbers] if len(whole) else whole
        return DiskRows(segments, moved)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple):
            return self[key[0]][(slice(None), *key[1:])]
        if isinstance(key, (int, np.integer)):
            return self[np.array([key])][0]
        if isinstance(key, slice):
            return self._read(np.arange(*key.indices(len(self))))
        rows = np.asarray(key)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
        if len(rows) and not -len(self) <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"row {rows.max()} of {len(self)}")
        return self._read(rows % max(len(self), 1))

    def _read(self, rows: Array) -> Array:
        """Return rows [M, ...], one file at a time; neighbours of one file stay a view."""
        whole = rows if self._chosen is None else self._chosen[rows]
        places = np.searchsorted(self._starts, whole, side="right") - 1
        used = np.unique(places).tolist()
        if len(used) == 1 and (np.diff(whole) == 1).all():
            first = int(whole[0] - self._starts[used[0]])
            neighbours: Array = self._map(used[0])[first : first + len(whole)]
            return neighbours
        found = np.empty((len(whole), *self.shape[1:]), self.dtype)
        for place in used:
            wanted = places == place
            found[wanted] = self._map(place)[whole[wanted] - self._starts[place]]
        return found

    def _map(self, place: int) -> Array:
        found = self._maps.get(place)
        if found is None:
            # A few maps are kept open, as a process may not have one for each of many files.
            # Threads read at the same time: the list of them is made in one step, and what one
            # has closed another need not find.
            for old in list(self._maps)[: max(0, len(self._maps) - 63)]:
                self._maps.pop(old, None)
            found = self._maps[place] = self._segments[place].map()
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError("rows on disk cannot become an array without a copy")
        # Consecutive rows of one file come as a read-only map of it.
        whole: Array = np.array(self[:], dtype) if copy else np.asarray(self[:], dtype)
        return whole

    def __matmul__(self, other: Array) -> Array:
        if not len(self):
            return np.empty((0, *other.shape[1:]), np.result_type(self.dtype, other.dtype))
        return np.concatenate([block @ other for block in self.blocks()])

    def mean(self, axis: int = 0, dtype: Any = None) -> Array:
        """Return the mean of the rows, [...]."""
        if axis != 0:
            along: Array = np.asarray(self).mean(axis, dtype)
            return along
        sums = [block.sum(axis=0, dtype=dtype) for block in self.blocks()]
        return np.asarray(np.sum(sums, axis=0) / len(self))
