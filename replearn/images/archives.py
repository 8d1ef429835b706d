"""Archives of images: a zip, a tar, and series of tars as WebDataset writes them."""

import bz2
import gzip
import lzma
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from replearn.artefacts.files import writing
from replearn.console import warn
from replearn.errors import DataError
from replearn.images.stores import ImageFile

DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile)
_UTF8 = 1 << 11  # the flag of a member of a zip that its name is UTF-8
_TAR = re.compile(r"\.(tar(\.(gz|bz2|xz))?|tgz|tbz2?|txz)$", re.IGNORECASE)
_UNPACK: dict[bytes, Any] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}


def is_tar(path: Path) -> bool:
    """Tell by its name whether a file is a tar, packed or not."""
    return _TAR.search(path.name) is not None


@contextmanager
def refuse_damaged(path: Path) -> Iterator[None]:
    """Turn what reading a damaged archive raises into a DataError."""
    try:
        yield
    except DAMAGED as error:
        raise DataError(f"{path}: a damaged or unfinished archive ({error}); fetch it again")


def zip_members(path: Path) -> list[ImageFile]:
    """List the members of a zip, keys as `stores.Zip` wants them."""
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path}: a damaged or unfinished zip archive; fetch it again")
    with refuse_damaged(path), zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
    names = _names(path, members)
    return [
        ImageFile(_clean(name), member.file_size, member, stamp=member.CRC)
        for name, member in zip(names, members, strict=True)
    ]


def _names(path: Path, members: Sequence[zipfile.ZipInfo]) -> list[str]:
    """Return the names of a zip's members, and tell of those whose encoding it does not state.

    The standard's code page 437 is then meant, which `zipfile` takes, but Windows writes those of
    its language, and other tools UTF-8, which other text hardly ever is by chance.
    """
    names = [member.filename for member in members]
    unmarked = [
        place
        for place, member in enumerate(members)
        if not member.flag_bits & _UTF8 and not member.filename.isascii()
    ]
    if not unmarked:
        return names
    encoding = "UTF-8"
    try:
        raw = [names[place].encode("cp437").decode("utf-8") for place in unmarked]
    except UnicodeError:
        encoding, raw = "code page 437", [names[place] for place in unmarked]
    for place, name in zip(unmarked, raw, strict=True):
        names[place] = name
    warn(
        f"{path}: does not say how {len(unmarked)} names are encoded; read as {encoding}, as in "
        f"{raw[0]!r}; if that is wrong, unpack it and give the folder"
    )
    return names


def tar_members(paths: Sequence[Path], scratch: Path) -> list[ImageFile]:
    """List the members of tars, keys as `stores.Ranges` wants them.

    Of several tars the member `a.jpg` of `x.tar` has the path `x.tar/a.jpg`.

    Args:
        paths: of the tars, absolute.
        scratch: where packed ones are unpacked: they cannot be read out of order.
    """
    found: list[ImageFile] = []
    for path in paths:
        with refuse_damaged(path):
            plain = _plain(path, scratch)
            with tarfile.TarFile(plain) as archive:
                # Tools that make the same tar each time give each member the same time.
                members = list(_members(archive, plain, path.stat().st_mtime_ns))
        prefix = f"{path.name}/" if len(paths) > 1 else ""
        found += [replace(file, path=prefix + file.path) for file in members]
    return found


def _members(archive: tarfile.TarFile, plain: Path, written: int) -> Iterator[ImageFile]:
    for member in archive.getmembers():
        target = member
        if member.islnk() or member.issym():
            target = _target(archive, member) or member
        usual = target.isreg() and not target.issparse()
        key = (str(plain), target.offset_data, target.size) if usual else None
        if not member.isdir():
            size = member.size if member.isreg() else None
            stamp = (int(target.mtime), written)
            yield ImageFile(_clean(member.name), size, key, stamp=stamp)


def _target(archive: tarfile.TarFile, link: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Return the regular file that a link leads to, None if there is none."""
    seen = {link.name}
    while link.islnk() or link.issym():
        near = PurePosixPath(link.name).parent if link.issym() else PurePosixPath()
        name = (near / link.linkname).as_posix()
        try:
            link = archive.getmember(name)
        except KeyError:
            return None
        if link.name in seen:
            return None
        seen.add(link.name)
    return link


def _plain(path: Path, scratch: Path) -> Path:
    """Return a tar that is not packed: this one, or it unpacked."""
    with path.open("rb") as packed:
        start = packed.read(6)
    for magic, unpack in _UNPACK.items():
        if start.startswith(magic):
            plain = scratch / f"{len(list(scratch.iterdir()))}-{path.name}"
            with unpack(path) as stream, writing(plain), plain.open("wb") as unpacked:
                shutil.copyfileobj(stream, unpacked, 1 << 20)
            return plain
    return path


def _clean(name: str) -> str:
    """Return a member's path without `./`, and with `/` where a zip of Windows has its own."""
    return PurePosixPath(name.replace("\\", "/")).as_posix()
