"""Artefacts on disk: what identifies one, who may write it, and how it appears all at once.

An artefact is a file or a folder.  It is made in a hidden work folder beside its final place,
synced, and renamed, so a kill at any moment leaves a complete artefact or none.  Its identity is
a short string that depends on nothing but what determines the content: no time, host, path or
version is part of it.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from replearn.artefacts.identity import digest, identify
from replearn.console import say
from replearn.errors import DataError

_REPLACED = "replaced"  # in a work folder: what was there before, while it is being replaced


def already_made(out: Path, existing: str | None, wanted: str, *, overwrite: bool) -> bool:
    """Tell whether `out` is finished from the same inputs, so that nothing is left to do.

    Args:
        out: where the artefact lies or will lie.
        existing: the identity of what lies there, None if nothing does.
        wanted: the identity of what is to be made.
        overwrite: whether another artefact may be replaced.

    Raises:
        DataError: something else lies there and may not be replaced.
    """
    if existing == wanted:
        say(f"{out}: already made from the same inputs, nothing to do")
        return True
    if existing is None and out.is_dir() and any(out.iterdir()):
        # Never replaced, whatever was asked: it may be the user's own folder.
        raise DataError(f"{out}: a folder that holds other files; choose another place")
    if out.exists() and not overwrite:
        raise DataError(
            f"{out}: holds {existing or 'something else'}, not {wanted}; "
            "choose another place or give --overwrite"
        )
    return False


@contextmanager
def workspace(out: Path, *, keep: bool = False) -> Iterator[Path]:
    """Yield a hidden work folder beside `out` that no other process can hold at the same time.

    It is removed at the end.  With `keep`, what an interrupted run left in it is found again by
    the next one; without, the folder starts empty.

    Raises:
        DataError: another process is writing `out` now, or its folder cannot be written.
    """
    # Workers of a cluster, which stand elsewhere, write there too.
    work = out.absolute().parent / f".{out.name}.work"
    try:
        work.mkdir(parents=True, exist_ok=True)
        lock = (work / "lock").open("w")
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror}); choose another place")
    with lock:
        _lock_or_refuse(lock.fileno(), work / "lock", out)
        _put_back(work, out)
        if not keep:
            _empty(work)
        try:
            yield work
        except BaseException:
            _put_back(work, out)
            if not keep or not any(entry.name != "lock" for entry in work.iterdir()):
                shutil.rmtree(work, ignore_errors=True)
            raise
        shutil.rmtree(work, ignore_errors=True)


def _lock_or_refuse(handle: int, lock: Path, out: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A process that just finished may have removed the folder between opening and locking.
        still_there = _is_at(handle, lock)
    except BlockingIOError:
        still_there = False
    if not still_there:
        raise DataError(f"{out}: another process is writing it now; wait for it or stop it")


def _is_at(handle: int, path: Path) -> bool:
    """Tell whether the file that is open is the one of this name now."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _put_back(work: Path, out: Path) -> None:
    """Undo a replacement that was stopped between taking the old away and putting the new there."""
    if (work / _REPLACED).exists() and not out.exists():
        (work / _REPLACED).rename(out)


def _empty(work: Path) -> None:
    for entry in work.iterdir():
        if entry.name != "lock":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def publish(made: Path, out: Path) -> None:
    """Move a finished file or folder to its final place: sync, rename, sync the parent.

    A folder that lies there waits in the folder of the new one until that has taken its place.
    """
    for path in [*made.rglob("*"), made] if made.is_dir() else [made]:
        _sync(path)
    if out.is_dir():
        old, going = made.parent / _REPLACED, made.parent / "removed"
        for path in (old, going):
            shutil.rmtree(path, ignore_errors=True)  # a killed run's
        out.rename(old)
        made.rename(out)
        shutil.rmtree(old.rename(going))  # what is half removed must not be put back
    else:
        if made.is_dir():
            out.unlink(missing_ok=True)
        made.replace(out)
    _sync(out.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name the file where writing it fails, which the system does not: on a full disk, mostly.

    Raises:
        DataError: the system refused what was done inside.
    """
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(
            f"{path}: cannot be written ({reason}); make room there or choose another place"
        ) from None


def write_text(path: Path, text: str) -> None:
    """Write a text file all at once: a reader sees the old content or the new, never a part."""
    _write(path, text.encode("utf-8"))


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    with writing(path), _held(temporary) as file:
        file.write(content)
        file.flush()
        publish(temporary, path)


@contextmanager
def _held(path: Path) -> Iterator[BinaryIO]:
    """Open an empty file that no other writer has until this one has renamed it.

    Without, of two that write the same artefact one would publish half of the other's.
    """
    while True:
        with path.open("ab") as file:
            with suppress(OSError):  # some file systems have no locks
                fcntl.flock(file.fileno(), fcntl.LOCK_EX)
            # Whom this one waited for has renamed it meanwhile: then it is no longer of this name.
            if _is_at(file.fileno(), path):
                file.truncate(0)
                yield file
                return


def write_result(path: Path, text: str, *, overwrite: bool) -> None:
    """Write a text artefact (a list, a run file) unless the same text lies there already.

    Raises:
        DataError: another text lies there and may not be replaced.
    """
    write_results({path: text}, overwrite=overwrite)


def write_results(files: Mapping[Path, str | bytes], *, overwrite: bool) -> None:
    """Write artefacts that belong together: none of them unless each may be written.

    Raises:
        DataError: something else lies in one of the places and may not be replaced.
    """
    stale: dict[Path, bytes] = {}
    for path, content in files.items():
        data = content.encode("utf-8") if isinstance(content, str) else content
        known = _content_identity(path.read_bytes()) if path.is_file() else None
        if not already_made(path, known, _content_identity(data), overwrite=overwrite):
            stale[path] = data
    for path, data in stale.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, data)


def _content_identity(data: bytes) -> str:
    return identify("file", content=digest(data))


def identity_in(path: Path) -> str | None:
    """Return the identity that a JSON file of an artefact states, None if it states none."""
    content = read_json(path) if path.exists() else None
    return content.get("identity") if isinstance(content, dict) else None


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON, all at once."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file of an artefact.

    Raises:
        DataError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: not found; give the folder of a finished artefact") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable as JSON ({error}); make it again") from None
