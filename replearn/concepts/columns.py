"""Which columns of a table hold the ids of images, and which hold their concepts.

The names of the columns tell, or what stands in them: 1, 0, -1 and blanks say of one concept
whether each image shows it.  Where that leaves a choice, the table is refused and asked for.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from replearn.concepts.delimited import Line, width_of
from replearn.concepts.headers import (
    FILES,
    LISTS,
    NAMES,
    NUMBERS,
    OWNERS,
    SINGLES,
    TEXTS,
    counts_rows,
    means,
    plain,
)
from replearn.concepts.reading import Reading
from replearn.concepts.states import StateColumn, column_of
from replearn.errors import DataError, quoted, some_of


@dataclass(frozen=True)
class Table:
    """The cells of a file.

    Attributes:
        path: of the file, for messages.
        header: the names of the columns, None without any.
        lines: the other rows.
    """

    path: Path
    header: tuple[str, ...] | None
    lines: list[Line]

    @cached_property
    def rows(self) -> list[list[str]]:
        """The cells alone."""
        return [cells for _, cells in self.lines]

    @cached_property
    def width(self) -> int:
        """The number of columns."""
        return max(width_of(self.lines), len(self.header or ()))

    def name(self, column: int) -> str:
        """Return the name of a column for messages: its header, or its number from 1."""
        named = self.header is not None and column < len(self.header)
        return (self.header or ())[column].strip() if named else str(column + 1)

    def holds_something(self, column: int) -> bool:
        """Tell whether a column has a name or a cell that is not blank."""
        return bool(self.name(column)) or any(
            row[column].strip() for row in self.rows if column < len(row)
        )

    def states(self, column: int) -> StateColumn:
        """Look at a column as one of 1, 0, -1 and blanks."""
        return column_of(self.rows, column)

    def line_of(self, column: int, cell: str) -> int:
        """Return the number of the first row that has this cell."""
        return next(line for line, row in self.lines if row[column : column + 1] == [cell])

    def is_index(self, column: int) -> bool:
        """Tell whether a column only counts the rows, as programs write one unasked."""
        if self.header is None or not counts_rows(self.name(column)):
            return False
        cells = [row[column].strip() if column < len(row) else "" for row in self.rows]
        counts = [str(number) for number in range(len(cells) + 1)]
        return bool(cells) and cells in (counts[:-1], counts[1:])


@dataclass(frozen=True)
class Columns:
    """The columns of a table by what they hold, numbered from 0.

    Attributes:
        id: of the ids.
        concepts: of the concepts; none where the table lists ids alone.
        states: whether those say 1, 0, -1 or nothing of the concept that they are named by.
        unused: all others.
    """

    id: int
    concepts: tuple[int, ...] = ()
    states: bool = False
    unused: tuple[int, ...] = ()


def find_columns(table: Table, reading: Reading, *, ids_alone: bool = False) -> Columns:
    """Find the columns of ids and of concepts.

    Args:
        table: with a header, or with at most two columns.
        reading: what the user says.
        ids_alone: whether only ids are asked for, so that concepts may be anywhere.

    Raises:
        DataError: there is a choice, or a column that was named is not there.
    """
    given = [_column(table, name) for name in reading.columns]
    id_ = given[0] if given else _find_id(table)
    others = [n for n in range(table.width) if n != id_ and not table.is_index(n)]
    if ids_alone:
        return Columns(id_)
    if given[1:]:
        concepts, states = given[1:], _are_states(table, given[1:], reading)
    else:
        concepts, states = _find_concepts(table, id_, others, reading)
    used = {id_, *concepts}
    unused = tuple(n for n in others if n not in used and table.holds_something(n))
    return Columns(id_, tuple(concepts), states, unused)


def _column(table: Table, name: str) -> int:
    names = [table.name(column) for column in range(len(table.header or ()))]
    for form in (str, plain):
        found = [n for n, known in enumerate(names) if form(known) == form(name)]
        if len(found) == 1:
            return found[0]
    if name.isdigit() and 0 < int(name) <= table.width:
        return int(name) - 1
    has = f"it has {some_of(names, 12)}" if names else "it has no header; give numbers from 1"
    raise DataError(f"{table.path}: no column {quoted(name)} for --columns; {has}")


def _find_id(table: Table) -> int:
    if table.header is None:
        return 0
    names = table.header
    for kind in (FILES, NAMES):
        found = next((n for n, name in enumerate(names) if means(name, kind)), None)
        if found is not None:
            return found
    possible = [n for n in range(len(names)) if not table.is_index(n)] or [0]
    if len(possible) > 1 and means(names[possible[0]], LISTS, SINGLES):
        possible = possible[1:]
        in_doubt = len(possible) > 1
    else:
        owners = [n for n in possible if means(names[n], OWNERS)]
        in_doubt = possible[0] in owners and len(owners) > 1
    if in_doubt:
        raise DataError(
            f"{table.path}: which column names the images? give --columns NAME; it has "
            f"{some_of([table.name(n) for n in range(len(names))], 12)}"
        )
    return possible[0]


def _find_concepts(
    table: Table, id_: int, others: list[int], reading: Reading
) -> tuple[list[int], bool]:
    """Return the columns of concepts, and whether they hold states."""
    kind = reading.layout
    if kind == "cells" or table.header is None:
        return others, False
    others = [n for n in others if table.name(n)]
    if kind == "columns":
        return _state_columns(table, id_, others), True
    named = [n for n in others if means(table.name(n), LISTS, SINGLES)]
    if not named and kind is None and not _is_choice_of_one(table, others):
        states = _state_columns(table, id_, others)
        if states:
            return states, True
    found = named or others
    if len(found) > 1 or (found and means(table.name(found[0]), TEXTS)):
        raise _asked_for(table, id_, found)
    if found and kind is None and table.states(found[0]).is_whole:
        name = table.name(found[0])
        raise DataError(
            f"{table.path}: `{name}` holds only 0 and 1: are these the concepts (--layout lists), "
            f"or do they say whether an image shows {quoted(name)} (--layout columns)?"
        )
    return found, False


def _is_choice_of_one(table: Table, others: list[int]) -> bool:
    """Tell whether the only column may as well hold numbers of classes."""
    return len(others) == 1 and means(table.name(others[0]), NUMBERS)


def _state_columns(table: Table, id_: int, others: list[int]) -> list[int]:
    # Ids may be 1 too, as the first one is.
    columns = {n: table.states(n) for n in others if not means(table.name(n), FILES, NAMES, OWNERS)}
    whole = [n for n, column in columns.items() if column.is_whole]
    for number, column in columns.items():
        if column.stray is not None and column.is_damaged and whole:
            line = table.line_of(number, column.stray)
            raise DataError(
                f"{table.path}: line {line}: {quoted(column.stray)} in `{table.name(number)}`, "
                "where 1, 0, -1 or nothing stands elsewhere; correct it, or name the columns: "
                f"--columns '{table.name(id_)},...'"
            )
    return whole


def _are_states(table: Table, given: list[int], reading: Reading) -> bool:
    if reading.layout is not None:
        return reading.layout == "columns"
    return table.header is not None and all(table.states(n).is_whole for n in given)


def _asked_for(table: Table, id_: int, found: list[int]) -> DataError:
    names = some_of([table.name(n) for n in found], 12)
    return DataError(
        f"{table.path}: which column holds the concepts: {names}? give "
        f"--columns '{table.name(id_)},NAME'"
    )
