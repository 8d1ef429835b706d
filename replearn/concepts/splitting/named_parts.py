"""Parts that the ids of images name, as in ImageCLEF 2026: `..._2026_train_0`, `..._valid_7`."""

import re
from pathlib import Path

from replearn.concepts.reading import AS_FOUND, Reading
from replearn.concepts.splitting.split import write_parts
from replearn.concepts.table import ConceptTable, describe_labels, read_with_layout
from replearn.errors import DataError, quoted

# As words of their own: `retrained_1` names no part.
_WORDS = re.compile(r"(?<![a-z])(train|valid|test)(?:ing|ation)?(?![a-z])", re.IGNORECASE)


def split_by_ids(table: ConceptTable, name: str = "the concepts") -> dict[str, ConceptTable]:
    """Divide a table by the word train, valid or test in each id.

    Args:
        table: all images.
        name: of the table in messages.

    Raises:
        DataError: an id has none of the words or two of them, or no id says train or valid.
    """
    parts: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for id_ in table.ids:
        said = {word.lower() for word in _WORDS.findall(id_)}
        if len(said) != 1:
            what = " and ".join(sorted(said)) if said else "none of train, valid and test"
            raise DataError(f"{name}: the id {quoted(id_)} says {what}; divide the list at random")
        parts[said.pop()].append(id_)
    for part in ("train", "valid"):
        if not parts[part]:
            raise DataError(f"{name}: no id says {part}; divide the list at random")
    return {part: table.select(ids) for part, ids in parts.items() if ids}


def write_split_by_ids(
    concept_file: Path, folder: Path, *, overwrite: bool = False, reading: Reading = AS_FOUND
) -> dict[str, Path]:
    """Divide a concept file as `split_by_ids`, into files as `write_split` writes them.

    Args:
        concept_file: of any layout.
        folder: where the lists go.
        overwrite: write them in any case, and replace other lists of these parts.
        reading: what is said of the layout of the concept file.

    Raises:
        DataError: as `split_by_ids` and `write_split`.
    """
    layout, table = read_with_layout(concept_file, reading)
    parts = split_by_ids(table, str(concept_file))
    labels = describe_labels(concept_file, layout, table)
    inputs = [concept_file]
    return write_parts(parts, table, folder, labels=labels, inputs=inputs, overwrite=overwrite)
