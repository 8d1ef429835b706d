"""The primary and the secondary score of a run file, as the edition's evaluator makes them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from replearn.concepts.gathering import Entry
from replearn.concepts.layouts import read_entries
from replearn.concepts.reading import AS_FOUND, Reading
from replearn.concepts.table import ConceptTable
from replearn.errors import DataError, UsageError
from replearn.ids import IdList
from replearn.imageclef.editions import Edition
from replearn.imageclef.faults import quoted_names
from replearn.imageclef.parsing import Row, Run, decode
from replearn.imageclef.runs import accepted_rows
from replearn.memory import no_garbage_collection
from replearn.metrics import bootstrap_interval, f1_of_sets, mean_score


@dataclass(frozen=True)
class Score:
    """The evaluator's score of a run file.

    Attributes:
        edition: year whose rules were applied.
        f1: mean over images of the F1 of the concept sets.
        f1_secondary: the same for the manually checked concepts; None without their truth.
        interval: 95 % bootstrap interval (low, high) of `f1` over images.
        images: number of images in the truth.
        scored: how many of them count in `f1`; in 2018 those without concepts do not.
        per_image: the F1 of each image by id, NaN where it does not count.
    """

    edition: int
    f1: float
    f1_secondary: float | None
    interval: tuple[float, float]
    images: int
    scored: int
    per_image: dict[str, float]


@no_garbage_collection()
def evaluate_run(
    path: Path | str,
    truth: ConceptTable | Path | str,
    edition: Edition,
    manual: ConceptTable | Path | str | None = None,
    reading: Reading = AS_FOUND,
) -> Score:
    """Score a run file as the edition's evaluator does; its pre-check need not pass.

    Args:
        path: the run file.
        truth: the true concepts of the images; a file may have any layout.
        edition: whose rules hold.
        manual: the manually checked concepts; with them the secondary score is computed.
        reading: what is said of the layout of files of true concepts.

    Raises:
        DataError: the evaluator would refuse the file, or no image counts in the score.
        UsageError: `manual` is given but the edition has no secondary score.
    """
    if manual is not None and not edition.secondary:
        raise UsageError(f"{edition.year} has no secondary score; leave out the manual truth")
    path = Path(path)
    true = _true_sets(truth, edition, path, reading)
    rows = accepted_rows(path, edition, list(true))
    predicted = {row.id: _predicted_set(row, edition) for row in rows}
    per_image = {id_: _f1(true[id_], predicted[id_], edition) for id_ in predicted}
    scores = np.array(list(per_image.values()))
    try:
        f1 = mean_score(scores)
    except DataError as error:
        raise DataError(f"{path}: {error}")
    return Score(
        edition=edition.year,
        f1=f1,
        f1_secondary=(
            None if manual is None else _secondary(predicted, manual, edition, path, reading)
        ),
        interval=bootstrap_interval(scores),
        images=len(true),
        scored=int(np.count_nonzero(~np.isnan(scores))),
        per_image=per_image,
    )


def _f1(true: frozenset[str], predicted: frozenset[str], edition: Edition) -> float:
    return np.nan if edition.empty == "skip" and not true else f1_of_sets(true, predicted)


def _predicted_set(row: Row, edition: Edition) -> frozenset[str]:
    # An id alone predicts nothing, not even the "" that an empty field stands for.
    return edition.scored(row.cells[1]) if len(row.cells) > 1 else frozenset()


def _true_sets(
    truth: ConceptTable | Path | str, edition: Edition, run_file: Path, reading: Reading
) -> dict[str, frozenset[str]]:
    """Return the set that the evaluator makes of each image's true concepts, by id."""
    if isinstance(truth, Path | str):
        layout, entries = read_entries(Path(truth), reading)
        entries = _without_header(Path(truth), entries, edition, run_file)
        separator = layout.separator
        fields = {entry.id: _true_field(Path(truth), entry, edition) for entry in entries}
    else:
        separator = "\0"
        fields = dict(zip(truth.ids, map(separator.join, truth.concepts), strict=True))
    return {
        id_: edition.scored(field, separator)
        for id_, field in fields.items()
        if not edition.is_header(id_)
    }


def _without_header(
    path: Path, entries: list[Entry], edition: Edition, run_file: Path
) -> list[Entry]:
    """Drop a first line that names no image of the run where the others do."""
    text, _ = decode(run_file, edition)
    if entries[0].id in text:  # as in nearly all files: then the run is read once
        return entries
    run = Run(text, edition, None, strict=False)
    ids = [entry.id for entry in entries]
    kept = IdList(path, ids).among({row.id for row in run.images})
    return entries[len(ids) - len(kept) :]


def _true_field(path: Path, entry: Entry, edition: Edition) -> str:
    """Return a field as it stands in the file, as evaluators read it: `C1;C2;` has a third, ""."""
    if entry.field is None and edition.empty == "match":
        raise DataError(
            f"{path}: line {entry.line}: {entry.id!r} stands alone, which the evaluator of "
            f"{edition.year} refuses in the truth; add the delimiter after it"
        )
    return entry.field or ""


def _secondary(
    predicted: dict[str, frozenset[str]],
    manual: ConceptTable | Path | str,
    edition: Edition,
    run_file: Path,
    reading: Reading,
) -> float:
    """Return the F1 over the whitelisted concepts of the manual truth.

    An image without one there is skipped; one that only the manual truth has scores 0.
    """
    name = manual if isinstance(manual, Path | str) else "the manual truth"
    true = _true_sets(manual, edition, run_file, reading)
    absent = [id_ for id_ in predicted if id_ not in true]
    if absent:
        raise DataError(f"{name}: lacks {len(absent)} of the run's images: {quoted_names(absent)}")
    allowed = edition.secondary
    counting = {id_ for id_ in predicted if true[id_] & allowed}
    images = len(true) - len(predicted) + len(counting)
    if not images:
        raise DataError(f"{name}: no image has one of the {len(allowed)} concepts that count")
    total = sum(f1_of_sets(true[id_] & allowed, predicted[id_] & allowed) for id_ in counting)
    return total / images
