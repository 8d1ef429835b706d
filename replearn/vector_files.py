"""Vectors with ids from files of other programs: HDF5 and NumPy here, tables in `vector_tables`.

    HDF5      datasets `vectors`, `features`, `embeddings`, ... [N, D] and `ids`, `image_names`, ...
              [N]; or a dataset [D] for each image, named by its id
    .npz      arrays of the same names
    .npy      the vectors alone; their ids lie beside, one a line: x.txt or x-ids.txt for x.npy
    Parquet   a column of ids, and a column of lists or one for each number
    text      a column of ids, and one for each number

Nothing is unpickled, since a pickle may run any program.
"""

import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import numpy as np

from replearn.arrays import Array, Vectors
from replearn.artefacts import hdf5
from replearn.concepts.headers import means
from replearn.concepts.table import read_ids
from replearn.errors import DataError, brief, quoted, some_of
from replearn.vector_tables import read_parquet_vectors, read_text_vectors

HOW_TO_WRITE = (
    "write vectors [N, D] and their N ids so: import h5py; file = h5py.File('features.h5', 'w'); "
    "file['vectors'] = vectors.astype('float32'); file['ids'] = [str(i) for i in ids]; file.close()"
)

_VECTORS = (
    re.compile("vectors?|data"),
    re.compile("(image|img|global)?(features?|feats?|embeddings?|embeds?|embs?|descriptors?)"),
    re.compile("x|xs|reps?|representations?|codes?|latents?|arr0"),
)
_IDS = (
    re.compile("ids?|(image|img)ids?"),
    re.compile("(image|img|file|slide)?(names?|paths?|files?|keys?)|uids?"),
    re.compile("index|indices|idx|arr1"),
)
_HDF5, _TEXT = (".h5", ".hdf5", ".hdf"), (".csv", ".tsv", ".txt", ".gz")

VectorFile = tuple[list[str], Vectors]
"""The ids [N] and vectors [N, D] of a file."""


def is_from_elsewhere(path: Path) -> bool:
    """Tell whether a file may hold vectors, and is not HDF5 as replearn writes it."""
    if not path.is_file():
        return False
    if not h5py.is_hdf5(path):
        return path.suffix.lower() not in _HDF5
    try:
        with h5py.File(path, "r") as file:
            return not (file.keys() & {"vectors", "data"} and file.keys() & {"ids", "id"})
    except (OSError, RuntimeError):
        return False


def read_vectors(path: Path) -> VectorFile:
    """Return the ids and vectors in a file of another program.

    Raises:
        DataError: it holds none, or does not say what they are called.
        UsageError: it is Parquet, and pyarrow is not installed.
    """
    try:
        ids, vectors = _read(path)
        if len(ids) != len(vectors):
            raise DataError(
                f"{path}: {len(ids)} ids for {len(vectors)} vectors; write one for each"
            )
        twice, count = Counter(ids).most_common(1)[0] if ids else ("", 1)
        if count > 1:
            raise DataError(
                f"{path}: the id {quoted(twice)} stands there twice; ids must be unique"
            )
        return ids, vectors
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, RuntimeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: not readable ({brief(error)}); {HOW_TO_WRITE}") from None


def _read(path: Path) -> VectorFile:
    with path.open("rb") as file:
        start = file.read(6)
    if h5py.is_hdf5(path):
        return _read_hdf5(path)
    if start == b"\x93NUMPY":
        return _read_npy(path)
    if start.startswith(b"PAR1"):
        return read_parquet_vectors(path)
    if zipfile.is_zipfile(path) and path.suffix.lower() == ".npz":
        return _read_npz(path)
    if path.suffix.lower() in _TEXT:
        return read_text_vectors(path)
    raise DataError(f"{path}: not a file of vectors that can be read; {HOW_TO_WRITE}")


