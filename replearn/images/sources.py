"""Sources of images: folders, archives, series of tars, tables, text lists, or one file.

A source lists its image files, and its store reads the bytes of any of them.  What it does not
take for an image is counted, so that nothing disappears without a word.
"""

import os
import shutil
import stat
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import h5py

from replearn.artefacts.locks import locked_folder
from replearn.console import warn
from replearn.errors import DataError
from replearn.ids import is_header
from replearn.images.archives import is_tar, tar_members, zip_members
from replearn.images.folders import paths_below
from replearn.images.kinds import ARRAY, looks_like_image, tells_by_name
from replearn.images.pixel_arrays import hdf5_rows, npy_rows, npz_rows
from replearn.images.stores import Folder, ImageFile, Ranges, Store, Zip
from replearn.images.tables import unpack_parquet


@dataclass(frozen=True)
class Source:
    """A place with images.

    Attributes:
        files: its image files, in no particular order.
        store: reads the bytes of a file, from any thread and in any process.
        others: how many files of each kind were not taken for images.
    """

    files: list[ImageFile]
    store: Store
    others: Counter[str]


@contextmanager
def open_source(path: Path, scratch: Path | None = None) -> Iterator[Source]:
    """Open what holds images, and say what in it is no image.

    Args:
        path: a folder, a zip, a tar (packed or not), parquet, HDF5, a folder or text list of tars
            or parquet files, a text list of paths, or a single image.
        scratch: where a hidden folder goes into which what cannot be read out of order is
            unpacked; where the system keeps such things, if None.  It is removed at the end.

    Raises:
        DataError: there is nothing at `path`, it is none of these, it is damaged, or it is empty.
    """
    refuse_missing(path)
    with _unpacking(scratch) as unpacked:
        source = _open(path.absolute(), unpacked)
        if source.others:
            counts = ", ".join(f"{count} {kind}" for kind, count in sorted(source.others.items()))
            warn(f"{path}: not taken for images: {counts}")
        if not source.files:
            raise DataError(
                f"{path}: no images in it; neither a name nor the first bytes of a file are those "
                "of JPEG, PNG, TIFF, DICOM, BMP, WebP, GIF or JPEG 2000"
            )
        yield source


@contextmanager
def _unpacking(scratch: Path | None) -> Iterator[Path]:
    """Yield a new hidden folder; those that killed runs left beside it are removed first."""
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
        for left in scratch.glob(".unpacked-*"):
            with suppress(OSError), locked_folder(left) as held:
                if held:  # by nobody else, so that nobody reads it
                    shutil.rmtree(left)
    with (
        tempfile.TemporaryDirectory(prefix=".unpacked-", dir=scratch) as made,
        locked_folder(Path(made), shared=True),
    ):
        yield Path(made).absolute()


def refuse_missing(path: Path) -> None:
    """Refuse a place where there is nothing, with a DataError."""
    if not path.is_dir() and not path.is_file():
        raise DataError(f"{path}: no such folder or file; give the place of the images")


def _open(path: Path, scratch: Path) -> Source:
    if path.is_dir():
        return _folder(path, scratch)
    if tells_by_name(path.name):
        return _files(path.parent, [path.name])
    if _holds_images(path.name):
        return _series([path], scratch)
    if path.suffix.lower() in (".npy", ".npz"):
        return _arrays(path, scratch)
    if path.suffix.lower() == ".zip" or zipfile.is_zipfile(path):
        return _images_among(zip_members(path), Zip(path))
    if h5py.is_hdf5(path):
        files, store = hdf5_rows(path)
        return Source(files, store, Counter())
    if _is_image_in(path.parent, path.name):
        return _files(path.parent, [path.name])
    listed = _read_list(path)
    if listed and all(map(_holds_images, listed)):
        return _series([path.parent / name for name in listed], scratch)
    return _files(path.parent, listed)


def _arrays(path: Path, scratch: Path) -> Source:
    """Return the images in a `.npy` or `.npz` file."""
    if path.suffix.lower() == ".npz":
        return Source(*npz_rows(path, scratch), Counter())
    rows = npy_rows(path)
    return _files(path.parent, [path.name]) if rows is None else Source(*rows, Counter())


