"""Layouts of concept files: where the ids and the concepts of images stand in them.

    lists     all concepts of an image in one field: ImageCLEF, NIH ChestX-ray14, PadChest, ROCOv2
    rows      a row for each concept of an image: VinDr-CXR, the boxes of NIH and RSNA
    columns   a column for each concept with 1, 0, -1 or nothing in it: CheXpert, MIMIC-CXR, ISIC
    cells     one concept in each further cell: ROCO, with an empty cell after the id

`delimited.py` finds the cells, `headers.py` the header, `columns.py` the columns, and
`gathering.py` the concepts of each image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from replearn.concepts.array_labels import read_array_labels
from replearn.concepts.columns import Columns, Table, find_columns
from replearn.concepts.delimited import DelimitedText, Line, read_delimited
from replearn.concepts.descriptions import describe
from replearn.concepts.fields import is_missing, split_field
from replearn.concepts.gathering import Entry, gather, refuse_repeated_ids
from replearn.concepts.headers import (
    FILES,
    NAMES,
    SINGLES,
    has_header,
    has_more_than_a_file,
    is_number,
    means,
)
from replearn.concepts.parquet_tables import read_parquet_table
from replearn.concepts.reading import AS_FOUND, LayoutName, Reading
from replearn.errors import DataError, quoted, some_of
from replearn.memory import no_garbage_collection
from replearn.parquet import is_parquet

_WANTED = "a list of ids or concepts as UTF-8 text"


@dataclass(frozen=True)
class Layout:
    """The layout of a concept file, as it was found.

    Attributes:
        kind: where the concepts of an image stand.
        separator: between the concepts in the field of an entry.
        description: what the file looks like, in words.
    """

    kind: LayoutName
    separator: str
    description: str

    def split(self, field: str | None) -> tuple[str, ...]:
        """Return the concepts in a field: without outer spaces, empty ones and repetitions."""
        return split_field(field or "", self.separator)

    def __str__(self) -> str:
        return self.description


@no_garbage_collection()
def read_entries(path: Path, reading: Reading = AS_FOUND) -> tuple[Layout, list[Entry]]:
    """Return what a concept file of any layout looks like, and its images in its order.

    Args:
        path: of the file.
        reading: what is said of it.

    Raises:
        DataError: the file is missing, is no table, lists an id twice or none at all, or its
            layout is in doubt.
        UsageError: it is Parquet, and pyarrow is not installed.
    """
    table, text = _open(path)
    kind: LayoutName = "cells"
    if reading.layout is None and _is_spread(table, text):
        columns = Columns(0, tuple(range(2, table.width)))
    else:
        _check_widths(table, reading)
        columns = find_columns(table, reading)
        kind = reading.layout or _kind_of(table, columns)
    _check_ids(table, columns.id, text)
    found = gather(table, columns, kind, reading)
    words = describe(table, text, columns, kind, found)
    return Layout(kind, found.separator, words), found.entries


@no_garbage_collection()
def read_id_column(path: Path) -> tuple[list[str], str | None]:
    """Return the ids of a list or of a concept file of any layout, and their header if one is told.

    Raises:
        DataError: as `read_entries`, but it does not matter where concepts stand.
        UsageError: it is Parquet, and pyarrow is not installed.
    """
    table, text = _open(path)
    column = 0
    if not _is_spread(table, text):
        _check_widths(table, AS_FOUND)
        column = find_columns(table, AS_FOUND, ids_alone=True).id
    _check_ids(table, column, text)
    ids = [cells[column].strip() for cells in table.rows]
    header = table.header[column].strip() if table.header else None
    if _has_rows_for_concepts(table):
        return list(dict.fromkeys(ids)), header
    refuse_repeated_ids(table, ids, "list each id once")
    return ids, header


def read_lines(path: Path) -> list[Line]:
    """Return the lines of a file of one or two columns, whatever parts them, header included.

    Raises:
        DataError: the file is missing, is not UTF-8 text, or has more columns.
    """
    text = read_delimited(path, _WANTED)
    for number, cells in text.lines:
        if len(cells) > 2:
            raise DataError(
                f"{path}: line {number}: {len(cells)} columns where two are expected; keep the id "
                "and what it is called or belongs to"
            )
    _check_ids(Table(path, None, text.lines), 0, text)
    return text.lines


def _open(path: Path) -> tuple[Table, DelimitedText | None]:
    """Return the cells of a file, and what it looks like if it is text.

    Raises:
        DataError: it has no row of an image.
    """
    if is_parquet(path):
        table, text = Table(path, *read_parquet_table(path)), None
    elif path.suffix.lower() == ".npz" and path.is_file():
        table, text = Table(path, *read_array_labels(path)), None
    else:
        text = read_delimited(path, _WANTED)
        header = tuple(text.lines[0][1]) if has_header(text.lines) else None
        _check_lines(path, text)
        table = Table(path, header, text.lines[header is not None :])
    if not table.lines:
        raise DataError(f"{path}: no image is listed in it; write one id a line")
    return table, text


def _check_lines(path: Path, text: DelimitedText) -> None:
    """Refuse lines whose cells blanks stand between, and a title above the header.

    Raises:
        DataError: there are some.
    """
    if not text.lines:
        return
    below = text.lines[1:] or text.lines  # the first may be a header
    if text.delimiter is None and all(has_more_than_a_file(cells[0]) for _, cells in below):
        number, (cell,) = below[0]
        raise DataError(
            f"{path}: line {number}: a blank after the name of the image in {quoted(cell)}; put a "
            "TAB or a comma between the cells"
        )
    (number, first), (_, second) = text.lines[0], text.lines[:2][-1]
    if len(first) == 1 < len(second) and means(second[0], FILES, NAMES):
        raise DataError(
            f"{path}: line {number}: {quoted(first[0])} stands above the names of the columns; "
            "remove this line"
        )


def _is_spread(table: Table, text: DelimitedText | None) -> bool:
    """Tell ROCO's files: an empty column stands between each id and its concepts."""
    wide = text is not None and text.delimiter == "\t" and any(len(row) > 2 for row in table.rows)
    return wide and all(row[1:2] in ([], [""]) for row in table.rows)


