"""Concept files and what is made of them: tables, vocabularies, multi-hot matrices, splits.

A concept file says which concepts each image shows, one image a line.  Readers take every layout
that the benchmark's editions used: TAB, `|` or comma after the id, `;` (2017: comma) between
concepts, a header or none, byte-order mark and CRLF.  An id that holds `|` needs a TAB after
it, one that holds a comma a TAB or quotes around it.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import sparse

from replearn.artefacts import digest
from replearn.errors import DataError, UsageError

_HEADER_FIRST = {"image", "image_id", "imageid", "filename", "name"}
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


class Entry(NamedTuple):
    """An image in a concept file: where it stands, its id, and its concepts as they stand there."""

    line: int
    id: str
    field: str


def read_concepts(path: Path) -> ConceptTable:
    """Read a concept file of any layout; a line of an id alone is an image without concepts.

    Raises:
        DataError: the file is missing, is not UTF-8 text, or lists an id twice or none at all.
    """
    entries = list(read_fields(path))
    return ConceptTable([entry.id for entry in entries], [split_field(e.field) for e in entries])


def read_ids(path: Path) -> list[str]:
    """Read the first column of an id list or of a concept file of any layout, in its order.

    Raises:
        DataError: as `read_concepts`.
    """
    return [entry.id for entry in read_fields(path)]


def read_fields(path: Path) -> Iterator[Entry]:
    """Yield the images of a concept file of any layout, their concepts not yet taken apart.

    Raises:
        DataError: as `read_concepts`.
    """
    first_seen: dict[str, int] = {}
    for row, (number, cells) in enumerate(_read_rows(path)):
        if row == 0 and _is_header(cells):
            continue
        id_ = cells[0].strip()
        if id_ in first_seen:
            raise DataError(
                f"{path}: line {number}: the id {id_!r} stands already in line "
                f"{first_seen[id_]}; keep one of the two"
            )
        first_seen[id_] = number
        yield Entry(number, id_, cells[1] if len(cells) > 1 else "")
    if not first_seen:
        raise DataError(f"{path}: no image is listed in it; write one id a line")


def split_field(field: str) -> tuple[str, ...]:
    """Return the concepts of a field: what `;`, or where there is none a comma, stands between."""
    stripped = (concept.strip() for concept in field.split(";" if ";" in field else ","))
    return tuple(dict.fromkeys(concept for concept in stripped if concept))


def _read_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, one or two cells, the first not empty) of each line that is not blank."""
    lines = [(n, line) for n, line in enumerate(_read_lines(path), 1) if line.strip()]
    # TAB before `|` before comma, and the first line decides: concepts may hold the later ones.
    used = (delimiter for _, line in lines for delimiter in "\t|," if delimiter in line)
    delimiter = next(used, ",")
    for number, line in lines:
        try:
            # Only commas know quotes.
            quoted = delimiter == "," and '"' in line
            cells = next(csv.reader([line], strict=True)) if quoted else line.split(delimiter)
        except csv.Error as error:
            raise DataError(f"{path}: line {number}: not readable ({error}); is a quote left open?")
        if len(cells) > 2:
            raise DataError(
                f"{path}: line {number}: {len(cells)} columns where an id and its concepts are "
                "expected; is it the right file?"
            )
        if not cells[0].strip():
            raise DataError(f"{path}: line {number}: no id in {line.strip()!r}; add it")
        if "\t" in cells[0].strip():
            raise DataError(
                f"{path}: line {number}: a TAB in the id {cells[0]!r}, but the first line uses "
                f"{delimiter!r}; use one of them throughout"
            )
        yield number, cells


def _read_lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; give a list of ids or concepts")
    except UnicodeDecodeError as error:
        line, byte = error.object.count(b"\n", 0, error.start) + 1, error.object[error.start]
        raise DataError(f"{path}: line {line}: not UTF-8 (byte 0x{byte:02x}); save it as UTF-8")
    if "\0" in text:
        raise DataError(f"{path}: a binary file where a list of ids or concepts is expected")
    return text.split("\n")


def _is_header(cells: list[str]) -> bool:
    first = cells[0].strip().lower()
    second = cells[1].strip().lower() if len(cells) > 1 else ""
    # "ImageCLEFmedical 2025 ID" is a header, "COVID_1" is an image.
    return first.split()[-1] == "id" or first in _HEADER_FIRST or second in _HEADER_SECOND


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
    for number, cells in _read_rows(path):
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
