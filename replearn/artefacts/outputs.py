"""Outputs: where a stage writes, what it may replace there, and what it never touches.

A link is followed: what it leads to is written, and need not be there yet.  What is empty counts as
nothing.  What the stage reads is never replaced, whatever is asked, nor is what something else
wrote: an artefact is replaced by its own kind alone, a small file only if it parses as what the
stage writes.  Text goes into a device or a pipe, as a shell's redirection does, and to stdout for
`-`.
"""

import logging
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from replearn.artefacts.files import write_bytes, writing
from replearn.console import is_stdout, print_text
from replearn.errors import DataError, UsageError

_logger = logging.getLogger(__name__)

_TEMPORARY = r"(.*/)?\.[^/]*\.tmp"  # what a killed run left of a file


@dataclass(frozen=True)
class Kind:
    """A kind of artefact.

    Attributes:
        name: in messages, as `an index`.
        files: a regular expression of the files that make it up, where it is a folder.
    """

    name: str
    files: str

    def others_in(self, folder: Path) -> list[str]:
        """Return the files below a folder that this kind does not write, by their paths in it."""
        own = re.compile(f"{self.files}|{_TEMPORARY}")
        found = [path.relative_to(folder).as_posix() for path in sorted(_files_in(folder))]
        return [name for name in found if not own.fullmatch(name)]

    def refuse_others(self, out: Path) -> None:
        """Refuse a folder whose replacement would take files with it that are no part of it.

        Raises:
            DataError: there are some.
        """
        others = self.others_in(out) if out.is_dir() else []
        if others:
            raise DataError(
                f"{out}: holds other files ({others[0]}), which are not replaced; move them away "
                "or choose another place"
            )


@dataclass(frozen=True)
class FileKind:
    """A kind of small file.

    Attributes:
        name: in messages, as `a run file`.
        is_own: tells whether content is what the stage writes.
    """

    name: str
    is_own: Callable[[bytes], bool]

    @classmethod
    def of_lines(cls, name: str, *patterns: str) -> "FileKind":
        """Return a kind of text each of whose lines matches one and the same of the patterns."""
        compiled = [re.compile(rf"(?:{pattern}\n)*".encode()) for pattern in patterns]
        return cls(name, lambda data: any(lines.fullmatch(data) for lines in compiled))


@dataclass(frozen=True)
class Result:
    """A small file that a stage writes.

    Attributes:
        content: text, or the bytes of what is none.
        kind: of file.
    """

    content: str | bytes
    kind: FileKind

    @property
    def data(self) -> bytes:
        """The bytes of the file."""
        return self.content.encode() if isinstance(self.content, str) else self.content


def place_of(out: Path) -> Path:
    """Return where an artefact goes: what a link at `out` leads to, else `out` itself.

    Raises:
        DataError: there is a device or a pipe, or the place cannot be reached.
        UsageError: it is `-`, stdout.
    """
    if str(out) == "-":
        raise UsageError("-: is stdout, where only text goes; give the name of a file")
    place = Path(os.path.realpath(out)) if out.is_symlink() or out.name in ("", "..") else out
    try:
        mode = place.stat().st_mode
    except FileNotFoundError:
        return place
    except OSError as error:
        raise DataError(
            f"{out}: cannot be written ({error.strerror}); choose another place"
        ) from None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DataError(f"{out}: is a device or a pipe, no file; give the name of a file")
    return place


def is_stream(out: Path) -> bool:
    """Tell whether an output is written to as it comes: stdout, a terminal, a pipe, `/dev/null`."""
    if str(out) == "-":
        return True
    try:
        found = out.stat()
    except OSError:
        return False
    return stat.S_ISCHR(found.st_mode) or stat.S_ISFIFO(found.st_mode) or is_stdout(found)


def is_free(place: Path) -> bool:
    """Tell whether there is nothing at a place, or an empty file, or a folder without files."""
    if place.is_dir():
        return next(_files_in(place), None) is None
    return not place.exists() or place.stat().st_size == 0