def _read_hdf5(path: Path) -> VectorFile:
    found: dict[str, h5py.Dataset] = {}
    with h5py.File(path, "r") as file:
        file.visititems(
            lambda name, item: found.update({name: item} if isinstance(item, h5py.Dataset) else {})
        )
        if found and all(item.ndim == 1 and item.dtype.kind == "f" for item in found.values()):
            widths = {len(item) for item in found.values()}
            if len(widths) == 1:
                return _ids_in(found), np.stack([item[:] for item in found.values()])
        name, ids = _choose(path, found)
    rows = hdf5.read_rows(path, name, ids=[ids])
    return rows.ids, rows.rows


def _ids_in(places: Iterable[str]) -> list[str]:
    """Return the ids in the places of vectors: these, or their folders if all have one name."""
    paths = [PurePosixPath(place) for place in places]
    alike = len({path.name for path in paths}) == 1 < len(paths)
    return [str(path.parent if alike else path) for path in paths]


def _read_npz(path: Path) -> VectorFile:
    with np.load(path, allow_pickle=False) as arrays:
        found = {name: _load(path, arrays, name) for name in arrays.files}
    name, ids = _choose(path, found)
    return _texts(path, found[ids]), found[name]


def _load(path: Path, arrays: Mapping[str, Array], name: str) -> Array:
    try:
        return arrays[name]
    except ValueError:
        raise DataError(
            f"{path}: {name} is an array of Python objects; save it as numbers or as text: "
            f"numpy.savez(..., {name}=numpy.array({name}, dtype=str))"
        ) from None


def _read_npy(path: Path) -> VectorFile:
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        if "pickle" in str(error) or "Array can't be memory-mapped" in str(error):
            raise DataError(f"{path}: holds Python objects, no numbers; {HOW_TO_WRITE}") from None
        raise
    return _ids_beside(path), vectors


def _ids_beside(path: Path) -> list[str]:
    names = [
        f"{path.stem}{end}" for end in (".txt", "-ids.txt", "_ids.txt", "-ids.npy", "_ids.npy")
    ]
    for beside in map(path.with_name, names):
        if beside.suffix == ".npy" and beside.is_file():
            return _texts(beside, np.load(beside, allow_pickle=False))
        if beside.is_file():
            return read_ids(beside)
    raise DataError(
        f"{path}: holds vectors without ids; write these beside it, one a line, as {names[0]}, or "
        f"{HOW_TO_WRITE}"
    )


def _texts(path: Path, ids: Array) -> list[str]:
    if ids.dtype.kind not in "iuUS":
        raise DataError(f"{path}: ids of {ids.dtype}; give texts or whole numbers")
    return [i.decode() if isinstance(i, bytes) else str(i) for i in ids.ravel().tolist()]


def _choose(path: Path, arrays: Mapping[str, Any]) -> tuple[str, str]:
    """Return the names of the vectors and of the ids among arrays [N, ...].

    Raises:
        DataError: there are none of a known name, or several.
    """
    rows = [name for name, array in arrays.items() if array.ndim > 1 and array.dtype.kind == "f"]
    texts = [name for name, array in arrays.items() if _may_be_ids(array)]
    vectors, ids = _called(path, _VECTORS, rows), _called(path, _IDS, texts)
    if vectors is None and len(rows) == 1:
        vectors = rows[0]
    if vectors is None or ids is None:
        held = some_of([f"{name} {a.dtype} {list(a.shape)}" for name, a in arrays.items()], 6)
        missing = "vectors [N, D] of floats" if vectors is None else "ids [N] of text or integers"
        raise DataError(f"{path}: holds {held or 'nothing'}, no {missing}; {HOW_TO_WRITE}")
    return vectors, ids


def _may_be_ids(array: Any) -> bool:
    one_each = array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1)
    return one_each and array.dtype.kind in "iuUSO"


def _called(path: Path, kinds: tuple[re.Pattern[str], ...], names: list[str]) -> str | None:
    """Return the name of the first kind; None without any.

    Raises:
        DataError: there are two of it.
    """
    for kind in kinds:
        found = [name for name in names if means(PurePosixPath(name).name, kind)]
        if len(found) > 1:
            raise DataError(f"{path}: which of {some_of(found)} is meant? {HOW_TO_WRITE}")
        if found:
            return found[0]
    return None
