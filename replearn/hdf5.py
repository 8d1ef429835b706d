"""Ids and rows in one HDF5 file: the form that image sets and features share.

The rows lie contiguous and uncompressed, so they are read through a memory map: random rows are
fast, nothing is loaded before it is used, and worker processes can share it.  Ids are UTF-8 of
one length, measured first, because HDF5 cuts longer ones without a word.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from replearn.errors import DataError

Errors = list[tuple[str, str]]


@dataclass(frozen=True)
class Rows:
    """What one file holds.

    Attributes:
        ids: one text for each row [N], all different.
        rows: the matrix [N, ...], a memory map where the file allows it.
        errors: (id, reason) of everything that could not be read.
        attributes: short facts by name.
    """

    ids: list[str]
    rows: np.ndarray[Any, Any]
    errors: Errors = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)


def write_rows(
    path: Path,
    name: str,
    blocks: Iterable[np.ndarray[Any, Any]],
    ids: Sequence[str],
    errors: Errors,
    attributes: dict[str, Any],
) -> None:
    """Write the blocks [n_i, ...], together one row for each id, as dataset `name`."""
    with h5py.File(path, "w") as file:
        dataset = None
        position = 0
        for block in blocks:
            if dataset is None:
                dataset = file.create_dataset(name, (len(ids), *block.shape[1:]), block.dtype)
            dataset[position : position + len(block)] = block
            position += len(block)
        if position != len(ids):
            raise ValueError(f"{len(ids)} ids for {position} rows")
        _write_texts(file, "ids", np.array(ids, dtype=object))
        _write_texts(file, "errors", np.array(errors, dtype=object).reshape(-1, 2))
        file.attrs.update(attributes)


def _write_texts(file: h5py.File, name: str, texts: np.ndarray[Any, Any]) -> None:
    encoded = np.array([text.encode() for text in texts.flat], dtype=bytes).reshape(texts.shape)
    kind = h5py.string_dtype("utf-8", length=max(encoded.dtype.itemsize, 1))
    file.create_dataset(name, data=encoded.astype(kind))


def read_rows(path: Path, *names: str) -> Rows:
    """Open the file and map the first dataset among `names` that it has.

    The ids are looked for as `ids` and, as in the files of 2018, `id`.

    Raises:
        DataError: the file is missing, damaged, or not of this form.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        with h5py.File(path, "r") as file:
            name = next((name for name in names if name in file), None)
            ids_name = next((name for name in ("ids", "id") if name in file), None)
            if name is None or ids_name is None:
                found = ", ".join(file) or "nothing"
                raise DataError(
                    f"{path}: holds {found}, where {names[0]} and ids are expected; "
                    "is it the right file?"
                )
            ids = file[ids_name].asstr()[:].ravel().tolist()
            errors = file["errors"].asstr()[:].tolist() if "errors" in file else []
            rows = _map(path, file[name])
            attributes = dict(file.attrs)
    except (OSError, RuntimeError, TypeError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: not a complete HDF5 file of ids and rows ({_brief(error)}); make it again"
        ) from None
    _check_ids(path, ids, len(rows))
    return Rows(ids, rows, [(id_, reason) for id_, reason in errors], attributes)


def _map(path: Path, dataset: h5py.Dataset) -> np.ndarray[Any, Any]:
    has_rows = isinstance(dataset, h5py.Dataset) and dataset.shape
    if not has_rows or dataset.dtype.kind not in "iuf":
        raise TypeError("it has no rows of numbers")
    offset = dataset.id.get_offset()
    if offset is None:  # chunked, as files from elsewhere may be, or empty
        return np.asarray(dataset[:])
    return np.memmap(path, dataset.dtype, "r", offset, dataset.shape)


def _check_ids(path: Path, ids: list[str], count: int) -> None:
    if len(ids) != count:
        raise DataError(f"{path}: {len(ids)} ids for {count} rows; make it again")
    if len(set(ids)) != len(ids):
        twice, _ = Counter(ids).most_common(1)[0]
        raise DataError(f"{path}: the id {twice!r} stands there twice; ids must be unique")


def _brief(error: Exception) -> str:
    return str(error).splitlines()[0][:120]