def _kind_of(table: Table, columns: Columns) -> LayoutName:
    if columns.states:
        return "columns"
    if len(columns.concepts) > 1:
        _refuse_answers(table, columns)
        return "cells"
    single = any(means(table.name(n), SINGLES) for n in columns.concepts)
    ids = {row[columns.id].strip() for row in table.rows if len(row) > columns.id}
    return "rows" if single and len(ids) < len(table.rows) else "lists"


def _refuse_answers(table: Table, columns: Columns) -> None:
    """Refuse columns that rather answer a question each, by yes and no or by numbers.

    Raises:
        DataError: they do.
    """
    cells = (row[n].strip() for row in table.rows for n in columns.concepts if n < len(row))
    found = dict.fromkeys(cell for cell in cells if not is_missing(cell))
    if len(table.rows) > 2 and (len(found) < 3 or all(map(is_number, found))):
        names = " and ".join(table.name(n) for n in columns.concepts[:2])
        raise DataError(
            f"{table.path}: {names} hold {some_of([*found], 2, quoted)}: are these the concepts "
            "(--layout cells)? If not, write 1 and 0 below the name of each concept"
        )


def _has_rows_for_concepts(table: Table) -> bool:
    """Tell whether an id may well stand in several rows, each about something else."""
    header = table.header or ()
    return len(header) > 2 or any(means(name, SINGLES) for name in header)


def _check_widths(table: Table, reading: Reading) -> None:
    """Refuse rows of more cells, or of fewer, than there are columns.

    Raises:
        DataError: there is one.
    """
    if reading.layout == "cells":
        return
    named = [n for n, name in enumerate(table.header or ()) if name.strip()]
    most = max(named[-1] + 1, 2) if named else table.width if reading.columns else 2
    least = most if most > 2 else 1
    for number, cells in table.lines:
        count = len(cells)
        if count > most and any(
            cell.strip() for cell in cells[max(most, len(table.header or ())) :]
        ):
            raise DataError(f"{table.path}: line {number}: {_too_many(table, cells, most)}")
        if count < least:
            raise DataError(
                f"{table.path}: line {number}: {count} columns of {most}; is the file complete?"
            )


def _too_many(table: Table, cells: Sequence[str], most: int) -> str:
    if table.header is not None:
        return (
            f"{len(cells)} columns where the header has {most}; put a field that holds the "
            "delimiter into quotes, or give --layout cells if each cell holds a concept"
        )
    return (
        f"{len(cells)} columns where an id and its concepts are expected; is it the right file? "
        "If so, give --layout cells if each cell holds a concept, or --columns ID,CONCEPTS"
    )


def _check_ids(table: Table, column: int, text: DelimitedText | None) -> None:
    """Refuse rows without an id, and ids that hold the delimiter of other rows.

    Raises:
        DataError: there is one.
    """
    for number, cells in table.lines:
        id_ = cells[column].strip() if column < len(cells) else ""
        if not id_:
            content = quoted(" ".join(" ".join(cells).split()))
            raise DataError(f"{table.path}: line {number}: no id in {content}; add it")
        if "\t" in id_ and text is not None and text.delimiter not in (None, "\t"):
            raise DataError(
                f"{table.path}: line {number}: a TAB in the id {quoted(cells[column])}, but the "
                f"first line uses {text.delimiter!r}; use one of them throughout"
            )
