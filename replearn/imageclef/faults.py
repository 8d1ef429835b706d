"""Faults: what is wrong or unusual in a run file, each in one line of text."""

from collections.abc import Sequence
from typing import NamedTuple


class Fault(NamedTuple):
    """One thing that is wrong or unusual, in one line of text; `line` None: in no single line."""

    line: int | None
    text: str

    def __str__(self) -> str:
        return self.text if self.line is None else f"line {self.line}: {self.text}"


def short(text: str) -> str:
    """Return a text in quotes, cut where it is long."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def some(names: Sequence[str]) -> str:
    """Return the first few of the names."""
    return ", ".join(map(short, names[:5])) + (", ..." if len(names) > 5 else "")
