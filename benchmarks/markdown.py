"""Tables in Markdown, which the benchmarks print."""

from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Iterable[object]], *, words: int = 1) -> str:
    """Return a table as Markdown, with a line end after each row.

    Args:
        columns: the header.
        rows: cells; a number gets commas between its thousands.
        words: the number of first columns that hold words; the others are aligned to the right.
    """
    lines = [columns, ["---"] * words + ["---:"] * (len(columns) - words)]
    lines += [[cell if isinstance(cell, str) else f"{cell:,}" for cell in row] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
