"""Delimited text: the content of a file as numbered rows of cells.

TAB, `|`, comma and `;` part cells.  The first line that has one of them outside quotes decides: the
TAB if it has one, else the first of the others, as ids seldom hold any and concepts may hold all.
Where comma or `;` part cells, a cell in quotes may hold anything, line ends too; where TAB or `|`
do, quotes count only around a whole cell.  Byte-order mark, any line ends, blank lines and a
missing last line end are taken as they come.
"""

import csv
import gzip
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from replearn.concepts.text_files import not_utf8, read_bytes, refuse_binary
from replearn.errors import DataError

_QUOTED_CELL = re.compile(r'(^|[\t|,;])\s*"(?:[^"]|"")*"(?=$|[\t|,;])')
_WHOLLY_QUOTED = re.compile(r'\s*"((?:[^"]|"")*)"\s*')
_PARTS = "|,;"

Line = tuple[int, list[str]]
"""A row that is not blank: the number of its first line, and its cells."""


@dataclass(frozen=True)
class DelimitedText:
    """The rows of a file, and what the file looks like.

    Attributes:
        lines: the rows that are not blank, header included.
        delimiter: between cells; None where every row has one.
        mark: whether it starts with a byte-order mark.
        line_end: LF, CRLF or CR; of the first line.
        finished: whether the last line has its end.
    """

    lines: list[Line]
    delimiter: str | None
    mark: bool = False
    line_end: str = "\n"
    finished: bool = True


def read_delimited(path: Path, wanted: str) -> DelimitedText:
    """Read a file of delimited text, plain or compressed by gzip.

    Args:
        path: the file.
        wanted: what the remedy asks for, such as `a list of ids`.

    Raises:
        DataError: the file is missing, is not UTF-8 text, or leaves a quote open.
    """
    text = _text(path, wanted)
    mark = text.startswith("\ufeff")
    line_end = next((end for end in ("\r\n", "\n", "\r") if end in text), "\n")
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    _refuse_json(path, text, wanted)
    delimiter = find_delimiter(text)
    if '"' not in text:
        lines = [(n, line.split(delimiter or "\n")) for n, line in _numbered(text)]
    elif delimiter in ("\t", "|"):
        lines = [(n, list(map(_unquote, line.split(delimiter)))) for n, line in _numbered(text)]
    else:
        lines = list(_read_quoted(path, text, delimiter or ","))
    return DelimitedText(lines, delimiter, mark, line_end, text.endswith("\n"))


def _text(path: Path, wanted: str) -> str:
    data = read_bytes(path, wanted)
    if data.startswith(b"\x1f\x8b"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path}: not readable as gzip ({error}); fetch it again") from None
    refuse_binary(data, str(path), wanted)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line, problem = not_utf8(error)
        raise DataError(f"{path}: line {line}: {problem}")


def _refuse_json(path: Path, text: str, wanted: str) -> None:
    """Refuse JSON and lines of JSON, whose commas and quotes would pass for a table's."""
    start = text.lstrip()
    if not start.startswith(("{", "[")):
        return
    for candidate in (start.partition("\n")[0], text):
        try:
            json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        raise DataError(f"{path}: this is JSON, not a table; give {wanted}")


def _numbered(text: str) -> Iterator[tuple[int, str]]:
    return ((n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip())


def find_delimiter(text: str) -> str | None:
    """Return what parts the cells of a text, None if nothing does."""
    for line in text.split("\n"):
        bare = _QUOTED_CELL.sub(r"\1", line) if '"' in line else line
        if "\t" in bare:
            return "\t"
        places = {bare.find(part): part for part in _PARTS if part in bare}
        if places:
            return places[min(places)]
    return None


def _unquote(cell: str) -> str:
    match = _WHOLLY_QUOTED.fullmatch(cell) if '"' in cell else None
    return match[1].replace('""', '"') if match else cell


def _read_quoted(path: Path, text: str, delimiter: str) -> Iterator[Line]:
    """Yield the rows of a text in which cells may be quoted, and so go over several lines."""
    reader = csv.reader(
        (f"{line}\n" for line in text.split("\n")),
        delimiter=delimiter,
        strict=True,
    )
    first = 1
    try:
        for cells in reader:
            if cells and not (len(cells) == 1 and cells[0].isspace()):
                # The parser knows quotes only at the very start of a cell.
                yield first, [_unquote(cell) if cell[:1].isspace() else cell for cell in cells]
            first = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}: line {first}: not readable ({error}); is a quote left open?")


def width_of(lines: Sequence[Line]) -> int:
    """Return the most cells that a row has."""
    return max((len(cells) for _, cells in lines), default=0)
