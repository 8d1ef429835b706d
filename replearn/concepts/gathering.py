"""The concepts of each image, gathered from the rows of a table."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from typing import NamedTuple

from replearn.concepts.columns import Columns, Table
from replearn.concepts.fields import are_lists, find_separator, is_missing, items_of, unique
from replearn.concepts.headers import means
from replearn.concepts.reading import LayoutName, Reading
from replearn.errors import DataError, quoted

# Between the concepts of an entry that stand apart in the file: no text holds it.
APART = "\0"
_SAID_OF_ROWS = re.compile("confidence|value|presen(t|ce)|positive")


class Entry(NamedTuple):
    """An image in a concept file: where it stands, its id, and its concepts.

    The field is None for an id alone, "" for an id without concepts.  If the file has all concepts
    of the image in one field, it is as it stands there.
    """

    line: int
    id: str
    field: str | None


class Gathered(NamedTuple):
    """The images of a table.

    Attributes:
        entries: the images in their order.
        separator: between the concepts in the field of an entry.
        notes: what else there is to say of the table.
    """

    entries: list[Entry]
    separator: str
    notes: list[str]


def gather(table: Table, columns: Columns, kind: LayoutName, reading: Reading) -> Gathered:
    """Return the images of a table with their concepts.

    Args:
        table: the cells.
        columns: of ids and concepts.
        kind: the layout.
        reading: what the user says of it.

    Raises:
        DataError: an image stands in rows that do not belong together, what parts concepts is in
            doubt, or it is not said what -1 means.
    """
    if kind in ("lists", "rows") and len(columns.concepts) > 1:
        names = ", ".join(table.name(n) for n in columns.concepts)
        raise DataError(
            f"{table.path}: --layout {kind} takes one column of concepts, not {names}; name it: "
            f"--columns '{table.name(columns.id)},NAME'"
        )
    return _GATHERERS[kind](table, columns, reading)


def refuse_repeated_ids(table: Table, ids: Sequence[str], remedy: str) -> None:
    """Refuse a table that has an id in two rows.

    Raises:
        DataError: it has.
    """
    first: dict[str, int] = {}
    for (line, _), id_ in zip(table.lines, ids, strict=True):
        if first.setdefault(id_, line) != line:
            raise DataError(
                f"{table.path}: line {line}: the id {quoted(id_)} stands already in line "
                f"{first[id_]}; {remedy}"
            )


def _lists(table: Table, columns: Columns, reading: Reading) -> Gathered:
    """Gather fields that hold all concepts of an image."""
    ids = [row[columns.id].strip() for row in table.rows]
    refuse_repeated_ids(table, ids, "list each image once; --layout rows joins the rows of one")
    column = next(iter(columns.concepts), table.width)
    cells = [row[column] if column < len(row) else None for row in table.rows]
    fields = [cell for cell in cells if cell and not is_missing(cell)]
    place = _place(table, column)
    listed = reading.separator is None and are_lists(fields, place)
    if listed:
        separator = APART
        cells = [cell and _apart(cell) for cell in cells]
    else:
        separator = reading.separator or find_separator(fields, place)
    cells, marks = _without_marks(cells, separator)
    lines = (line for line, _ in table.lines)
    entries = list(map(Entry, lines, ids, cells))
    return Gathered(entries, separator, ["lists in text"] * listed + marks)


def _place(table: Table, column: int) -> str:
    """Return a column's place for messages."""
    return f"{table.path}: column `{table.name(column)}`" if table.header else str(table.path)


def _apart(cell: str) -> str:
    """Return the items of a list in text joined by what no text holds."""
    items = items_of(cell)
    return cell if items is None else APART.join(items)


def _without_marks(
    cells: Sequence[str | None], separator: str
) -> tuple[list[str | None], list[str]]:
    """Return fields without the marks of missing values, and a note of these."""
    different = set(chain.from_iterable(cell.split(separator) for cell in cells if cell))
    marks = {item for item in different if item.strip() and is_missing(item)}
    if not marks:
        return list(cells), []
    kept, counts = [], Counter[str]()
    for cell in cells:
        items = cell.split(separator) if cell else []
        counts.update(item.strip() for item in items if item in marks)
        some = any(item in marks for item in items)
        kept.append(separator.join(i for i in items if i not in marks) if some else cell)
    return kept, [f"{count} x `{mark}` is no concept" for mark, count in counts.items()]


