"""Concept files, read into tables and written from them.

A concept file says which concepts each image shows, one image a line.  Readers take every layout
that the benchmark's editions and ROCO used; `layouts.py` tells them apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from replearn.artefacts.identity import digest
from replearn.concepts.layouts import Layout, read_entries, read_lines
from replearn.console import warn
from replearn.errors import DataError, some_of
from replearn.ids import IdList, among, rows_of


@dataclass(frozen=True)
class ConceptTable:
    """The concepts of images, in the order of the file.

    Attributes:
        ids: one for each image [N], all different.
        concepts: the set of concepts of each image [N], as a tuple without repetition.

    Example:
        >>> table = replearn.ConceptTable(["a", "b"], [("C0024109", "C1306645"), ()])
        >>> table.counts
        array([2, 0])
        >>> table.select(["b"]).concepts
        [()]
    """

    ids: list[str]
    concepts: list[tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def counts(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Number of concepts of each image [N]."""
        return np.array([len(concepts) for concepts in self.concepts], dtype=np.int64)

    @property
    def digest(self) -> str:
        """A short hash of ids and concepts, whatever layout the file had."""
        return digest(
            *(f"{i}\t{';'.join(c)}" for i, c in zip(self.ids, self.concepts, strict=True))
        )

    def select(self, ids: Sequence[str]) -> "ConceptTable":
        """Return the rows of these ids in this order.

        Raises:
            DataError: an id is not in the table.
        """
        rows = rows_of(self.ids)
        missing = [id_ for id_ in ids if id_ not in rows]
        if missing:
            raise DataError(f"{some_of(missing)}: no concepts of {len(missing)} of these images")
        return ConceptTable(list(ids), [self.concepts[rows[id_]] for id_ in ids])


def read_concepts(path: Path | str) -> ConceptTable:
    """Read a concept file of any layout; a line of an id alone is an image without concepts.

    Raises:
        DataError: the file is missing, is not UTF-8 text, or lists an id twice or none at all.

    Example:
        >>> table = replearn.read_concepts("mydata/train-concepts.tsv")
        >>> len(table.ids) == len(table.concepts)
        True
    """
    return read_with_layout(Path(path))[1]


def read_with_layout(path: Path) -> tuple[Layout, ConceptTable]:
    """Return what a concept file looks like, and what `read_concepts` returns."""
    layout, entries = read_entries(path)
    concepts = [layout.split(entry.field) for entry in entries]
    return layout, ConceptTable([entry.id for entry in entries], concepts)


def read_ids(path: Path) -> list[str]:
    """Read the first column of an id list or of a concept file of any layout, in its order.

    Raises:
        DataError: as `read_concepts`.
    """
    return [entry.id for entry in read_entries(path)[1]]


def write_concepts(table: ConceptTable) -> str:
    """Return the text of a concept file: id, TAB, concepts joined by `;`, no header."""
    rows = zip(table.ids, table.concepts, strict=True)
    return "".join(f"{id_}\t{';'.join(concepts)}\n" for id_, concepts in rows)


def read_names(path: Path) -> dict[str, str]:
    """Read what each concept is called, or the group of each id: two columns of any layout.

    Raises:
        DataError: the file is missing, is not UTF-8 text, or names one thing not at all or in
            two ways.
    """
    names: dict[str, str] = {}
    for number, cells in read_lines(path):
        key, name = cells[0].strip(), cells[-1].strip()
        if len(cells) < 2 or not name:
            raise DataError(
                f"{path}: line {number}: nothing beside {key!r}; write `{key} TAB name`"
            )
        if names.setdefault(key, name) != name:
            raise DataError(
                f"{path}: line {number}: {key!r} is {name!r} here and {names[key]!r} above; "
                "keep one of the two"
            )
    return names


def arrange(table: ConceptTable, ids: Sequence[str] | IdList, place: Path) -> ConceptTable:
    """Return the rows of these ids in this order; a warning counts the rows left out.

    Args:
        table: any images.
        ids: which of them are wanted, or a file's list of them.
        place: where the table comes from, for messages.

    Raises:
        DataError: some of the ids are not in the table.
    """
    known, ids = rows_of(table.ids), among(ids, table.ids)
    missing = [id_ for id_ in ids if id_ not in known]
    if missing:
        raise DataError(
            f"{place}: lacks {len(missing)} of {len(ids)} images: {some_of(missing, 5)}; add them"
        )
    if len(known) > len(set(ids)):
        warn(f"{place}: {len(known) - len(set(ids))} of {len(known)} images are left out")
    return table.select(ids)
