"""Tables of images: parquet with the bytes of image files, HDF5 with such bytes or with pixels."""

import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any

import cv2
import h5py
import numpy as np

from replearn import parquet
from replearn.artefacts.files import writing
from replearn.errors import DataError, brief
from replearn.images.stores import ImageFile

_IMAGES = ("image", "images", "bytes", "image_bytes", "pixels", "data", "jpg", "jpeg", "png")
_IDS = ("id", "ids", "image_id", "__key__", "key", "file_name", "filename", "path")
_BATCH = 64  # images of a parquet file that are in memory at a time


def unpack_parquet(paths: Sequence[Path], scratch: Path) -> list[ImageFile]:
    """Lay the images of parquet files out in one file, where they can be read in any order.

    A parquet file gives a group of rows at once or none of it, so that reading images in the
    order of their ids would read everything many times.  The images are a column of bytes, or
    of a struct with `bytes` and `path`; an id is a column of that name, else that `path`, else
    the number of the row.

    Returns:
        The files with keys as `stores.Ranges` wants them.

    Raises:
        DataError: a file is damaged or has no images, or the disk is full.
        UsageError: pyarrow is not installed.
    """
    flat = scratch / "images"
    found: list[ImageFile] = []
    with writing(flat), flat.open("wb") as out:
        for path in paths:
            found += _unpack(path, out, len(found))
    return found


def _unpack(path: Path, out: IO[bytes], number: int) -> Iterator[ImageFile]:
    types = parquet.column_types(path)
    images = _first(types, _IMAGES, _holds_bytes)
    ids = _first(types, _IDS, lambda kind: not _holds_bytes(kind))
    if images is None:
        raise DataError(f"{path}: no column with the bytes of images; it has {', '.join(types)}")
    for row in parquet.rows_of(path, [name for name in (images, ids) if name], _BATCH):
        cell = row[images] if isinstance(row[images], dict) else {"bytes": row[images]}
        data, id_ = cell["bytes"], row[ids] if ids else cell.get("path") or f"{number:09d}"
        key = None if data is None else (str(out.name), out.tell(), len(data))
        out.write(data or b"")
        stamp = None if data is None else zlib.crc32(data)
        yield ImageFile(_as_path(id_), key and key[2], key, stamp=stamp)
        number += 1


def _holds_bytes(kind: Any) -> bool:
    if str(kind).startswith("struct<"):
        return bool(kind.get_field_index("bytes") >= 0)
    return str(kind) in ("binary", "large_binary")


def _first(types: dict[str, Any], names: Sequence[str], fits: Callable[[Any], bool]) -> str | None:
    """Return the first of the names whose column fits."""
    return next((name for name in names if name in types and fits(types[name])), None)


def _as_path(id_: Any) -> str:
    """Return a path whose id is this one, also where a text has a dot in it."""
    text = id_.decode() if isinstance(id_, bytes) else str(id_)
    has_suffix = 3 <= len(PurePosixPath(text).suffix) <= 5 and not text[-1].isdigit()
    return text if has_suffix else f"{text}.row"


def hdf5_rows(path: Path) -> tuple[list[ImageFile], "Hdf5"]:
    """List the rows of an HDF5 file of images: encoded bytes, or pixels of one size.

    Raises:
        DataError: the file is damaged, or has no such dataset.
    """
    try:
        with h5py.File(path, "r") as file:
            name = next((name for name in _IMAGES if _has_images(file.get(name))), None)
            if name is None:
                known = ", ".join(file) or "nothing"
                raise DataError(f"{path}: no dataset of images; it has {known}")
            ids = next((ids for ids in _IDS if ids in file and ids != name), None)
            count = len(file[name])
            texts = [f"{row:09d}" for row in range(count)] if ids is None else file[ids][:].ravel()
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{path}: not a complete HDF5 file ({brief(error)}); make it again"
        ) from None
    if len(texts) != count:
        raise DataError(f"{path}: {len(texts)} ids for {count} images; make it again")
    stamp = path.stat().st_mtime_ns
    files = [ImageFile(_as_path(id_), None, row, stamp=stamp) for row, id_ in enumerate(texts)]
    return files, Hdf5(path, name)


def _has_images(dataset: Any) -> bool:
    if not isinstance(dataset, h5py.Dataset):
        return False
    if dataset.ndim == 1:
        inside = h5py.check_vlen_dtype(dataset.dtype)
        return bool(inside == np.uint8) or dataset.dtype.kind == "V"
    return dataset.ndim in (3, 4) and dataset.dtype.name in ("uint8", "uint16")


class Hdf5:
    """Rows of a dataset of encoded images, or of pixels [N, H, W], [N, H, W, C] or [N, C, H, W].

    Pixels are given as a file of their own, so that they go the way of all others.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        self._open()

    def __getstate__(self) -> tuple[Path, str]:
        return self._path, self._name

    def __setstate__(self, state: tuple[Path, str]) -> None:
        self._path, self._name = state
        self._open()

    def _open(self) -> None:
        self._lock = threading.Lock()
        self._dataset: Any = None

    def read(self, file: ImageFile) -> bytes:
        """Return the bytes of an image; colours are red, green, blue."""
        with self._lock:  # HDF5 lets one thread in at a time
            if self._dataset is None:
                self._dataset = h5py.File(self._path, "r")[self._name]
            row = self._dataset[file.key]
        if np.ndim(row) < 2:
            return bytes(row)
        if row.ndim == 3 and row.shape[0] in (1, 3) and row.shape[2] not in (1, 3):
            row = row.transpose(1, 2, 0)
        if row.ndim == 3 and row.shape[2] == 3:
            row = row[..., ::-1]  # OpenCV writes blue first
        done, encoded = cv2.imencode(
            ".png", np.ascontiguousarray(row), [cv2.IMWRITE_PNG_COMPRESSION, 0]
        )
        if not done:
            raise OSError("pixels of a shape that no image has")
        return encoded.tobytes()