def _rows(table: Table, columns: Columns, reading: Reading) -> Gathered:
    """Gather rows that hold one concept each."""
    _refuse_denials(table, columns)
    column = next(iter(columns.concepts), table.width)
    cells = [row[column] if column < len(row) else "" for row in table.rows]
    odd = next((cell for cell in cells if any(part in cell for part in ";|[")), None)
    if reading.layout is None and odd is not None:
        ids = [row[columns.id].strip() for row in table.rows]
        remedy = f"is {quoted(odd)} one concept? If so, give --layout rows, else list each id once"
        refuse_repeated_ids(table, ids, remedy)
    filled = [cell for cell in cells if not is_missing(cell)]
    if reading.separator is None and are_lists(filled, _place(table, column)):
        parted = [list(items_of(cell) or (cell,)) for cell in cells]
    else:
        parted = [cell.split(reading.separator) if reading.separator else [cell] for cell in cells]
    marks = Counter(
        item.strip() for items in parted for item in items if item.strip() and is_missing(item)
    )
    images: dict[str, tuple[int, list[str]]] = {}
    for (line, row), items in zip(table.lines, parted, strict=True):
        _, concepts = images.setdefault(row[columns.id].strip(), (line, []))
        concepts += [item for item in items if not is_missing(item)]
    entries = [Entry(line, id_, APART.join(unique(c))) for id_, (line, c) in images.items()]
    notes = [f"{count} x `{mark}` is no concept" for mark, count in marks.items()]
    return Gathered(entries, APART, [f"{len(table.lines):,} rows", *notes])


def _refuse_denials(table: Table, columns: Columns) -> None:
    """Refuse rows that say of their concept that the image does not show it.

    Raises:
        DataError: there is one.
    """
    for number in columns.unused:
        if not means(table.name(number), _SAID_OF_ROWS):
            continue
        states = table.states(number)
        denied = {cell for cell, state in states.states.items() if cell.strip() and state != 1}
        line = next((n for n, row in table.lines if denied & set(row[number : number + 1])), None)
        if states.is_whole and line is not None:
            raise DataError(
                f"{table.path}: line {line}: `{table.name(number)}` says that the image does not "
                "show the concept of this row; keep the rows where it is 1"
            )


def _columns(table: Table, columns: Columns, reading: Reading) -> Gathered:
    """Gather columns that say of one concept each whether an image shows it."""
    named = {number: table.name(number) for number in columns.concepts}
    _check_state_columns(table, named)
    states = {number: table.states(number).states for number in named}
    wanted = {1, -1} if reading.uncertain == "present" else {1}
    shown = {n: {cell for cell, s in of.items() if s in wanted} for n, of in states.items()}
    doubted = {n: {cell for cell, s in of.items() if s == -1} for n, of in states.items()}
    images: dict[str, tuple[int, tuple[str, ...]]] = {}
    uncertain = 0
    for line, row in table.lines:
        cells = {n: row[n] if n < len(row) else "" for n in named}
        open_ = [n for n, cell in cells.items() if cell in doubted[n]]
        if open_ and reading.uncertain is None:
            raise DataError(
                f"{table.path}: line {line}: -1 (uncertain) in `{named[open_[0]]}`: give "
                "--uncertain absent or --uncertain present, which says how all of them count"
            )
        uncertain += len(open_)
        concepts = tuple(named[n] for n, cell in cells.items() if cell in shown[n])
        id_ = row[columns.id].strip()
        first, known = images.setdefault(id_, (line, concepts))
        if known != concepts and reading.layout is None:
            raise DataError(
                f"{table.path}: line {line}: the id {quoted(id_)} stands already in line {first}, "
                "with other concepts; --layout columns takes what any of its rows shows"
            )
        images[id_] = first, unique((*known, *concepts))
    entries = [Entry(line, id_, APART.join(concepts)) for id_, (line, concepts) in images.items()]
    notes = ["1 is shown, 0 and blank are not"]
    if uncertain:
        notes.append(f"{uncertain:,} x -1 (uncertain) taken as {reading.uncertain}")
    return Gathered(entries, APART, notes)


def _check_state_columns(table: Table, named: dict[int, str]) -> None:
    """Refuse columns without a name, with the name of another, or with other values.

    Raises:
        DataError: there is one, or no column at all.
    """
    if table.header is None or not named:
        raise DataError(
            f"{table.path}: no column of 1, 0, -1 and blanks with a name above it; --layout "
            "columns needs one for each concept"
        )
    twice = [name for name, count in Counter(named.values()).items() if count > 1 or not name]
    if twice:
        raise DataError(f"{table.path}: two columns are called {quoted(twice[0])}; rename one")
    for number, name in named.items():
        stray = table.states(number).stray
        if stray is not None:
            raise DataError(
                f"{table.path}: line {table.line_of(number, stray)}: {quoted(stray)} in `{name}`, "
                "where 1, 0, -1 or nothing is expected; correct it or leave the column out"
            )


def _cells(table: Table, columns: Columns, reading: Reading) -> Gathered:
    """Gather the concepts that stand in a cell each."""
    ids = [row[columns.id].strip() for row in table.rows]
    refuse_repeated_ids(table, ids, "list each image once")
    entries = []
    for (line, row), id_ in zip(table.lines, ids, strict=True):
        cells = [row[n] for n in columns.concepts if n < len(row)]
        concepts = unique(cell for cell in cells if not is_missing(cell))
        entries.append(Entry(line, id_, APART.join(concepts) if len(row) > 1 else None))
    return Gathered(entries, APART, [])


_GATHERERS: dict[LayoutName, Callable[[Table, Columns, Reading], Gathered]] = {
    "lists": _lists,
    "rows": _rows,
    "columns": _columns,
    "cells": _cells,
}
