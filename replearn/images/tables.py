"""Tables of images: parquet with the bytes of image files."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from replearn import parquet
from replearn.artefacts.files import writing
from replearn.errors import DataError
from replearn.images.stores import ImageFile, as_path

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
        yield ImageFile(as_path(id_), key and key[2], key, stamp=stamp)
        number += 1


def _holds_bytes(kind: Any) -> bool:
    if str(kind).startswith("struct<"):
        return bool(kind.get_field_index("bytes") >= 0)
    return str(kind) in ("binary", "large_binary")


def _first(types: dict[str, Any], names: Sequence[str], fits: Callable[[Any], bool]) -> str | None:
    """Return the first of the names whose column fits."""
    return next((name for name in names if name in types and fits(types[name])), None)
