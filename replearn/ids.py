"""Ids of images as texts: compared in one Unicode form, put into natural order, told from a header.

Two ids are the same if their normal forms C are: macOS writes `é` in names of files as two
characters, most other systems as one.  An id is always written as it was given.
"""

import re
import unicodedata
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from replearn.console import warn
from replearn.errors import DataError

Value = TypeVar("Value")

IdsFrom = Literal["name", "path"]
"""Whether the id of an image is the name of its file or its path, without extension."""

_NUMBERS = re.compile(r"([0-9]+)")


def normal(id_: str) -> str:
    """Return an id in Unicode normal form C, in which ids are compared."""
    return id_ if id_.isascii() else unicodedata.normalize("NFC", id_)


class IdMap(Mapping[str, Value]):
    """Something for each of many ids, found by an id in any Unicode form.

    It gives the ids back as they came, and in that order.
    """

    def __init__(self, pairs: Iterable[tuple[str, Value]]) -> None:
        """Fill it with pairs of an id and what is kept for it.

        Raises:
            DataError: two ids differ in their Unicode form alone.
        """
        self._kept: dict[str, tuple[str, Value]] = {}
        for id_, value in pairs:
            before, _ = self._kept.setdefault(normal(id_), (id_, value))
            if before != id_:
                raise DataError(f"the id {id_!r} is there in two Unicode forms; keep one of them")
            self._kept[normal(id_)] = id_, value

    def __getitem__(self, id_: str) -> Value:
        return self._kept[normal(id_)][1]

    def __contains__(self, id_: object) -> bool:
        return isinstance(id_, str) and normal(id_) in self._kept

    def __iter__(self) -> Iterator[str]:
        return (id_ for id_, _ in self._kept.values())

    def __len__(self) -> int:
        return len(self._kept)


def rows_of(ids: Iterable[str]) -> IdMap[int]:
    """Return the row of each id."""
    return IdMap((id_, row) for row, id_ in enumerate(ids))


def natural_key(id_: str) -> tuple[list[str | int], str]:
    """Return what to sort ids by so that `a_2` comes before `a_10`."""
    parts = _NUMBERS.split(id_)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], id_


def is_lexical_only(ids: Sequence[str]) -> bool:
    """Tell whether ids are in the order of their characters but not in natural order."""
    return list(ids) == sorted(ids) != sorted(ids, key=natural_key)


@dataclass(frozen=True)
class IdList:
    """The ids that a file lists, before it is known what they name.

    Attributes:
        path: of the file.
        ids: its first column [N], without what is a header by its words.
        header: the first cell of that header, None where there is none.
    """

    path: Path
    ids: list[str]
    header: str | None = None

    @property
    def cells(self) -> list[str]:
        """The first column, with what is a header by its words."""
        return self.ids if self.header is None else [self.header, *self.ids]

    def among(self, there: Container[str]) -> list[str]:
        """Return the ids; a first one that names nothing, where the others do, is a header.

        Args:
            there: those of the cells that name something.
        """
        if self.header in there:  # an image may be called `image`
            return self.cells
        first, others = self.ids[0], self.ids[1:]
        if not is_header(first, others, there):
            return self.ids
        warn(
            f"{self.path}: its first line, {first!r}, names no image while the others do; "
            "it is taken for a header"
        )
        return others


def is_header(first: str, others: Sequence[str], there: Container[str]) -> bool:
    """Tell whether the first of a column names nothing because it is the name of the column.

    What looks like one of the others is an image that is missing.  With numbers in it, as in a
    hash, it is taken for a header only where its punctuation is another.

    Args:
        first: of the column.
        others: below it.
        there: those of them that name something.
    """
    found = sum(id_ in there for id_ in others)
    if first in there or not found:
        return False
    all_found = found == len(others)
    if _NUMBERS.search(first):
        return all_found and _punctuation(first) not in map(_punctuation, others)
    unlike = _form(first) not in map(_form, others)
    return all_found or (unlike and 2 * found >= len(others))


def _form(id_: str) -> str:
    """Return an id with its letters and its numbers made alike, as `a_0` of `image_17`."""
    return re.sub(r"[^\W\d_]+", "a", _NUMBERS.sub("0", id_))


def _punctuation(id_: str) -> set[str]:
    return set(re.findall(r"[\W_]", id_))
