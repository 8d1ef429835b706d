"""Tables of vectors, a row for each image: delimited text and Parquet."""

import csv
import gzip
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from replearn.arrays import Vectors, fit_float32
from replearn.concepts import headers
from replearn.concepts.delimited import find_delimiter
from replearn.concepts.headers import is_number, means
from replearn.errors import DataError, quoted, some_of
from replearn.parquet import column_types, rows_of

_NO_FEATURES = (headers.LISTS, headers.SINGLES, headers.NUMBERS, headers.OWNERS)
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+(e[+-]?\d+)?\s*", re.I)
_BATCH = 4096  # rows that become numbers together


def read_text_vectors(path: Path) -> tuple[list[str], Vectors]:
    """Return the ids [N] and vectors float32 [N, D] in delimited text.

    Raises:
        DataError: there is no column of ids, or a cell that is no number.
    """
    rows = _numbered_rows(path)
    first, second = next(rows, (0, [])), next(rows, (0, []))
    shown = [_with_point(cell) for cell in second[1] or first[1]]
    header = first[1] if second[1] and _is_header(first[1], shown) else None
    id_, numbers = _columns(path, header, shown)
    ids: list[str] = []
    blocks: list[Vectors] = []
    waiting: list[list[str]] = []
    for line, cells in _chained([first, second][header is not None :], rows):
        if len(cells) <= max(id_, *numbers):
            raise DataError(f"{path}: line {line}: {len(cells)} columns; is the file complete?")
        ids.append(cells[id_].strip())
        waiting.append([_with_point(cells[n]) for n in numbers])
        if len(waiting) == _BATCH:
            blocks.append(_numbers(path, ids, waiting))
            waiting = []
    blocks += [_numbers(path, ids, waiting)] if waiting else []
    return ids, np.concatenate(blocks)


def _with_point(cell: str) -> str:
    """Return a cell with a decimal point where it has a decimal comma."""
    return cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell


