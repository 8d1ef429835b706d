"""A run file taken apart into rows, as the organisers' programs take it apart."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from replearn.errors import DataError
from replearn.imageclef.editions import Edition
from replearn.imageclef.faults import Fault


class Row(NamedTuple):
    """A row of a run file: its first line, its cells, and the concepts in the second of them.

    The concepts are those that the evaluator splits them into; () for an id alone.
    """

    line: int
    cells: list[str]
    concepts: tuple[str, ...]

    @property
    def id(self) -> str:
        """The first cell, "" where there is none."""
        return self.cells[0] if self.cells else ""

    @property
    def blank(self) -> bool:
        """Whether nothing stands in the row."""
        return len(self.cells) < 2 and not self.id.strip()


class Run:
    """The rows of a run file and what is expected of it.

    Attributes:
        text: of the file.
        edition: whose rules hold.
        strict: whether the edition's pre-check reads the file, not its evaluator.
        rows: all of them up to the first that cannot be read.
        images: those that the program takes for images, not for a header.
        first_line: where each id stands first.
        expected: the ids of the images that it should hold, in order.
        known: the same as a set.
        faults: why reading ended early, if it did.
    """

    def __init__(
        self, text: str, edition: Edition, expected: Sequence[str] | None, *, strict: bool
    ):
        """Take a text apart; where nothing is expected (None), what it holds is right."""
        self.text = text
        self.edition = edition
        self.strict = strict
        self.rows, self.faults = _read_rows(text, edition)
        self.images = self._precheck_images(expected or ()) if strict else self._scored_images()
        self.first_line: dict[str, int] = {}
        for row in self.images:
            if not row.blank:
                self.first_line.setdefault(row.id, row.line)
        self.expected = list(self.first_line) if expected is None else expected
        self.known = frozenset(self.expected)

    @property
    def has_header(self) -> bool:
        """Whether the first row is exactly the header that the edition asks for."""
        wanted = (self.edition.header or "").split(self.edition.delimiters[0])
        return bool(self.rows) and self.rows[0].cells == wanted

    def _scored_images(self) -> list[Row]:
        return [row for row in self.rows if not (self.edition.skips_header and "ID" in row.id)]

    def _precheck_images(self, expected: Sequence[str]) -> list[Row]:
        # The pre-check takes line 1 for the header whatever it holds; an image there is not lost.
        headless = bool(self.rows) and self.rows[0].id in expected and not self.has_header
        return self.rows if headless else self.rows[1:]


def _read_rows(text: str, edition: Edition) -> tuple[list[Row], list[Fault]]:
    rows: list[Row] = []
    try:
        for line, cells in _cells(text, edition.delimiters):
            concepts = edition.split(cells[1]) if len(cells) > 1 else ()
            rows.append(Row(line, cells, concepts))
    except csv.Error as error:
        line = rows[-1].line + 1 if rows else 1
        return rows, [Fault(line, f"not readable ({error}); is a quote left open?")]
    return rows, []


def _cells(text: str, delimiters: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield (first line, cells) of each row; only commas know quotes, as in the evaluators."""
    first = text.split("\n", 1)[0]
    delimiter = next((d for d in delimiters if d in first), delimiters[-1])
    reader = csv.reader(
        io.StringIO(text, newline=None),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE,
    )
    line = 1
    for cells in reader:
        yield line, cells
        line = reader.line_num + 1


def decode(path: Path) -> tuple[str, list[Fault]]:
    """Return the text of a run file, and as a fault the first byte that is not UTF-8.

    Raises:
        DataError: the file cannot be opened.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; give a run file")
    try:
        return data.decode("utf-8"), []
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        fault = Fault(line, f"not UTF-8 (byte 0x{data[error.start]:02x}); save the file as UTF-8")
        return data.decode("utf-8", errors="replace"), [fault]
