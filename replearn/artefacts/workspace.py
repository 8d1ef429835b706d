"""Folders that appear all at once: made in a hidden work folder that one process holds."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from replearn.artefacts.files import REPLACED, identity_in, publish
from replearn.artefacts.identity import already_made
from replearn.artefacts.locks import is_at, lock
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


@contextmanager
def creating(out: Path, identity: str, facts: str, *, overwrite: bool) -> Iterator[Path | None]:
    """Yield a new folder to fill, which becomes `out`; None if the same artefact lies there.

    Args:
        out: where the artefact goes.
        identity: of what is to be made.
        facts: name of the JSON file in it that states its identity.
        overwrite: replace another artefact.

    Raises:
        DataError: something else lies at `out`, or another process is writing it now.

    Example:
        with creating(out, identity, "detector.json", overwrite=False) as folder:
            if folder is not None:
                save_detector(folder, fit())
    """
    with workspace(out) as work:
        if already_made(out, identity_in(out / facts), identity, overwrite=overwrite):
            yield None
            return
        folder = work / "made"
        folder.mkdir()
        yield folder
        publish(folder, out)
