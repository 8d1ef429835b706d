"""Ids and concepts from Parquet files, as the public copy of ROCOv2 has them.

Only these two columns are read, a batch at a time, so the images in the file take no memory.
pyarrow, the extra `parquet`, is needed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from replearn.errors import DataError, UsageError

_BATCH = 4096
_ID = ("image_id", "id")
_CONCEPTS = ("cui", "cuis", "concepts")


def is_parquet(path: Path) -> bool:
    """Tell whether a path is a Parquet file, or a folder of the parts of one table."""
    return path.suffix == ".parquet" or (path.is_dir() and any(path.glob("*.parquet")))


def read_rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the id and the concepts of each image of a file, or of all files of a folder by name.

    Raises:
        DataError: a file is damaged, has other columns or an id that is missing.
        UsageError: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UsageError(f"{path}: Parquet needs pyarrow; pip install 'replearn[parquet]'")
    for part in sorted(path.glob("*.parquet")) if path.is_dir() else [path]:
        try:
            with parquet.ParquetFile(part) as file:
                yield from _rows_of(part, file)
        except (pyarrow.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise DataError(f"{part}: not readable as Parquet ({reason}); fetch it again")


def _rows_of(part: Path, file: Any) -> Iterator[tuple[str, list[str]]]:
    names = list(file.schema_arrow.names)
    columns = [next((n for n in names if n.lower() in wanted), None) for wanted in (_ID, _CONCEPTS)]
    if None in columns:
        raise DataError(
            f"{part}: has the columns {', '.join(names)}; `image_id` and `cui` are expected"
        )
    for batch in file.iter_batches(_BATCH, columns=columns):
        ids, concepts = (batch.column(name).to_pylist() for name in columns)
        for id_, named in zip(ids, concepts, strict=True):
            if not id_:
                raise DataError(f"{part}: an image without id; is it the right file?")
            listed = named.split(";") if isinstance(named, str) else named or []
            yield str(id_), [str(concept) for concept in listed]
