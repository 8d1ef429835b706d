"""Folders that appear all at once: made in a hidden work folder that one process holds."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from replearn.artefacts.files import REPLACED, identity_in, publish
from replearn.artefacts.locks import is_at, lock
from replearn.artefacts.outputs import Kind, already_made, place_of, refuse_inputs
from replearn.errors import DataError


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
        held = (work / "lock").open("w")
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror}); choose another place")
    with held:
        # A process that just finished may have removed the folder between opening and locking.
        if lock(held.fileno()) is False or not is_at(held.fileno(), work / "lock"):
            raise DataError(f"{out}: another process is writing it now; wait for it or stop it")
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


def _put_back(work: Path, out: Path) -> None:
    """Undo a replacement that was stopped between taking the old away and putting the new there."""
    if (work / REPLACED).exists() and not out.exists():
        (work / REPLACED).rename(out)


def _empty(work: Path) -> None:
    for entry in work.iterdir():
        if entry.name != "lock":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


@dataclass(frozen=True)
class FolderKind(Kind):
    """A kind of folder that states its identity in one of its files.

    Attributes:
        facts: name of the JSON file that does.
        check: refuses a folder in which something is missing or damaged, with a DataError.
    """

    facts: str
    check: Callable[[Path], object]

    def identity_in(self, folder: Path, like: str) -> str | None:
        """Return the identity of what lies in a folder, None if it is not of the kind of `like`."""
        found = identity_in(folder / self.facts) if folder.is_dir() else None
        same = isinstance(found, str) and found.partition(":")[0] == like.partition(":")[0]
        return found if same else None


@contextmanager
def creating(
    out: Path,
    identity: str,
    kind: FolderKind,
    *,
    overwrite: bool,
    inputs: Iterable[Path | str | None] = (),
) -> Iterator[Path | None]:
    """Yield a new folder to fill, which becomes `out`; None if the same artefact lies there whole.

    Args:
        out: where the artefact goes.
        identity: of what is to be made.
        kind: of artefact.
        overwrite: make it in any case, and replace another one of this kind.
        inputs: what it is made of, which is never replaced.

    Raises:
        DataError: something lies at `out` that may not be replaced, the same artefact lies there
            damaged, or another process is writing it now.

    Example:
        with creating(out, identity, DETECTOR, overwrite=False) as folder:
            if folder is not None:
                save_detector(folder, fit())
    """
    out = place_of(out)
    refuse_inputs(out, inputs)
    with workspace(out) as work:
        there = kind.identity_in(out, identity)
        if there == identity and not overwrite:
            kind.check(out)
        if already_made(out, kind, there, identity, overwrite=overwrite):
            yield None
            return
        folder = work / "made"
        folder.mkdir()
        yield folder
        publish(folder, out)
