"""Concept files and what is made of them: tables, vocabularies, multi-hot matrices, splits.

A concept file says which concepts each image shows, one image a line.  Readers take every layout
that the benchmark's editions and ROCO used; `layouts.py` tells them apart.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from replearn.artefacts.files import digest, warn
from replearn.concepts.layouts import Layout, read_entries, read_lines
from replearn.errors import DataError, UsageError


@dataclass(frozen=True)
class ConceptTable:
    """The concepts of images, in the order of the file.

    Attributes:
        ids: one for each image [N], all different.
        concepts: the set of concepts of each image [N], as a tuple without repetition.
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
        """Return the rows of these ids in this order; every id must be known."""
        rows = {id_: row for row, id_ in enumerate(self.ids)}
        return ConceptTable(list(ids), [self.concepts[rows[id_]] for id_ in ids])


def read_concepts(path: Path) -> ConceptTable:
    """Read a concept file of any layout; a line of an id alone is an image without concepts.

    Raises:
        DataError: the file is missing, is not UTF-8 text, or lists an id twice or none at all.
    """
    return read_with_layout(path)[1]


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


def arrange(table: ConceptTable, ids: Sequence[str], place: Path) -> ConceptTable:
    """Return the rows of these ids in this order; a warning counts the rows left out.

    Args:
        table: any images.
        ids: which of them are wanted.
        place: where the table comes from, for messages.

    Raises:
        DataError: some of the ids are not in the table.
    """
    known = set(table.ids)
    missing = [id_ for id_ in ids if id_ not in known]
    if missing:
        shown = ", ".join(missing[:5]) + ", ..." * (len(missing) > 5)
        raise DataError(f"{place}: lacks {len(missing)} of {len(ids)} images: {shown}; add them")
    if len(known) > len(set(ids)):
        warn(f"{place}: {len(known) - len(set(ids))} of {len(known)} images are left out")
    return table.select(ids)


def count_concepts(table: ConceptTable, top: int | None = None) -> dict[str, int]:
    """Return how many images show each concept, most first, ties by name; at most `top`."""
    counts = Counter(concept for concepts in table.concepts for concept in concepts)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:top])


def vocabulary(table: ConceptTable, top: int | None = None) -> list[str]:
    """Return the concepts of the table in the order of `count_concepts`."""
    return list(count_concepts(table, top))


def multi_hot(table: ConceptTable, vocabulary: Sequence[str]) -> sparse.csr_array:
    """Return the table as a sparse 0/1 matrix float32 [N, L]; other concepts are left out."""
    columns = {concept: column for column, concept in enumerate(vocabulary)}
    known = [sorted(columns[c] for c in cs if c in columns) for cs in table.concepts]
    starts = np.concatenate([[0], np.cumsum([len(row) for row in known])]).astype(np.int32)
    indices = np.array([column for row in known for column in row], dtype=np.int32)
    shape = (len(table), len(vocabulary))
    return sparse.csr_array((np.ones(len(indices), np.float32), indices, starts), shape=shape)


def split(
    table: ConceptTable,
    *,
    valid: float,
    test: float = 0.0,
    seed: int = 0,
    groups: Mapping[str, str] | None = None,
) -> dict[str, ConceptTable]:
    """Divide a table at random into train, valid and test, keeping each group together.

    Args:
        table: all images.
        valid: share of the images for validation, in [0, 1).
        test: share of the images for test, in [0, 1).
        seed: the same seed gives the same parts.
        groups: the group (patient, study) of each id; an id without one is a group of its own.

    Raises:
        UsageError: the shares or the seed are out of range.
        DataError: a part that was asked for would be empty, or the groups are of other images.
    """
    if not (valid >= 0 and test >= 0 and valid + test < 1 and seed >= 0):
        raise UsageError(
            f"valid {valid}, test {test}, seed {seed}: give shares of 0 to 1, together below 1, "
            "and a seed of at least 0"
        )
    if groups is not None and groups.keys().isdisjoint(table.ids):
        raise DataError(
            f"no group is given for any of the {len(table)} images, such as {table.ids[:1]}; "
            "write the ids as in the concept file"
        )
    group_of = [(groups or {}).get(id_, f"\0{id_}") for id_ in table.ids]
    shares = {"test": test, "valid": valid}
    wanted = {part: round(share * len(table)) for part, share in shares.items()}
    part_of = _deal(Counter(group_of), wanted, seed)
    parts: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for id_, group in zip(table.ids, group_of, strict=True):
        parts[part_of.get(group, "train")].append(id_)
    for part, ids in parts.items():
        if not ids and shares.get(part, 1) > 0:
            raise DataError(
                f"the {part} part of {len(table)} images in {len(set(group_of))} groups would be "
                "empty; change the shares or give more images"
            )
    return {part: table.select(ids) for part, ids in parts.items() if ids}


def _deal(sizes: Mapping[str, int], wanted: Mapping[str, int], seed: int) -> dict[str, str]:
    """Return the part of each group, drawn at random until each part has the wanted images."""
    order = sorted(sizes)
    np.random.default_rng(seed).shuffle(order)
    part_of: dict[str, str] = {}
    for part, count in wanted.items():
        taken = 0
        while order and taken < count:
            group = order.pop()
            part_of[group] = part
            taken += sizes[group]
    return part_of
