"""Layouts of concept files in words, for the person who gave the file."""

from replearn.concepts.columns import Columns, Table
from replearn.concepts.delimited import DelimitedText
from replearn.concepts.gathering import APART, Gathered
from replearn.concepts.reading import LayoutName
from replearn.errors import some_of

_SPOKEN = {"\t": "TAB", ",": "comma", " ": "space", "\n": "LF", "\r\n": "CRLF", "\r": "CR"}
_NAMED = 4  # columns that are named


def describe(
    table: Table, text: DelimitedText | None, columns: Columns, kind: LayoutName, gathered: Gathered
) -> str:
    """Return what a concept file looks like.

    Args:
        table: its cells.
        text: the form of its text, None for Parquet and NumPy.
        columns: of ids and concepts.
        kind: its layout.
        gathered: its images.
    """
    if text is None:
        form = "NumPy" if table.path.suffix.lower() == ".npz" else "Parquet"
        words = [form, *_of_table(table, columns, kind, gathered)]
    elif kind == "cells" and table.header is None:
        words = ["a column for each concept as in ROCO", _header(table)]
    elif kind == "lists" and table.width <= 2:
        words = [*_of_two_columns(text, gathered), _header(table)]
    else:
        words = _of_table(table, columns, kind, gathered)
    if text is not None:
        words += [f"{_spoken(text.line_end)} line ends"] * (text.line_end != "\n")
        words += ["byte-order mark"] * text.mark + ["no last line end"] * (not text.finished)
    return ", ".join([*words, *gathered.notes])


def _of_two_columns(text: DelimitedText, gathered: Gathered) -> list[str]:
    if text.delimiter is None:
        return ["ids alone"]
    return [f"{_spoken(text.delimiter)} after the id", *_between(gathered)]


def _between(gathered: Gathered) -> list[str]:
    # What is a list in text, a note says.
    return [f"{_spoken(gathered.separator)} between concepts"] * (gathered.separator != APART)


def _of_table(table: Table, columns: Columns, kind: LayoutName, gathered: Gathered) -> list[str]:
    names = [f"`{table.name(n)}`" for n in columns.concepts]
    words = [f"ids in `{table.name(columns.id)}`"]
    if kind == "columns":
        words.insert(0, f"a column for each concept: {_some(names)}")
    elif names:
        words.append(f"concepts in {_some(names)}")
    if kind == "rows":
        words.insert(0, "a row for each concept")
    if kind == "lists":
        words += _between(gathered)
    unused = [f"`{table.name(n)}`" for n in columns.unused]
    if unused:
        words.append(f"not used: {_some(unused)}")
    return words


def _some(names: list[str]) -> str:
    return some_of(names, _NAMED) + f" ({len(names)})" * (len(names) > _NAMED)


def _header(table: Table) -> str:
    return (
        f"header {' '.join(f'`{cell}`' for cell in table.header)}" if table.header else "no header"
    )


def _spoken(character: str) -> str:
    return _SPOKEN.get(character, f"`{character}`")