def _numbered_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank with the numbers of their lines."""
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        start = file.readline()
        delimiter = find_delimiter(start)
        if delimiter is None:
            raise DataError(f"{path}: one column, {quoted(start.strip())}; part cells by commas")
        file.seek(0)
        reader = csv.reader(file, delimiter=delimiter)
        yield from ((reader.line_num, row) for row in reader if any(cell.strip() for cell in row))


def _chained(
    first: Sequence[tuple[int, list[str]]], rest: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    yield from (row for row in first if row[1])
    yield from rest


def _is_header(first: Sequence[str], second: Sequence[str]) -> bool:
    """Tell whether a row has names of columns: words, or the numbers that a data frame counts."""
    words = [cell for cell in first if not is_number(cell)]
    counted = [cell.strip() for cell in first if is_number(cell)]
    counts = [str(number) for number in range(len(counted) + 1)]
    return (
        not first[0].strip()
        or any(means(word, headers.FILES, headers.NAMES) for word in words)
        or len(words) > sum(not is_number(cell) for cell in second)
        or (len(counted) > 1 and counted in (counts[:-1], counts[1:]))
    )


def _columns(path: Path, header: Sequence[str] | None, row: Sequence[str]) -> tuple[int, list[int]]:
    """Return the column of ids and those of numbers, numbered from 0.

    Raises:
        DataError: there is no column of ids, or one of something else.
    """
    names = list(header or ())
    texts = [n for n, cell in enumerate(row) if not is_number(cell) and not _is_gap(cell)]
    possible = texts
    for kind in (headers.NAMES, headers.FILES):  # a file's name tells an image best
        possible = [n for n, name in enumerate(names) if means(name, kind)] or possible
    if not possible and re.fullmatch(r"\d+", row[0].strip() if row else ""):
        possible = [0]  # whole numbers, as of a data frame's index
    if not possible:
        raise DataError(f"{path}: no column of ids; put the ids into the first column")
    id_ = possible[0]
    index = [n for n, name in enumerate(names) if n != id_ and headers.counts_rows(name)]
    numbers = [n for n in range(len(row)) if n not in (id_, *index, *texts)]
    other = [n for n in texts if n != id_]
    other += [n for n, name in enumerate(names) if n in numbers and means(name, *_NO_FEATURES)]
    if any(row[n].lstrip().startswith("[") for n in other):
        raise DataError(
            f"{path}: whole vectors in one cell, which programs cut; write a column for each "
            "number, or Parquet"
        )
    if other or not numbers:
        named = some_of([f"`{names[n]}`" if names else f"column {n + 1}" for n in other])
        raise DataError(
            f"{path}: a column of ids and columns of features are expected, and "
            f"{f'no {named}' if other else 'there are no numbers'}; leave other columns out"
        )
    return id_, numbers


def _is_gap(cell: str) -> bool:
    """Tell whether a cell stands for a number that is not there, which features refuse by id."""
    return cell.strip().lower() in ("", "nan", "inf", "-inf")


def _numbers(path: Path, ids: Sequence[str], rows: Sequence[Sequence[str]]) -> Vectors:
    try:
        return _as_float32(np.array(rows, dtype=np.float64))
    except ValueError:
        pass
    for id_, row in zip(ids[-len(rows) :], rows, strict=True):
        wrong = [cell for cell in row if not cell.strip() or not (is_number(cell) or _is_gap(cell))]
        if wrong:
            raise DataError(
                f"{path}: {quoted(wrong[0])} is no number, in the row of {quoted(id_)}; correct it"
            )
    raise DataError(f"{path}: rows of different lengths; is the file complete?")


def _as_float32(block: Vectors) -> Vectors:
    """Return numbers in single precision, unless one is beyond it, which features refuse by id."""
    return block.astype(np.float32, copy=False) if fit_float32(block).all() else block


def read_parquet_vectors(path: Path) -> tuple[list[str], Vectors]:
    """Return the ids [N] and vectors [N, D] in a Parquet file: lists, or a column for each number.

    Raises:
        DataError: there is no column of ids or none of vectors, or one of something else.
        UsageError: pyarrow is not installed.
    """
    types = {name: str(kind) for name, kind in column_types(path).items()}
    id_ = _parquet_id(path, types)
    lists = [n for n, kind in types.items() if re.search(r"list.*(float|double|halffloat)", kind)]
    scalars = [n for n, kind in types.items() if kind in ("float", "double", "halffloat")]
    columns = lists or scalars
    other = [n for n in types if n not in (id_, *columns) and not _counts_rows(n)]
    if len(lists) > 1 or not columns or (scalars and other):
        has = some_of([f"{name} ({kind})" for name, kind in types.items()], 8)
        raise DataError(
            f"{path}: a column of ids and one of lists of floats are expected, or one for each "
            f"number; it has {has}; leave other columns out"
        )
    ids: list[str] = []
    blocks: list[Vectors] = []
    waiting: list[Any] = []
    for row in rows_of(path, [id_, *columns]):
        ids.append(str(row[id_]))
        waiting.append(row[lists[0]] if lists else [row[n] for n in columns])
        if len(waiting) == _BATCH:
            blocks.append(_of_lists(path, waiting))
            waiting = []
    blocks += [_of_lists(path, waiting)] if waiting else []
    if not blocks:
        raise DataError(f"{path}: has no rows")
    return ids, np.concatenate(blocks)


def _parquet_id(path: Path, types: Mapping[str, str]) -> str:
    for kind in (headers.FILES, headers.NAMES):
        named = [name for name in types if means(name, kind)]
        if named:
            return named[0]
    texts = [n for n, kind in types.items() if kind in ("string", "large_string")]
    if len(texts) == 1:
        return texts[0]
    has = some_of([f"{name} ({kind})" for name, kind in types.items()], 8)
    raise DataError(f"{path}: no column of ids; call it id; it has {has}")


def _counts_rows(name: str) -> bool:
    return headers.counts_rows(name) or name.startswith("__index_level_")


def _of_lists(path: Path, rows: Sequence[Any]) -> Vectors:
    try:
        return _as_float32(np.array(rows, dtype=np.float64))
    except (TypeError, ValueError):
        raise DataError(f"{path}: vectors of different lengths, or without numbers") from None
