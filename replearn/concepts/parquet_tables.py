"""Concept tables in Parquet, as cells of text: a file, or a folder of the parts of one table."""

import json
from pathlib import Path
from typing import Any

from replearn.concepts.delimited import Line
from replearn.errors import DataError, some_of
from replearn.parquet import column_types, rows_of

_LEFT_OUT = ("binary", "struct", "map<")  # in the name of a type: images and the like


def read_parquet_table(path: Path) -> tuple[tuple[str, ...], list[Line]]:
    """Return the header and the numbered rows; images and other bytes are not read.

    Raises:
        DataError: a file is damaged, or has other columns than the first.
        UsageError: pyarrow is not installed.
    """
    header: tuple[str, ...] | None = None
    lines: list[Line] = []
    for part in sorted(path.glob("*.parquet")) if path.is_dir() else [path]:
        types = column_types(part)
        names = tuple(
            name for name, kind in types.items() if not any(word in str(kind) for word in _LEFT_OUT)
        )
        if header not in (None, names):
            raise DataError(
                f"{part}: has the columns {some_of(names, 12)}, and not those of the other parts"
            )
        header = names
        for row in rows_of(part, names):
            lines.append((len(lines) + 1, [_text(row[name]) for name in names]))
    return header or (), lines


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return json.dumps([_text(item) for item in value], ensure_ascii=False)
    return str(value)