def _files_in(folder: Path) -> Iterator[Path]:
    """Yield what lies below a folder and is no folder itself; a link to one is a file here."""
    return (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def refuse_inputs(out: Path, inputs: Iterable[Path | str | None]) -> None:
    """Refuse an output that is one of the inputs or holds one, by whatever name or link.

    Args:
        out: where a stage is about to write.
        inputs: what it reads; those that are None or not there do not count.

    Raises:
        DataError: replacing the output would take an input away.
    """
    if not out.exists():
        return
    for given in inputs:
        path = Path(os.path.realpath(given or ""))
        if given is None or not path.exists():
            continue
        if any(place.samefile(out) for place in (path, *path.parents)):
            verb = "is" if path.samefile(out) else "holds"
            raise DataError(f"{out}: {verb} {given}, which is read here; choose another place")


def already_made(
    out: Path, kind: Kind, existing: str | None, wanted: str, *, overwrite: bool
) -> bool:
    """Tell whether an artefact is finished from the same inputs, so that nothing is left to do.

    Args:
        out: where the artefact lies or will lie, see `place_of`.
        kind: of artefact.
        existing: the identity of one of this kind that lies there, None if none does.
        wanted: the identity of what is to be made.
        overwrite: make it in any case, and replace another one of this kind.

    Raises:
        DataError: something lies there that may not be replaced.
    """
    if existing == wanted and not overwrite:
        _logger.info(f"{out}: already made from the same inputs, nothing to do")
        return True
    if is_free(out):
        return False
    if existing is None:
        raise DataError(
            f"{out}: is not {kind.name}, or a damaged one, and is not replaced; "
            "remove it or choose another place"
        )
    kind.refuse_others(out)
    if not overwrite:
        raise DataError(
            f"{out}: holds {existing}, not {wanted}; choose another place or give --overwrite"
        )
    return False


def refuse_taken(out: Path, kind: FileKind, inputs: Iterable[Path | str | None]) -> None:
    """Refuse what `write_results` would refuse whatever was asked, before there is a result.

    Raises:
        DataError: the output is an input or a folder, or not of this kind.
        UsageError: it is `-`, and not a place for this.
    """
    if is_stream(out):
        return
    place = place_of(out)
    refuse_inputs(place, inputs)
    if place.is_dir():
        raise DataError(f"{place}: is a folder; give the name of a file")
    if not is_free(place) and not kind.is_own(place.read_bytes()):
        raise DataError(
            f"{place}: is not {kind.name} as it would be written here, and is not replaced; "
            "remove it or choose another place"
        )


def write_results(
    results: Mapping[Path, Result],
    *,
    overwrite: bool,
    inputs: Iterable[Path | str | None] = (),
) -> None:
    """Write small files that belong together: none of them unless each may be written.

    Args:
        results: what goes where.
        overwrite: replace others of the same kind.
        inputs: what the stage has read, which is never replaced.

    Raises:
        DataError: something lies in one of the places that may not be replaced.
        UsageError: two of them go to the same place, or what is no text goes to stdout.
    """
    inputs = list(inputs)
    streams = {path: result for path, result in results.items() if is_stream(path)}
    files = {place_of(path): result for path, result in results.items() if path not in streams}
    if len({os.path.realpath(place) for place in files}) < len(results) - len(streams):
        raise UsageError(f"{', '.join(map(str, results))}: give each a file of its own")
    if any(not isinstance(results[path].content, str) for path in streams if str(path) == "-"):
        raise UsageError("-: is stdout, where only text goes; give the name of a file")
    stale = {
        place: result
        for place, result in files.items()
        if not _already_written(place, result, inputs, overwrite=overwrite)
    }
    for place, result in stale.items():
        with writing(place):
            place.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(place, result.data)
    for path, result in streams.items():
        _write_stream(path, result)


def _already_written(
    place: Path, result: Result, inputs: Iterable[Path | str | None], *, overwrite: bool
) -> bool:
    refuse_taken(place, result.kind, inputs)
    if is_free(place):
        return False
    if place.read_bytes() == result.data and not overwrite:
        _logger.info(f"{place}: already made from the same inputs, nothing to do")
        return True
    if not overwrite:
        raise DataError(f"{place}: holds another one; choose another place or give --overwrite")
    return False


def _write_stream(path: Path, result: Result) -> None:
    if isinstance(result.content, str) and (str(path) == "-" or is_stdout(path.stat())):
        print_text(result.content)
        return
    with writing(path), path.open("wb") as stream:
        stream.write(result.data)
