"""How much a section is to do, and on which device."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

Anything = TypeVar("Anything")


@dataclass(frozen=True)
class Form:
    """The form in which a section runs.

    Attributes:
        device: `cuda` or `cpu`.
        full: for a GPU; without one everything is small.
        seconds: that the section has.
        ceilings: of the device, as the section `ceilings` measured them: operations a second by
            precision, and under `bandwidth` bytes a second; empty if it did not run.
    """

    device: str
    full: bool
    seconds: float
    ceilings: Mapping[str, float] = field(default_factory=dict)

    def choose(self, full: Anything, small: Anything) -> Anything:
        """Return the one of two sizes that belongs to this form."""
        return full if self.full else small
