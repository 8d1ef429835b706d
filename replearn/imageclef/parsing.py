"""Parsing of run files into rows, as the organisers' programs parse them."""

import csv
import io
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from replearn.concepts.text_files import not_utf8, read_bytes, refuse_binary
from replearn.ids import normal
from replearn.imageclef.archives import unpack
from replearn.imageclef.editions import Edition
from replearn.imageclef.faults import Fault


class Row(NamedTuple):
    """A row of a run file: number of its first line, its cells, and its concepts.

    The concepts are what the evaluator makes of the second cell; () for an id alone.
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
        """True if the row is empty."""
        return len(self.cells) < 2 and not self.id.strip()


class Run:
    """The rows of a run file and what is expected of it.

    Attributes:
        text: of the file.
        edition: whose rules hold.
        strict: whether the edition's pre-check reads the file, not its evaluator.
        delimiter: between id and concepts.
        rows: all of them up to the first that cannot be read.
        images: the rows that the program reads as images, not as a header.
        first_line: line of the first row of each id.
        expected: the ids of the images that it should hold, in order.
        known: the same ids as a set.
        faults: why parsing ended early, if it did.
    """

    def __init__(
        self, text: str, edition: Edition, expected: Sequence[str] | None, *, strict: bool
    ):
        """Parse a text; if `expected` is None, the images in it are those expected."""
        self.text = text
        self.edition = edition
        self.strict = strict
        self.delimiter = _delimiter(text, edition.delimiters)
        self.rows, self.faults = _read_rows(text, edition, self.delimiter)
        self.images = self._precheck_images(expected or ()) if strict else self._scored_images()
        self.first_line: dict[str, int] = {}
        for row in self.images:
            if not row.blank:
                self.first_line.setdefault(row.id, row.line)
        self.expected = list(self.first_line) if expected is None else self._scored_ids(expected)
        self.known = frozenset(self.expected)

    @property
    def has_header(self) -> bool:
        """True if the first row is exactly the header that the edition asks for."""
        header = (self.edition.header or "").split(self.edition.delimiters[0])
        return bool(self.rows) and self.rows[0].cells == header

    @cached_property
    def normal_forms(self) -> frozenset[str]:
        """The expected ids in Unicode normal form C; the programs themselves compare bytes."""
        return frozenset(map(normal, self.known))

    def _scored_ids(self, expected: Sequence[str]) -> Sequence[str]:
        # The evaluator reads its truth as it reads the run: some ids it takes for headers.
        if self.strict or not self.edition.skips_header:
            return expected
        return [id_ for id_ in expected if not self.edition.is_header(id_)]

    def _scored_images(self) -> list[Row]:
        return [row for row in self.rows if not self.edition.is_header(row.id)]

    def _precheck_images(self, expected: Sequence[str]) -> list[Row]:
        # The pre-check takes line 1 for the header whatever it holds; an image there is not lost.
        headless = bool(self.rows) and self.rows[0].id in expected and not self.has_header
        return self.rows if headless else self.rows[1:]


def _delimiter(text: str, delimiters: Sequence[str]) -> str:
    """Return the delimiter of line 1, or of the first line below that holds one."""
    lines = io.StringIO(text, newline=None)
    return next((d for line in lines for d in delimiters if d in line), delimiters[-1])


def _read_rows(text: str, edition: Edition, delimiter: str) -> tuple[list[Row], list[Fault]]:
    rows: list[Row] = []
    reader = csv.reader(
        io.StringIO(text, newline=None),
        delimiter=delimiter,
        # Only commas know quotes, as in the evaluators.
        quoting=csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE,
    )
    line = 1
    try:
        for cells in reader:
            rows.append(Row(line, cells, edition.split(cells[1]) if len(cells) > 1 else ()))
            line = reader.line_num + 1
    except csv.Error as error:
        return rows, [Fault(line, f"not readable ({error}); is a quote left open?")]
    return rows, []


def decode(path: Path, edition: Edition) -> tuple[str, list[Fault]]:
    """Return the text of a run file, also from the zip of editions that ask for one.

    Returns:
        The text, and as faults what is wrong with the zip and the first byte that is not UTF-8.

    Raises:
        DataError: the file cannot be opened, or this is not text.
    """
    data = read_bytes(path, "a run file")
    faults: list[Fault] = []
    if edition.archive is not None and data.startswith(b"PK\3\4"):
        data, faults = unpack(data, path, edition.archive)
    refuse_binary(data, str(path), "a run file")
    try:
        return data.decode("utf-8"), faults
    except UnicodeDecodeError as error:
        return data.decode("utf-8", errors="replace"), [*faults, Fault(*not_utf8(error))]
