"""Concept files and what is made of them: tables, vocabularies, multi-hot matrices, splits.

A concept file says which concepts each image shows, one image a line.  Readers take every layout
that the benchmark's editions used: TAB, `|` or comma after the id, `;` (2017: comma) between
concepts, a header or none, byte-order mark and CRLF.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from replearn.artefacts import digest
from replearn.errors import DataError

_HEADER_FIRST = {"id", "image", "image_id", "imageid", "filename", "name"}
_HEADER_SECOND = {"cui", "cuis", "concept", "concepts", "tag", "tags", "label", "labels"}


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
        DataError: the file is missing, is not UTF-8 text, or lists an id twice.
    """
    lines = _read_lines(path)
    ids: list[str] = []
    concepts: list[tuple[str, ...]] = []
    first_seen: dict[str, int] = {}
    for number, cells in _cells(lines):
        if number == 1 and _is_header(cells):
            continue
        id_ = cells[0].strip()
        if id_ in first_seen:
            raise DataError(
                f"{path}: line {number}: the id {id_!r} stands already in line "
                f"{first_seen[id_]}; keep one of the two"
            )
        if len(cells) > 2:
            raise DataError(
                f"{path}: line {number}: {len(cells)} columns where an id and its concepts are "
                "expected; is it a concept file?"
            )
        first_seen[id_] = number
        ids.append(id_)
        concepts.append(_split_concepts(cells[1] if len(cells) > 1 else ""))
    if not ids:
        raise DataError(f"{path}: no image is listed in it")
    return ConceptTable(ids, concepts)


def read_ids(path: Path) -> list[str]:
    """Read the first column of an id list or of a concept file of any layout, in its order.

    Raises:
        DataError: as `read_concepts`.
    """
    return read_concepts(path).ids


def _read_lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not readable as UTF-8 text ({error}); convert it") from None
    if "\0" in text:
        raise DataError(f"{path}: a binary file where a list of ids or concepts is expected")
    return text.split("\n")


def _cells(lines: list[str]) -> Iterable[tuple[int, list[str]]]:
    """Yield (line number, cells) of each line that is not blank."""
    full = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    used = (d for d in ("\t", "|", ",") if any(d in line for _, line in full))
    delimiter = next(used, "\t")
    for number, line in full:
        if delimiter == ",":
            yield number, next(csv.reader(io.StringIO(line)))
        else:
            yield number, line.split(delimiter)


def _is_header(cells: list[str]) -> bool:
    first = cells[0].strip().lower()
    second = cells[1].strip().lower() if len(cells) > 1 else ""
    return first in _HEADER_FIRST or second in _HEADER_SECOND


def _split_concepts(field: str) -> tuple[str, ...]:
    delimiter = ";" if ";" in field else ","
    stripped = (concept.strip() for concept in field.split(delimiter))
    return tuple(dict.fromkeys(concept for concept in stripped if concept))


def write_concepts(table: ConceptTable) -> str:
    """Return the text of a concept file: id, TAB, concepts joined by `;`, no header."""
    rows = zip(table.ids, table.concepts, strict=True)
    return "".join(f"{id_}\t{';'.join(concepts)}\n" for id_, concepts in rows)


def read_names(path: Path) -> dict[str, str]:
    """Read a file of `concept TAB name` lines.

    Raises:
        DataError: the file is missing or is not UTF-8 text.
    """
    cells = (line.split("\t", 1) for line in _read_lines(path) if "\t" in line)
    return {concept.strip(): name.strip() for concept, name in cells}


def vocabulary(table: ConceptTable, top: int | None = None) -> list[str]:
    """Return the concepts of the table, the most frequent first, ties by name; at most `top`."""
    counts = Counter(concept for concepts in table.concepts for concept in concepts)
    return sorted(counts, key=lambda concept: (-counts[concept], concept))[:top]


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
        DataError: a part that was asked for would be empty, or nothing remains for training.
    """
    group_of = [(groups or {}).get(id_, f"\0{id_}") for id_ in table.ids]
    order = sorted(set(group_of))
    np.random.default_rng(seed).shuffle(order)
    sizes = Counter(group_of)
    wanted = {"test": round(test * len(table)), "valid": round(valid * len(table))}
    part_of: dict[str, str] = {}
    for part, count in wanted.items():
        taken = 0
        while order and taken < count:
            group = order.pop()
            part_of[group] = part
            taken += sizes[group]
    parts: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for id_, group in zip(table.ids, group_of, strict=True):
        parts[part_of.get(group, "train")].append(id_)
    shares = {"train": 1 - valid - test, "valid": valid, "test": test}
    for part, ids in parts.items():
        if shares[part] > 0 and not ids:
            raise DataError(
                f"the {part} part of {len(table)} images in {len(sizes)} groups would be empty; "
                "change the shares or give more images"
            )
    return {part: table.select(ids) for part, ids in parts.items() if ids}
