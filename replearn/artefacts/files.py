"""Files and folders that appear all at once: written beside their place, synced, renamed.

A kill at any moment leaves the old content or the new one, never a part.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from replearn.artefacts.locks import is_at, lock
from replearn.errors import DataError

REPLACED = "replaced"  # in a work folder: what was there before, while it is being replaced


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


@contextmanager
def replacing(path: Path, *, tag: str = "") -> Iterator[Path]:
    """Yield an empty file beside `path`; once it is filled, it takes the place of `path`.

    What a link leads to is replaced, not the link.  Processes that write the same file take turns,
    or have a temporary file each, if they give it a tag.  If the inside fails, the old file stays
    and the new one is removed.

    Args:
        path: the file to replace.
        tag: part of the temporary file's name, of this process alone.

    Raises:
        DataError: a folder lies there, or the disk is full or cannot be written for another reason.

    Example:
        with replacing(folder / "table.csv") as temporary:
            temporary.write_text("id,f1")
    """
    if path.is_dir():
        raise DataError(f"{path}: is a folder; give the name of a file")
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    temporary = path.with_name(f".{path.name}{tag}.tmp")
    with writing(path), _sole_writer(temporary, alone=bool(tag)) as handle:
        try:
            yield temporary
            publish(temporary, path)
        except BaseException:
            if is_at(handle, temporary):  # half of it would fill the disk
                temporary.unlink()
            raise


@contextmanager
def _sole_writer(path: Path, *, alone: bool) -> Iterator[int]:
    """Make an empty file that no other writer has until this one has renamed it; yield its handle.

    Without, of two that write the same artefact one would publish half of the other's.
    """
    while True:
        with path.open("ab") as file:
            if not alone:
                with suppress(OSError):  # without a lock it is written all the same
                    lock(file.fileno(), wait=True)
            # Whom this one waited for has renamed it meanwhile: then it is no longer of this name.
            if is_at(file.fileno(), path):
                file.truncate(0)
                yield file.fileno()
                return


def publish(made: Path, out: Path) -> None:
    """Move a finished file or folder to its final place: sync, rename, sync the parent.

    A folder that lies there waits in the folder of the new one until that has taken its place.
    """
    for path in [*made.rglob("*"), made] if made.is_dir() else [made]:
        _sync(path)
    if out.is_dir():
        old, going = made.parent / REPLACED, made.parent / "removed"
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


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file all at once: a reader sees the old content or the new, never a part."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a text file all at once."""
    write_bytes(path, text.encode("utf-8"))


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
        raise DataError(
            f"{path}: not readable as JSON ({error}); remove it and make it again"
        ) from None


def identity_in(path: Path) -> str | None:
    """Return the identity that a JSON file of an artefact states, None if it states none."""
    content = read_json(path) if path.exists() else None
    return content.get("identity") if isinstance(content, dict) else None
