"""Where images come from: a folder, a zip or tar archive, a text list of paths, or one file.

A source lists its image files and reads the bytes of any of them, from any thread.  What it does
not take for an image is counted, so that nothing disappears without a word.
"""

import bz2
import gzip
import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import threading
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from replearn.artefacts import warn
from replearn.errors import DataError

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile)
_UNPACK: dict[bytes, Any] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}


@dataclass(frozen=True)
class ImageFile:
    """One file that should be an image.

    Attributes:
        path: where it lies in its source, parts separated by `/`.
        size: its number of bytes, None where that cannot be told.
        key: what the source needs to read it.
    """

    path: str
    size: int | None
    key: Any = field(repr=False)


@dataclass(frozen=True)
class Source:
    """A place with images.

    Attributes:
        files: its image files, in no particular order.
        read: returns the bytes of a file, from any thread; raises OSError.
        others: how many files of each kind were not taken for images.
    """

    files: list[ImageFile]
    read: Callable[[ImageFile], bytes]
    others: Counter[str]


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Open a folder, archive, list of paths or single image, and say what in it is no image.

    Raises:
        DataError: there is nothing at `path`, it is none of these, it is damaged, or it is empty.
    """
    with _open(path) as source:
        if source.others:
            counts = ", ".join(f"{count} {kind}" for kind, count in sorted(source.others.items()))
            warn(f"{path}: not taken for images: {counts}")
        if not source.files:
            known = " ".join(sorted(SUFFIXES))
            raise DataError(f"{path}: no images in it; their names should end in {known}")
        yield source


@contextmanager
def _open(path: Path) -> Iterator[Source]:
    if path.is_dir():
        yield _folder(path)
    elif not path.is_file():
        raise DataError(f"{path}: no such folder or file; give the place of the images")
    elif path.suffix.lower() in SUFFIXES:
        yield _files(path.parent, [path.name])
    elif ".tar" in path.suffixes or path.suffix.lower() in {".tgz", ".txz", ".tbz2"}:
        with tempfile.TemporaryFile() as unpacked:
            with _refuse_damaged(path):
                stream = _seekable(path, unpacked)
                source = _tar(tarfile.TarFile(fileobj=stream))
            with stream:
                yield source
    elif zipfile.is_zipfile(path):
        with _refuse_damaged(path):
            archive = zipfile.ZipFile(path)
        with archive:
            yield _zip(archive)
    elif path.suffix.lower() == ".zip":
        raise DataError(f"{path}: a damaged or unfinished zip archive; fetch it again")
    else:
        yield _files(path.parent, _read_list(path))


@contextmanager
def _refuse_damaged(path: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        raise DataError(f"{path}: a damaged or unfinished archive ({error}); fetch it again")


def _folder(root: Path) -> Source:
    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be listed ({error.strerror}); allow reading it")

    found: list[str] = []
    others: Counter[str] = Counter()
    # Links to folders are not followed: they can lead in a circle, or to an image twice.
    for base, folders, names in os.walk(root, onerror=refuse):
        inner = Path(base).relative_to(root)
        others["linked folders"] += sum(Path(base, name).is_symlink() for name in folders)
        for name in names:
            path = (inner / name).as_posix()
            kind = _kind(path)
            if kind in SUFFIXES:
                found.append(path)
            else:
                others[kind] += 1
    source = _files(root, found)
    source.others.update(others)
    return Source(source.files, source.read, +source.others)


def _kind(path: str) -> str:
    """Return the extension in lower case, or what else explains why it is no image."""
    if any(part.startswith(".") or part == "__MACOSX" for part in path.split("/")):
        return "hidden"
    return PurePosixPath(path).suffix.lower() or "without extension"


def _files(root: Path, paths: list[str]) -> Source:
    def read(file: ImageFile) -> bytes:
        # A pipe or a device would block or never end.
        if file.size is None and (root / file.path).exists():
            raise OSError("not a regular file")
        return (root / file.path).read_bytes()

    files = [ImageFile(path, _size(root / path), path) for path in paths]
    return Source(files, read, Counter())


def _size(path: Path) -> int | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _read_list(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = ["\0"]
    if any("\0" in line for line in lines):
        raise DataError(
            f"{path}: neither a folder, a .zip, a .tar, a text list of paths nor a prepared "
            "image set"
        )
    cells = [line.split("\t")[0].strip() for line in lines]
    paths = [cell for cell in cells if cell]
    if paths and not Path(paths[0]).suffix and not (path.parent / paths[0]).exists():
        warn(f"{path}: its first line, {paths[0]!r}, is taken for a header")
        del paths[0]
    return [_relative(cell, path.parent) for cell in paths]


def _relative(path: str, root: Path) -> str:
    relative = os.path.relpath(path, root.absolute()) if Path(path).is_absolute() else path
    return Path(relative).as_posix()


def _zip(archive: zipfile.ZipFile) -> Source:
    members = [
        ImageFile(_clean(member.filename), member.file_size, member)
        for member in archive.infolist()
        if not member.is_dir()
    ]
    return _archive(members, lambda file: archive.read(file.key))


def _seekable(path: Path, unpacked: IO[bytes]) -> IO[bytes]:
    """Return the tar itself, unpacked first if needed: a packed one cannot be read out of order."""
    packed = path.open("rb")
    start = packed.read(6)
    packed.seek(0)
    for magic, unpack in _UNPACK.items():
        if start.startswith(magic):
            with packed, unpack(path) as stream:
                shutil.copyfileobj(stream, unpacked, 1 << 20)
            unpacked.seek(0)
            return unpacked
    return packed


def _tar(archive: tarfile.TarFile) -> Source:
    def read(file: ImageFile) -> bytes:
        stream = archive.extractfile(file.key)
        return stream.read() if stream else b""

    members = [
        ImageFile(_clean(member.name), member.size if member.isreg() else None, member)
        for member in archive.getmembers()
        if not member.isdir()
    ]
    return _archive(members, read)


def _clean(name: str) -> str:
    """Return a member's path without `./`, and with `/` where a zip of Windows has its own."""
    return PurePosixPath(name.replace("\\", "/")).as_posix()


def _archive(members: list[ImageFile], read: Callable[[ImageFile], bytes]) -> Source:
    lock = threading.Lock()  # an archive has one file position

    def read_alone(file: ImageFile) -> bytes:
        try:
            with lock:
                return read(file)
        # Encrypted, of an unknown compression, damaged, a dangling link: each its own type.
        except (*_DAMAGED, RuntimeError, KeyError) as error:
            raise OSError(f"not readable in its archive: {error}")

    kinds = [_kind(member.path) for member in members]
    files = [file for file, kind in zip(members, kinds, strict=True) if kind in SUFFIXES]
    return Source(files, read_alone, Counter(kind for kind in kinds if kind not in SUFFIXES))
