"""Divides a concept table into train, validation and test, keeping groups (patients) together."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from replearn.artefacts.outputs import FileKind, Result, place_of, refuse_inputs, write_results
from replearn.concepts.groups import group_keys, match_groups
from replearn.concepts.reading import AS_FOUND, Reading
from replearn.concepts.splitting.stratification import deviations, stratify
from replearn.concepts.table import (
    ConceptTable,
    describe_labels,
    read_names,
    read_with_layout,
    write_concepts,
)
from replearn.concepts.vocabulary import multi_hot, vocabulary
from replearn.errors import DataError, UsageError
from replearn.ids import IdMap

_logger = logging.getLogger(__name__)

LIST = FileKind.of_lines("a list of a split", r"[^\t\n]+\t[^\t\n]*")


@dataclass(frozen=True)
class Division:
    """How a table is divided.

    Attributes:
        valid: share of the images for validation, in [0, 1).
        test: share of the images for test, in [0, 1).
        seed: the same seed gives the same parts.
        stratified: make each concept as frequent in every part as in all, see `stratification`.
    """

    valid: float
    test: float = 0.0
    seed: int = 0
    stratified: bool = False


def split(
    table: ConceptTable,
    *,
    valid: float,
    test: float = 0.0,
    seed: int = 0,
    groups: Mapping[str, str] | None = None,
    stratified: bool = False,
) -> dict[str, ConceptTable]:
    """Divide a table at random into train, valid and test, keeping each group together.

    Args:
        table: all images.
        valid: share of the images for validation, in [0, 1).
        test: share of the images for test, in [0, 1).
        seed: the same seed gives the same parts.
        groups: the group (patient, study) of each id; an id without one is a group of its own.
        stratified: make each concept as frequent in every part as in all, see `stratification`.

    Raises:
        UsageError: the shares or the seed are out of range.
        DataError: a part that was asked for would be empty, or the groups are of other images.
    """
    if not (valid >= 0 and test >= 0 and valid + test < 1 and seed >= 0):
        raise UsageError(
            f"valid {valid}, test {test}, seed {seed}: give shares of 0 to 1, together below 1, "
            "and a seed of at least 0"
        )
    known = IdMap((groups or {}).items())
    if groups is not None and not any(id_ in known for id_ in table.ids):
        raise DataError(
            f"no group is given for any of the {len(table)} images, such as {table.ids[:1]}; "
            "write the ids as in the concept file"
        )
    group_of = group_keys(table.ids, known)
    shares = {"test": test, "valid": valid}
    if stratified:
        part_of = _stratify(table, group_of, shares, seed)
    else:
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


def write_split(
    concept_file: Path,
    folder: Path,
    division: Division,
    *,
    groups: Path | None = None,
    overwrite: bool = False,
    reading: Reading = AS_FOUND,
) -> dict[str, Path]:
    """Divide a concept file into `{train,valid,test}-concepts.tsv` and return the parts' files.

    Args:
        concept_file: of any layout.
        folder: where the lists go.
        division: the shares of the parts.
        groups: lines of `id TAB group`.
        overwrite: write them in any case, and replace other lists of these parts.
        reading: what is said of the layout of the concept file.

    Raises:
        DataError: as `split`, or the folder has a list of another part, or something that may not
            be replaced.
        UsageError: as `split`.
    """
    layout, table = read_with_layout(concept_file, reading)
    group_of = match_groups(read_names(groups), table.ids, groups) if groups else None
    parts = split(table, **vars(division), groups=group_of)
    labels = describe_labels(concept_file, layout, table)
    inputs = [concept_file, groups]
    return write_parts(parts, table, folder, labels=labels, inputs=inputs, overwrite=overwrite)


def write_parts(
    parts: Mapping[str, ConceptTable],
    table: ConceptTable,
    folder: Path,
    *,
    labels: str,
    inputs: Sequence[Path | None],
    overwrite: bool = False,
) -> dict[str, Path]:
    """Write the parts of a table into `{train,valid,test}-concepts.tsv` and return their files.

    Args:
        parts: by name.
        table: all of them.
        folder: where the lists go.
        labels: what the file of the table holds, for the log.
        inputs: what was read, which is never replaced.
        overwrite: write them in any case, and replace other lists of these parts.

    Raises:
        DataError: the folder has a list of another part, or something that may not be replaced.
    """
    folder = place_of(folder)
    paths = {part: _path_of(folder, part) for part in ("train", "valid", "test")}
    for path in paths.values():
        refuse_inputs(path, inputs)
    _refuse_leftovers(path for part, path in paths.items() if part not in parts)
    # The training list comes last: whoever finds it, as make does, finds the others.
    lists = {paths[part]: Result(write_concepts(parts[part]), LIST) for part in reversed([*parts])}
    write_results(lists, overwrite=overwrite)
    _logger.info(labels)
    sizes = ", ".join(f"{part} {len(of_part)}" for part, of_part in parts.items())
    _logger.info(f"{sizes} images in {folder}")
    _log_deviations(table, parts)
    return {part: paths[part] for part in parts}


def _path_of(folder: Path, part: str) -> Path:
    return folder / f"{part}-concepts.tsv"


def _refuse_leftovers(paths: Iterable[Path]) -> None:
    """Refuse lists of parts that are not written now: their images may be in another part.

    They are not removed, as nothing tells whether an earlier split wrote them.

    Raises:
        DataError: there is one.
    """
    for path in paths:
        if path.exists():
            raise DataError(
                f"{path}: is of another split than this one, which has no such part; "
                "remove it or choose another place"
            )


def _stratify(
    table: ConceptTable, group_of: Sequence[str], shares: Mapping[str, float], seed: int
) -> dict[str, str]:
    """Return the part of each group such that each concept is as frequent in every part."""
    asked = {part: share for part, share in shares.items() if share}
    parts = ["train", *asked]
    names, numbers = np.unique(np.array(group_of, dtype=object), return_inverse=True)
    labels = multi_hot(table, sorted(vocabulary(table)))
    of_parts = np.array([1 - sum(asked.values()), *asked.values()])
    number = stratify(labels, numbers.astype(np.intp), of_parts, seed)
    first = np.unique(numbers, return_index=True)[1]  # an image of each group
    return {name: parts[number[row]] for name, row in zip(names.tolist(), first, strict=True)}


def _log_deviations(table: ConceptTable, parts: Mapping[str, ConceptTable]) -> None:
    """Log how far the frequencies of concepts in each part are from those in all."""
    labels = multi_hot(table, vocabulary(table))
    number = {id_: n for n, part in enumerate(parts.values()) for id_ in part.ids}
    part = np.array([number[id_] for id_ in table.ids], np.intp)
    found = zip(parts, deviations(labels, part, len(parts)), strict=True)
    _logger.info(
        "mean |share in part - share in all| of the concepts of at least 10 images: "
        + ", ".join(f"{name} {deviation:.6f}" for name, deviation in found)
    )


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
