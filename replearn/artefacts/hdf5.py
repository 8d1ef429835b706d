"""Ids and rows in HDF5: the form that image sets and features share.

One file holds them, or a folder of shards, each of them such a file, with a manifest.  The rows
lie contiguous and uncompressed, so they are read through memory maps: random rows are fast,
nothing is loaded before it is used, and processes share it.  Ids are UTF-8 of one length, measured
first, because HDF5 cuts longer ones without a word.
"""

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from replearn.arrays import Array
from replearn.artefacts.disk_rows import DiskRows, Segment, as_array, stamp_of
from replearn.artefacts.error_budget import Errors
from replearn.artefacts.files import read_json, write_text, writing
from replearn.artefacts.sparse_file import SparseFile
from replearn.errors import DataError, brief

MANIFEST = "manifest.json"
# What image sets and features may know about each row, beside its id.
_COLUMNS = ("digests", "paths", "frames", "bits")
_TEXTS = ("vocabulary",)  # of the columns of the matrix
_IDS = ("ids", "id")


@dataclass(frozen=True)
class Rows:
    """The content of one file, or of one folder of shards.

    Attributes:
        ids: one text for each row [N], all different.
        rows: the matrix [N, ...]: a memory map where the file allows it, `DiskRows` of shards.
        errors: (id, reason) of everything that could not be read.
        attributes: short facts by name.
        columns: more facts about each row, [N, ...], by name.
        texts: lists of texts by name; a folder of shards has none.
    """

    ids: list[str]
    rows: Array
    errors: Errors = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, Array] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)


