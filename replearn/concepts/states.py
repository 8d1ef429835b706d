"""Columns that say of one concept whether each image shows it: 1, 0, -1 (uncertain) or nothing."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from replearn.concepts.fields import is_missing

State = Literal[1, 0, -1]

_WORDS: dict[str, State] = {"true": 1, "false": 0}
_MOSTLY = 0.9  # of a column's cells, so that the others are rather mistakes


def state_of(cell: str) -> State | None:
    """Return what a cell says: 1 shown, 0 not shown or nothing said, -1 uncertain; None for else.

    Numbers may be written in any way, and `True` and `False` are taken for 1 and 0.
    """
    text = cell.strip().lower()
    if is_missing(text):
        return 0
    if text in _WORDS:
        return _WORDS[text]
    try:
        number = float(text)
    except ValueError:
        return None
    return {1.0: 1, 0.0: 0, -1.0: -1}.get(number)  # type: ignore[return-value]


@dataclass(frozen=True)
class StateColumn:
    """What the cells of a column say.

    Attributes:
        states: what each of the different cells says.
        stray: the most frequent cell that says none of that, None without any.
        share: of the cells that say something, how many are states.
    """

    states: dict[str, State]
    stray: str | None
    share: float

    @property
    def is_whole(self) -> bool:
        """True if every cell is a state, and one at least says something."""
        return self.stray is None and self.share > 0

    @property
    def is_damaged(self) -> bool:
        """True if nearly all cells are states."""
        return self.stray is not None and self.share >= _MOSTLY

    @classmethod
    def of(cls, cells: Iterable[str]) -> "StateColumn":
        """Look at all cells of a column."""
        counts = Counter(cells)
        found = {cell: state_of(cell) for cell in counts}
        states = {cell: state for cell, state in found.items() if state is not None}
        strays = [cell for cell, _ in counts.most_common() if found[cell] is None]
        spoken = sum(count for cell, count in counts.items() if not is_missing(cell))
        known = sum(counts[cell] for cell in states if not is_missing(cell))
        return cls(states, strays[0] if strays else None, known / spoken if spoken else 0.0)


def column_of(rows: Sequence[Sequence[str]], number: int) -> StateColumn:
    """Look at a column of rows; where a row is too short its cell is blank."""
    return StateColumn.of(row[number] if number < len(row) else "" for row in rows)
