"""Concept files, read into tables and written from them.

A concept file says which concepts each image shows.  Readers take the layouts of the benchmark's
editions and of other public data sets; `layouts.py` tells them apart.
"""

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from replearn.artefacts.identity import digest
from replearn.concepts.fields import are_lists, find_separator, is_missing
from replearn.concepts.headers import has_header
from replearn.concepts.layouts import Layout, read_entries, read_id_column, read_lines
from replearn.concepts.reading import AS_FOUND, LayoutName, Reading, Uncertain
from replearn.console import warn
from replearn.errors import DataError, quoted, some_of
from replearn.ids import IdList
from replearn.matching import match_list, match_names

_logger = logging.getLogger(__name__)

_HEADER = "ID\tconcepts\n"
_UNLIKE_AN_ID = re.compile(r'[\t\n\r]|^".*"$|^\ufeff')
_UNLIKE = re.compile(r'[\t\n\r;]|^"')  # what no concept between `;` can hold


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
        """Return the rows of these ids in this order; the table may have other names of the images.

        Raises:
            DataError: an id is not in the table, or names are in doubt, see `match_names`.
        """
        meant = match_names(ids, self.ids, "the ids")
        missing = [id_ for id_ in ids if id_ not in meant]
        if missing:
            raise DataError(f"{some_of(missing)}: no concepts of {len(missing)} of these images")
        rows = {id_: row for row, id_ in enumerate(self.ids)}
        return ConceptTable(list(ids), [self.concepts[rows[meant[id_]]] for id_ in ids])


def read_concepts(
    path: Path | str,
    *,
    layout: LayoutName | None = None,
    separator: str | None = None,
    columns: Sequence[str] = (),
    uncertain: Uncertain | None = None,
) -> ConceptTable:
    """Read a concept file of any layout; a line of an id alone is an image without concepts.

    Args:
        path: the file.
        layout: `lists`, all concepts of an image in one field; `rows`, a row for each concept;
            `columns`, a column of 1 and 0 for each; `cells`, one in each cell after the id.  As
            the other arguments, it is found in the file unless that leaves it in doubt.
        separator: between the concepts of a field.
        columns: the names of the column of ids and of those of concepts, or their numbers from 1.
        uncertain: whether -1 in columns of 1 and 0 counts as `absent` or as `present`.

    Raises:
        DataError: the file is missing, is no table, lists an id twice or none at all, or its layout
            is in doubt; the text names the argument that settles it.
        UsageError: a value that cannot be, or the file is Parquet and pyarrow is not installed.

    Example:
        >>> table = replearn.read_concepts("mydata/train-concepts.tsv")
        >>> len(table.ids) == len(table.concepts)
        True
    """
    reading = Reading(layout, separator, tuple(columns), uncertain)
    return read_with_layout(Path(path), reading)[1]


def read_with_layout(path: Path, reading: Reading = AS_FOUND) -> tuple[Layout, ConceptTable]:
    """Return what a concept file looks like, and what `read_concepts` returns."""
    layout, entries = read_entries(path, reading)
    concepts = [layout.split(entry.field) for entry in entries]
    return layout, ConceptTable([entry.id for entry in entries], concepts)


def read_labels(path: Path, reading: Reading = AS_FOUND) -> ConceptTable:
    """Return what `read_concepts` returns, and log which layout was found and how much it holds.

    Args:
        path: the file.
        reading: what is said of its layout.

    Raises:
        DataError: as `read_concepts`.
    """
    layout, table = read_with_layout(path, reading)
    _logger.info(describe_labels(path, layout, table))
    return table


def describe_labels(path: Path, layout: Layout, table: ConceptTable) -> str:
    """Return a line that says which layout a concept file has and how much it holds."""
    concepts = len(set(chain.from_iterable(table.concepts)))
    return (
        f"{path}: {layout}; {len(table):,} images, {concepts:,} concepts, "
        f"{table.counts.mean():.2f} labels an image"
    )


def read_ids(path: Path) -> list[str]:
    """Read the ids in a list of ids or in a concept file of any layout, in its order.

    Raises:
        DataError: as `read_concepts`.
    """
    return read_id_column(path)[0]


def write_concepts(table: ConceptTable) -> str:
    """Return the text of a concept file: id, TAB, concepts joined by `;`, no header.

    Where these would be read as other concepts, or the first image as a header, there is a header,
    and the concepts of each image are a list in JSON.

    Raises:
        DataError: an id that no line can hold.
    """
    for id_ in table.ids:
        if not id_ or id_ != id_.strip() or _UNLIKE_AN_ID.search(id_):
            raise DataError(
                f"the id {quoted(id_)} cannot stand in a list: a TAB, a line end, outer spaces or "
                "quotes are in the way; rename the image"
            )
    fields = [";".join(concepts) for concepts in table.concepts]
    if _are_plain(table, fields):
        return "".join(f"{id_}\t{field}\n" for id_, field in zip(table.ids, fields, strict=True))
    lists = (json.dumps(concepts, ensure_ascii=False) for concepts in table.concepts)
    rows = zip(table.ids, lists, strict=True)
    return _HEADER + "".join(f"{id_}\t{concepts}\n" for id_, concepts in rows)


def _are_plain(table: ConceptTable, fields: Sequence[str]) -> bool:
    """Tell whether fields without a header are read as the concepts of the table."""
    words = set(chain.from_iterable(table.concepts))
    if any(word != word.strip() or is_missing(word) or _UNLIKE.search(word) for word in words):
        return False
    filled = [field for field in fields if field]
    try:
        if are_lists(filled, "") or find_separator(filled, "") != ";":
            return False
    except DataError:  # a reader would ask
        return False
    return not has_header([(1, [*row]) for row in zip(table.ids, fields, strict=True)])


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
    ids, meant = match_list(ids, table.ids, place)
    missing = [id_ for id_ in ids if id_ not in meant]
    if missing:
        raise DataError(
            f"{place}: lacks {len(missing)} of {len(ids)} images: {some_of(missing, 5)}; add them"
        )
    if len(table) > len(meant):
        warn(f"{place}: {len(table) - len(meant)} of {len(table)} images are left out")
    return table.select(ids)
