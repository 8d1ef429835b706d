"""Faults: what is wrong or unusual in a run file, each in one line of text."""

from collections.abc import Sequence
from typing import NamedTuple

from replearn.errors import quoted, some_of


class Fault(NamedTuple):
    """One thing that is wrong or unusual, in one line of text; `line` None: in no single line."""

    line: int | None
    text: str

    def __str__(self) -> str:
        return self.text if self.line is None else f"line {self.line}: {self.text}"


def quoted_names(names: Sequence[str]) -> str:
    """Return the first five names in quotes."""
    return some_of(names, 5, quoted)