def _is_image(file: ImageFile, store: Store) -> bool:
    """Tell whether a file is an image, by its name, or by its first bytes where that is no help."""
    told = tells_by_name(file.path)
    return _looks_like_image(file, store) if told is None else told


def _is_image_in(root: Path, path: str) -> bool:
    """Tell the same of a file in a folder, whose size is of no interest where its name tells."""
    told = tells_by_name(path)
    return _looks_like_image(_file(root, path), Folder(root)) if told is None else told


def _looks_like_image(file: ImageFile, store: Store) -> bool:
    try:
        return looks_like_image(store.head(file))
    except OSError:  # a link to nothing, a pipe, a damaged member: its name does not say image
        return False


def _holds_images(name: str) -> bool:
    """Tell by its name whether a file is one of those that come in series."""
    return is_tar(Path(name)) or name.lower().endswith(".parquet")


def _series(paths: Sequence[Path], scratch: Path) -> Source:
    """Return what one or several tars, or parquet files, hold together."""
    for path in paths:
        refuse_missing(path)
    tables = [path for path in paths if not is_tar(path)]
    if not tables:
        return _images_among(tar_members(paths, scratch), Ranges())
    if len(tables) < len(paths):
        raise DataError(f"{tables[0]}: among archives; give either tars or parquet files")
    return Source(unpack_parquet(paths, scratch), Ranges(), Counter())


def _folder(root: Path, scratch: Path) -> Source:
    found: list[str] = []
    series: list[str] = []
    arrays: list[str] = []  # images where there are no others, else features or labels of them
    others: Counter[str] = Counter()
    for path in paths_below(root):
        kind = _kind(path)
        if kind != "hidden" and _is_image_in(root, path):
            found.append(path)
        elif kind != "hidden" and _holds_images(path):
            series.append(path)
        elif kind == ARRAY:
            arrays.append(path)
        else:
            others[kind] += 1
    if series and not found:
        source = _series([root / path for path in sorted(series)], scratch)
    else:
        source = _files(root, found or arrays)
        others.update(map(_kind, series))
    if found or series:
        others.update(map(_kind, arrays))
    return Source(source.files, source.store, +(source.others + others))


def _kind(path: str) -> str:
    """Return the extension in lower case, or what else explains why it is no image."""
    if "/." in f"/{path}" or "__MACOSX" in path.split("/"):
        return "hidden"
    _, dot, extension = path.rpartition("/")[2].rpartition(".")
    return f".{extension.lower()}" if dot else "without extension"


def _files(root: Path, paths: list[str]) -> Source:
    return Source([_file(root, path) for path in paths], Folder(root), Counter())


def _file(root: Path, path: str) -> ImageFile:
    try:
        status = (root / path).stat()
    except OSError:
        return ImageFile(path, None, path)
    size = status.st_size if stat.S_ISREG(status.st_mode) else None
    return ImageFile(path, size, path, stamp=status.st_mtime_ns)


def _read_list(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = ["\0"]
    if any("\0" in line for line in lines):
        raise DataError(
            f"{path}: neither a folder, a .zip, a .tar, a table, a text list of paths nor a "
            "prepared image set"
        )
    cells = [line.split("\t")[0].strip() for line in lines]
    paths = [cell for cell in cells if cell]
    there = {cell for cell in paths if (path.parent / cell).exists()}
    kinds = {Path(cell).suffix for cell in paths[1:]}
    if paths and Path(paths[0]).suffix not in kinds and is_header(paths[0], paths[1:], there):
        warn(f"{path}: its first line, {paths[0]!r}, is no file; it is taken for a header")
        del paths[0]
    return [_relative(cell, path.parent) for cell in paths]


def _relative(path: str, root: Path) -> str:
    relative = os.path.relpath(path, root.absolute()) if Path(path).is_absolute() else path
    return Path(relative).as_posix()


def _images_among(members: list[ImageFile], store: Store) -> Source:
    """Return those members of an archive that are images, and count the others."""
    files: list[ImageFile] = []
    others: Counter[str] = Counter()
    for member in members:
        kind = _kind(member.path)
        if kind != "hidden" and _is_image(member, store):
            files.append(member)
        else:
            others[kind] += 1
    return Source(files, store, others)