def write_rows(
    path: Path,
    name: str,
    blocks: Iterable[Array],
    ids: Sequence[str],
    errors: Errors,
    attributes: Mapping[str, Any],
    columns: Mapping[str, Array] | None = None,
    texts: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Write the blocks [n_i, ...], together one row for each id, as dataset `name`.

    Raises:
        DataError: the disk is full, or the file cannot be written for another reason.
    """
    parts = iter(blocks)
    first = next(parts, np.empty((0, 0), np.float32))
    sparse = SparseFile()
    with h5py.File(sparse, "w") as file:
        offset = _reserve(file, name, (len(ids), *first.shape[1:]), first.dtype)
        _write_texts(file, "ids", np.array(ids, dtype=object))
        _write_texts(file, "errors", np.array(errors, dtype=object).reshape(-1, 2))
        for column, values in (columns or {}).items():
            file.create_dataset(column, data=values)
        for title, words in (texts or {}).items():
            _write_texts(file, title, np.array(words, dtype=object))
        file.attrs.update(attributes)
    with writing(path), path.open("wb") as out:
        sparse.save(out)
        out.seek(offset)
        position = 0
        for block in itertools.chain([first], parts) if offset else ():  # a map at a time is open
            out.write(np.ascontiguousarray(block, first.dtype).reshape(-1).view(np.uint8).data)
            position += len(block)
    if position != len(ids):
        raise ValueError(f"{len(ids)} ids for {position} rows")


def _reserve(file: h5py.File, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Make a dataset whose rows are not written yet; return where in the file they go."""
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    layout.set_obj_track_times(False)  # or the bytes would depend on the time
    space = h5py.h5s.create_simple(shape)
    made = h5py.h5d.create(
        file.id, name.encode(), h5py.h5t.py_create(dtype, logical=True), space, layout
    )
    return int(made.get_offset() or 0)  # without rows there is no place


def _write_texts(file: h5py.File, name: str, texts: Array) -> None:
    encoded = np.array([text.encode() for text in texts.flat], dtype=bytes).reshape(texts.shape)
    dtype = h5py.string_dtype("utf-8", length=max(encoded.dtype.itemsize, 1))
    file.create_dataset(name, data=encoded.astype(dtype))


def write_manifest(
    folder: Path,
    attributes: Mapping[str, Any],
    errors: Errors,
    shards: Sequence[Mapping[str, Any]],
) -> None:
    """Make a folder of shards one artefact.

    Args:
        folder: where the shards lie.
        attributes: facts about the whole.
        errors: (id, reason) of what is in no shard.
        shards: in their order; for each its `file`, its number of `rows`, and more.
    """
    lines = ",\n".join(json.dumps(shard, ensure_ascii=False) for shard in shards)
    facts = json.dumps({"attributes": dict(attributes), "errors": errors}, ensure_ascii=False)
    write_text(folder / MANIFEST, f'{facts[:-1]}, "shards": [\n{lines}\n]}}\n')


def is_folder_of_shards(path: Path) -> bool:
    """Tell whether this is a folder with a manifest of shards."""
    return (path / MANIFEST).is_file()


def read_rows(path: Path, *names: str, ids: Sequence[str] = _IDS) -> Rows:
    """Open a file or a folder of shards and map the first dataset among `names` that it has.

    Args:
        path: of the file or folder.
        names: of the dataset of rows.
        ids: names of the dataset of ids; `id` stands in the files of 2018.  Whole numbers are taken
            as the texts that they are written as.

    Raises:
        DataError: it is missing, damaged, or not of this form.
    """
    if path.is_dir():
        found = _read_folder(path, names, ids)
    else:
        file = _read_file(path, names, ids)
        rows = file.rows.map() if isinstance(file.rows, Segment) else file.rows
        found = Rows(file.ids, rows, file.errors, file.attributes, file.columns, file.texts)
    _check_unique(path, found.ids)
    return found


def _read_folder(path: Path, names: Sequence[str], ids: Sequence[str]) -> Rows:
    if not is_folder_of_shards(path):
        raise DataError(f"{path}: a folder without {MANIFEST}; give a file or a folder of shards")
    manifest = read_json(path / MANIFEST)
    try:
        attributes = dict(manifest["attributes"])
        errors = [(str(id_), str(reason)) for id_, reason in manifest["errors"]]
        expected = [(path / shard["file"], int(shard["rows"])) for shard in manifest["shards"]]
    except (KeyError, TypeError, ValueError):
        raise DataError(f"{path / MANIFEST}: not a manifest of shards; make it again") from None
    shards = [_read_file(shard, names, ids) for shard, _ in expected]
    for (shard, count), found in zip(expected, shards, strict=True):
        if len(found.ids) != count:
            raise DataError(
                f"{shard}: {len(found.ids)} rows, where {MANIFEST} says {count}; make it again"
            )
    parts = [found for found in shards if found.ids]
    segments = [found.rows for found in parts if isinstance(found.rows, Segment)]
    if not segments or len(segments) < len(parts):
        raise DataError(f"{path}: shards without rows, or compressed ones; make it again")
    return Rows(
        [id_ for found in parts for id_ in found.ids],
        as_array(DiskRows(segments)),
        errors + [error for found in shards for error in found.errors],
        attributes,
        join_columns([found.columns for found in parts]),
    )


def join_columns(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Join the columns [n_i, ...] that all parts have."""
    names = [name for name in parts[0] if all(name in part for part in parts)]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


@dataclass(frozen=True)
class _File:
    """The content of one file, as `Rows`, but with rows not mapped: a map keeps the file open."""

    ids: list[str]
    rows: Array | Segment
    errors: Errors
    attributes: dict[str, Any]
    columns: dict[str, Array]
    texts: dict[str, list[str]]


def _read_file(path: Path, names: Sequence[str], ids_names: Sequence[str]) -> _File:
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    stamp = stamp_of(str(path))  # before it is read: a file that takes its place is another
    try:
        with h5py.File(path, "r") as file:
            name = next((name for name in names if name in file), None)
            ids_name = next((name for name in ids_names if name in file), None)
            if name is None or ids_name is None:
                found = ", ".join(file) or "nothing"
                raise DataError(
                    f"{path}: holds {found}, where {names[0]} and ids are expected; "
                    "is it the right file?"
                )
            ids = _texts(file[ids_name])
            listed = file["errors"].asstr()[:].tolist() if "errors" in file else []
            errors = [(str(id_), str(reason)) for id_, reason in listed]
            rows = _locate(path, file[name], stamp)
            # As JSON has them; files from elsewhere may have any type.
            attributes = {key: _plain(value) for key, value in file.attrs.items()}
            columns = {column: file[column][:] for column in _COLUMNS if column in file}
            texts = {title: _texts(file[title]) for title in _TEXTS if title in file}
    except DataError:
        raise
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: not a complete HDF5 file of ids and rows ({brief(error)}); make it again"
        ) from None
    if len(ids) != rows.shape[0]:
        raise DataError(f"{path}: {len(ids)} ids for {rows.shape[0]} rows; make it again")
    return _File(ids, rows, errors, attributes, columns, texts)


def _texts(dataset: h5py.Dataset) -> list[str]:
    if dataset.dtype.kind in "iu":
        return [str(number) for number in dataset[:].ravel().tolist()]
    # Others say ASCII of what is UTF-8.
    return [str(text) for text in dataset.asstr("utf-8")[:].ravel().tolist()]


def _plain(value: Any) -> Any:
    value = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _locate(path: Path, dataset: h5py.Dataset, stamp: tuple[int, int]) -> Array | Segment:
    has_rows = isinstance(dataset, h5py.Dataset) and dataset.shape
    if not has_rows or dataset.dtype.kind not in "iuf":
        raise TypeError("it has no rows of numbers")
    offset = dataset.id.get_offset()
    if offset is None:  # chunked, as files from elsewhere may be, or empty
        return np.asarray(dataset[:])
    if path.stat().st_size < offset + dataset.nbytes:
        raise OSError("it is truncated")
    return Segment(str(path.absolute()), offset, dataset.dtype.str, dataset.shape, stamp)


def _check_unique(path: Path, ids: list[str]) -> None:
    if len(set(ids)) != len(ids):
        twice, _ = Counter(ids).most_common(1)[0]
        raise DataError(f"{path}: the id {twice!r} stands there twice; ids must be unique")
