"""Run files written and read by the rules of an edition."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from replearn.concepts.table import ConceptTable
from replearn.errors import DataError, quoted
from replearn.imageclef.checks import find_faults
from replearn.imageclef.editions import EDITIONS, Edition
from replearn.imageclef.hints import hint
from replearn.imageclef.parsing import Row, Run, decode
from replearn.memory import no_garbage_collection


@no_garbage_collection()
def write_run(ids: Sequence[str], concepts: Sequence[Iterable[str]], edition: Edition) -> str:
    """Return the text of a run file, exactly as the organisers ask.

    Args:
        ids: of the images [N], in the order of the organisers' list.
        concepts: what is predicted for each image [N].
        edition: whose rules hold.

    Raises:
        DataError: the edition would refuse the file, or would read other names from it.
    """
    if len(ids) != len(concepts):
        raise DataError(f"{len(concepts)} predictions for {len(ids)} images")
    delimiter, separator = edition.delimiters[0], edition.separator
    lines = [] if edition.header is None else [edition.header]
    for id_, predicted in zip(ids, map(tuple, concepts), strict=True):
        _refuse_unwritable(id_, delimiter)
        for concept in predicted:
            _refuse_unwritable(concept, delimiter + separator)
        lines.append(f"{id_}{delimiter}{separator.join(predicted)}")
    text = "".join(f"{line}\n" for line in lines)
    run = Run(text, edition, ids, strict=bool(edition.precheck))
    # No edition profits from a row or a concept that stands twice, whether it refuses it or not.
    faults = find_faults(run, ("duplicate", "repeat"))
    if faults:
        raise DataError(f"{edition.year} would refuse the run file: {faults[0]}")
    return text


def is_run(data: bytes) -> bool:
    """Tell whether bytes are the text of a run file of any edition, as `write_run` returns it."""
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError:
        return False
    return lines[-1] == "" and any(_as_written(lines[:-1], rules) for rules in EDITIONS.values())


def _as_written(lines: Sequence[str], edition: Edition) -> bool:
    if edition.header is not None and lines[:1] != [edition.header]:
        return False
    delimiter = edition.delimiters[0]
    return all(line.find(delimiter) > 0 and line.count(delimiter) == 1 for line in lines)


def _refuse_unwritable(name: str, separators: str) -> None:
    special = separators + "\0\ufeff" + ('"' if "," in separators else "")
    one_line = name.splitlines() == [name] and name == name.strip()
    if not one_line or any(character in special for character in name):
        raise DataError(
            f"the name {quoted(name)} cannot stand in a run file: it is empty or holds a "
            "separator, a quote, a NUL, a line break or outer spaces; rename it"
        )


def read_run(path: Path | str, edition: Edition) -> ConceptTable:
    """Read a run file by the rules of the edition, whichever images it should hold.

    Raises:
        DataError: the file is missing, or the evaluator would refuse it for another reason than
            its ids.
    """
    rows = accepted_rows(Path(path), edition, None)
    concepts = [tuple(c for c in row.concepts if c.strip()) for row in rows]
    return ConceptTable([row.id for row in rows], concepts)


def accepted_rows(path: Path, edition: Edition, expected: Sequence[str] | None) -> list[Row]:
    """Return the images of a run file that the evaluator accepts.

    Args:
        path: the run file.
        edition: whose rules hold.
        expected: the ids of the images that it should hold; None if any will do.

    Raises:
        DataError: the evaluator would refuse the file; the text is the first of its faults.
    """
    text, faults = decode(path, edition)
    run = Run(text, edition, expected, strict=False)
    faults += find_faults(run)
    if faults:
        more = f" (faults in all: {len(faults)}; see: replearn validate)" if faults[1:] else ""
        other = hint(text, run.expected, edition)
        raise DataError(f"{path}: {faults[0]}{more}{other and f'; {other}'}")
    return run.images
