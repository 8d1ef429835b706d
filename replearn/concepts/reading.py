"""What a user says about a label file where the file itself leaves it open."""

import csv
from dataclasses import dataclass
from typing import Literal, get_args

from replearn.errors import UsageError

LayoutName = Literal["lists", "rows", "columns", "cells"]
Uncertain = Literal["absent", "present"]

_SPOKEN_SEPARATORS = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";"}


@dataclass(frozen=True)
class Reading:
    """What is said about a label file; what is not said is found in the file.

    Attributes:
        layout: `lists`, all concepts of an image in one field; `rows`, a row for each concept of
            an image; `columns`, a column for each concept with 1 or 0 in it; `cells`, one concept
            in each cell after the id.
        separator: between the concepts of one field.
        columns: by header or number from 1: the column of ids, then those of concepts; with the
            first alone, those of concepts are found.
        uncertain: whether a -1 (uncertain) among columns of 1 and 0 counts as absent or as present.

    Raises:
        UsageError: a value that cannot be.
    """

    layout: LayoutName | None = None
    separator: str | None = None
    columns: tuple[str, ...] = ()
    uncertain: Uncertain | None = None

    def __post_init__(self) -> None:
        if self.layout not in (None, *get_args(LayoutName)):
            raise UsageError(f"layout {self.layout}: one of {', '.join(get_args(LayoutName))}")
        if self.uncertain not in (None, *get_args(Uncertain)):
            raise UsageError(f"uncertain {self.uncertain}: absent or present")
        if self.separator == "":
            raise UsageError("separator: give the characters between two concepts")
        if any(not name.strip() for name in self.columns):
            raise UsageError("columns: give the header or the number of each column")

    @classmethod
    def of_options(
        cls,
        layout: LayoutName | None,
        separator: str | None,
        columns: str | None,
        uncertain: Uncertain | None,
    ) -> "Reading":
        """Return what options of a command say: names parted by commas, quoted if they hold one.

        Raises:
            UsageError: a value that cannot be.
        """
        names = next(csv.reader([columns]), []) if columns is not None else []
        if columns is not None and not names:
            raise UsageError("--columns: give the header or the number of each column")
        spoken = separator and _SPOKEN_SEPARATORS.get(separator.lower(), separator)
        return cls(layout, spoken, tuple(name.strip() for name in names), uncertain)


AS_FOUND = Reading()
