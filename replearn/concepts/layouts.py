"""Layouts of concept files: detection, reading, description.

Which characters stand between an id and its concepts and between the concepts, and whether there
is a header, differs from year to year and from data set to data set:

    ImageCLEF   TAB, `|` or comma after the id; `;` (2017: comma) between the concepts
    ROCO        id, TAB, an empty column, then one concept in each column that TABs part
    ROCOv2      `ID,CUIs`, as ImageCLEF since 2024; the public copy is Parquet

Byte-order mark, any line ends, quotes (where the comma parts), blank lines and a missing last
line end are taken as they come.  An id that holds `|` needs a TAB after it, one that holds a
comma a TAB or quotes around it.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from replearn.concepts.text_files import not_utf8, read_bytes, refuse_binary
from replearn.errors import DataError
from replearn.memory import no_garbage_collection
from replearn.parquet import column_types, is_parquet, rows_of

_WANTED = "a list of ids or concepts as UTF-8 text"
_HEADER_FIRST = {"image", "image_id", "imageid", "filename", "name"}
_HEADER_SECOND = {"cui", "cuis", "concept", "concepts", "tag", "tags", "label", "labels"}
_PARQUET_ID = ("image_id", "id")
_PARQUET_CONCEPTS = ("cui", "cuis", "concepts")
_SPOKEN = {"\t": "TAB", ",": "comma", "\n": "LF", "\r\n": "CRLF", "\r": "CR"}


@dataclass(frozen=True)
class Layout:
    """The layout of a concept file, as it was found.

    Attributes:
        delimiter: between the id and its concepts; None where every line is an id alone.
        separator: between the concepts of an image; TAB in ROCO's files.
        header: the cells of the header, None where there is none.
        mark: whether it starts with a byte-order mark.
        line_end: LF, CRLF or CR; of the first line.
        finished: whether the last line has its end.
        parquet: whether it is no text but a Parquet table.
    """

    delimiter: str | None
    separator: str
    header: tuple[str, ...] | None
    mark: bool
    line_end: str
    finished: bool
    parquet: bool = False

    def split(self, field: str | None) -> tuple[str, ...]:
        """Return the concepts in a field: without outer spaces, empty ones and repetitions."""
        stripped = (concept.strip() for concept in (field or "").split(self.separator))
        return tuple(dict.fromkeys(concept for concept in stripped if concept))

    def __str__(self) -> str:
        if self.parquet:
            return "Parquet"
        if self.delimiter is None:
            columns = "ids alone"
        elif self.separator == self.delimiter:
            columns = "a column for each concept as in ROCO"
        else:
            columns = f"{_spoken(self.delimiter)} after the id, {_spoken(self.separator)} between "
            columns += "concepts"
        header = f"header {' '.join(f'`{cell}`' for cell in self.header)}" if self.header else ""
        rest = [f"{_spoken(self.line_end)} line ends"] * (self.line_end != "\n")
        rest += ["byte-order mark"] * self.mark + ["no last line end"] * (not self.finished)
        return ", ".join([columns, header or "no header", *rest])


def _spoken(character: str) -> str:
    return _SPOKEN.get(character, f"`{character}`")


class Entry(NamedTuple):
    """An image in a concept file: where it stands, its id, and its concepts as they stand there.

    The field is None for an id alone, "" for an id with a delimiter and nothing after it.
    """

    line: int
    id: str
    field: str | None


Line = tuple[int, list[str]]
"""A line that is not blank: its number and its cells, the first of them not empty."""


@no_garbage_collection()
def read_entries(path: Path) -> tuple[Layout, list[Entry]]:
    """Return what a concept file of any layout looks like, and its images in its order.

    Raises:
        DataError: the file is missing, is not UTF-8 text, or lists an id twice or none at all.
        UsageError: it is Parquet, and pyarrow is not installed.
    """
    if is_parquet(path):
        layout = Layout("\t", ";", None, mark=False, line_end="\n", finished=True, parquet=True)
        rows = enumerate(_parquet_rows(path), 1)
        entries = [Entry(row, id_, ";".join(concepts)) for row, (id_, concepts) in rows]
    else:
        layout, lines = _read(path)
        entries = [_entry(path, layout, line) for line in lines[layout.header is not None :]]
    first_seen: dict[str, int] = {}
    for number, id_, _ in entries:
        if first_seen.setdefault(id_, number) != number:
            raise DataError(
                f"{path}: line {number}: the id {id_!r} stands already in line "
                f"{first_seen[id_]}; keep one of the two"
            )
    if not entries:
        raise DataError(f"{path}: no image is listed in it; write one id a line")
    return layout, entries


def read_lines(path: Path) -> list[Line]:
    """Return the lines of a file of one or two columns, whatever parts them, header included.

    Raises:
        DataError: the file is missing, is not UTF-8 text, or has more columns.
    """
    layout, lines = _read(path)
    for line in lines:
        _entry(path, layout, line)
    return lines


def _entry(path: Path, layout: Layout, line: Line) -> Entry:
    number, cells = line
    if len(cells) > 2 and layout.separator != layout.delimiter:
        raise DataError(
            f"{path}: line {number}: {len(cells)} columns where an id and its concepts are "
            "expected; is it the right file?"
        )
    field = cells[1] if len(cells) == 2 else "\t".join(cells[2:]) if cells[2:] else None
    return Entry(number, cells[0].strip(), field)


def _read(path: Path) -> tuple[Layout, list[Line]]:
    text = _text(path)
    mark = text.startswith("\ufeff")
    line_end = next((end for end in ("\r\n", "\n", "\r") if end in text), "\n")
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    numbered = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    # TAB before `|` before comma, and the first line decides: concepts may hold the later ones.
    used = (delimiter for _, line in numbered for delimiter in "\t|," if delimiter in line)
    delimiter = next(used, None)
    lines = [(n, _cells(path, n, line, delimiter or ",")) for n, line in numbered]
    header = tuple(lines[0][1]) if lines and _is_header(lines[0][1]) else None
    images = lines[header is not None :]
    separator = "\t" if _is_spread(images, delimiter) else _separator(images)
    return Layout(delimiter, separator, header, mark, line_end, text.endswith("\n")), lines


def _text(path: Path) -> str:
    data = read_bytes(path, _WANTED)
    refuse_binary(data, str(path), _WANTED)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line, problem = not_utf8(error)
        raise DataError(f"{path}: line {line}: {problem}")


def _cells(path: Path, number: int, line: str, delimiter: str) -> list[str]:
    try:
        # Only commas know quotes.
        quoted = delimiter == "," and '"' in line
        cells = next(csv.reader([line], strict=True)) if quoted else line.split(delimiter)
    except csv.Error as error:
        raise DataError(f"{path}: line {number}: not readable ({error}); is a quote left open?")
    if not cells[0].strip():
        raise DataError(f"{path}: line {number}: no id in {line.strip()!r}; add it")
    if "\t" in cells[0].strip():
        raise DataError(
            f"{path}: line {number}: a TAB in the id {cells[0]!r}, but the first line uses "
            f"{delimiter!r}; use one of them throughout"
        )
    return cells


def _is_header(cells: Sequence[str]) -> bool:
    first = cells[0].strip().lower()
    second = cells[1].strip().lower() if len(cells) > 1 else ""
    # "ImageCLEFmedical 2025 ID" is a header, "COVID_1" is an image.
    return first.split()[-1] == "id" or first in _HEADER_FIRST or second in _HEADER_SECOND


def _is_spread(images: Sequence[Line], delimiter: str | None) -> bool:
    """Tell ROCO's files: an empty column stands between each id and its concepts."""
    wide = delimiter == "\t" and any(len(cells) > 2 for _, cells in images)
    return wide and all(cells[1:2] in ([], [""]) for _, cells in images)


def _separator(images: Sequence[Line]) -> str:
    """Return the `;`, or the comma where no field has one but some field has that."""
    fields = "\0".join(cell for _, cells in images for cell in cells[1:])
    return next((separator for separator in ";," if separator in fields), ";")


def _parquet_rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the id and the concepts of each image of a file, or of all files of a folder by name.

    Raises:
        DataError: a file is damaged, has other columns or an id that is missing.
        UsageError: pyarrow is not installed.
    """
    for part in sorted(path.glob("*.parquet")) if path.is_dir() else [path]:
        names = list(column_types(part))
        id_name, concepts_name = (
            next((name for name in names if name.lower() in wanted), None)
            for wanted in (_PARQUET_ID, _PARQUET_CONCEPTS)
        )
        if id_name is None or concepts_name is None:
            raise DataError(
                f"{part}: has the columns {', '.join(names)}; `image_id` and `cui` are expected"
            )
        for row in rows_of(part, [id_name, concepts_name]):
            id_, named = row[id_name], row[concepts_name]
            if not id_:
                raise DataError(f"{part}: an image without id; is it the right file?")
            listed = named.split(";") if isinstance(named, str) else named or []
            yield str(id_), [str(concept) for concept in listed]
