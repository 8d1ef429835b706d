"""Stores of image bytes: a folder, ranges of larger files, members of a zip.

A store is used by many threads at once, and travels to other processes as a path.
"""

import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from replearn.images.kinds import HEAD, ROW, image_suffix

_LOCAL_HEADER = 30  # bytes before the name of a member of a zip


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One file that should be an image.

    Attributes:
        path: where it lies in its source, parts separated by `/`.
        size: its number of bytes, None where that cannot be told.
        key: what the store needs to read it, None where there is nothing to read.
        frame: which of several frames is meant, None for the usual one.
        stamp: times or a checksum: they change with the content, whose size may stay the same.
    """

    path: str
    size: int | None
    key: Any = field(repr=False)
    frame: int | None = None
    stamp: int | tuple[int, int] | None = None


def as_path(id_: Any) -> str:
    """Return a path of which this is the id, where it stands in a table and not in a folder."""
    text = id_.decode() if isinstance(id_, bytes) else str(id_)
    return text if image_suffix(text) else f"{text}{ROW}"


class Store(Protocol):
    """A store that the bytes of image files are read from."""

    def read(self, file: ImageFile) -> bytes:
        """Return the bytes of a file; raise OSError with the reason where they cannot be had."""
        ...

    def head(self, file: ImageFile) -> bytes:
        """Return `HEAD` of the first bytes of a file or more, or all of it; or raise OSError."""
        ...


@dataclass(frozen=True)
class Folder:
    """Files below one folder; the key is the path there."""

    root: Path

    def read(self, file: ImageFile) -> bytes:
        """Return the bytes of a file."""
        path = self.root / str(file.key)
        if file.size is None:
            # A pipe or a device would block or never end.
            what = "not a regular file" if path.exists() else "no such file or directory"
            raise OSError(f"{what}: {file.path}")
        return path.read_bytes()

    def head(self, file: ImageFile) -> bytes:
        """Return the first bytes of a file."""
        if file.size is None:
            raise OSError("not a regular file")
        with (self.root / str(file.key)).open("rb") as opened:
            return opened.read(HEAD)


@dataclass(frozen=True)
class Ranges:
    """Ranges of bytes in large files, as a tar has them; the key is (path, offset, length)."""

    def read(self, file: ImageFile) -> bytes:
        """Return the bytes of a file."""
        if file.key is None:
            raise OSError("not readable in its archive: a link to nothing, or no regular file")
        name, offset, length = file.key
        return read_range(Path(name), offset, length)

    def head(self, file: ImageFile) -> bytes:
        """Return the first bytes of a file."""
        if file.key is None:
            return b""
        name, offset, length = file.key
        return read_range(Path(name), offset, min(length, HEAD))


@dataclass(frozen=True)
class Zip:
    """Members of a zip; the key is the member's entry in the directory of the archive."""

    path: Path

    def read(self, file: ImageFile) -> bytes:
        """Return the bytes of a file."""
        member: zipfile.ZipInfo = file.key
        try:
            # Opening the archive would read its directory, and reading through one open archive
            # would let one thread in at a time; the usual members need neither.
            usual = member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            if usual and not member.flag_bits & 1:  # not encrypted
                return self._read(member)
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(member)
        # Encrypted, of an unknown compression, damaged: each its own type.
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, KeyError) as error:
            raise OSError(f"not readable in its archive: {error}")

    def head(self, file: ImageFile) -> bytes:
        """Return the first bytes of a file; nothing of one that is packed in an unusual way."""
        member: zipfile.ZipInfo = file.key
        try:
            start, length = self._start(member), min(member.compress_size, 4 * HEAD)
            packed = read_range(self.path, start, length)
            if member.compress_type == zipfile.ZIP_STORED:
                return packed
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, HEAD)
        except (zipfile.BadZipFile, zlib.error):
            return b""

    def _start(self, member: zipfile.ZipInfo) -> int:
        """Return where the content of a member begins."""
        header = read_range(self.path, member.header_offset, _LOCAL_HEADER)
        if not header.startswith(b"PK\3\4"):
            raise zipfile.BadZipFile("no member where the directory names one")
        # Name and extra field may have other lengths here than in the directory.
        before = sum(int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
        return member.header_offset + _LOCAL_HEADER + before

    def _read(self, member: zipfile.ZipInfo) -> bytes:
        data = read_range(self.path, self._start(member), member.compress_size)
        if member.compress_type == zipfile.ZIP_DEFLATED:
            data = zlib.decompress(data, -zlib.MAX_WBITS, member.file_size)
        if zlib.crc32(data) != member.CRC:
            raise zipfile.BadZipFile("wrong checksum")
        return data


def read_range(path: Path, offset: int, length: int) -> bytes:
    """Return so many bytes from there on; raise OSError if there are fewer."""
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        data = file.read(length) if length else b""
        while len(data) < length:  # one call may return less than was asked
            more = file.read(length - len(data))
            if not more:
                raise OSError("truncated")
            data += more
    return data
