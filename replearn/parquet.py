"""Parquet files: some of their columns, row by row.

Only the columns that are asked for are read, a batch at a time, so that what else is in a file
takes no memory.  pyarrow, the extra `parquet`, is needed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from replearn.errors import DataError, UsageError, brief

_BATCH = 4096  # rows


def is_parquet(path: Path) -> bool:
    """Tell whether a path is a Parquet file, or a folder of the parts of one table."""
    return path.suffix == ".parquet" or (path.is_dir() and any(path.glob("*.parquet")))


def column_types(path: Path) -> dict[str, Any]:
    """Return the type of each column of a file, as pyarrow has it.

    Raises:
        DataError: the file is damaged.
        UsageError: pyarrow is not installed.
    """
    with _opened(path) as file:
        return {column.name: column.type for column in file.schema_arrow}


def rows_of(path: Path, columns: Sequence[str], batch: int = _BATCH) -> Iterator[dict[str, Any]]:
    """Yield each row of a file as the values of these columns; `batch` rows are in memory.

    Raises:
        DataError: the file is damaged.
        UsageError: pyarrow is not installed.
    """
    with _opened(path) as file:
        for rows in file.iter_batches(batch, columns=list(columns)):
            yield from rows.to_pylist()


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UsageError(f"{path}: Parquet needs pyarrow; pip install 'replearn[parquet]'")
    try:
        with parquet.ParquetFile(path) as file:
            yield file
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path}: not readable as Parquet ({brief(error)}); fetch it again")
