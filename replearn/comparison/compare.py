"""Comparison of encoders x detectors on one data folder.

Every row of its table is made of artefacts that can be looked at, and a second run does only what
is missing.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from joblib import Parallel, delayed

from replearn.artefacts.outputs import Result as Output
from replearn.artefacts.outputs import place_of, write_results
from replearn.comparison import tables
from replearn.comparison.data_folder import DataFolder, find_data_folder
from replearn.comparison.encoder_task import EncoderTask, index_task, run_task
from replearn.comparison.facts import refuse_other_files
from replearn.comparison.results import Result, find_best_encoder
from replearn.comparison.settings import Comparison
from replearn.comparison.sheets import QUERIES, copy_training_sheets, draw_queries, sheet_names
from replearn.concepts.reading import AS_FOUND, Reading
from replearn.concepts.split import LIST, write_split
from replearn.concepts.table import ConceptTable, read_labels, write_concepts
from replearn.concepts.vocabulary import check_known
from replearn.console import as_shown_here
from replearn.encoders.training.run import check_configuration
from replearn.errors import UsageError
from replearn.features import Features
from replearn.images.image_set import ImageSet
from replearn.images.preparation import prepare
from replearn.matching import ids_meant

_logger = logging.getLogger(__name__)


def compare(
    settings: Comparison,
    data_folder: Path,
    out: Path,
    *,
    seeds: int = 1,
    jobs: int = 1,
    overwrite: bool = False,
    reading: Reading = AS_FOUND,
) -> list[Result]:
    """Run all encoders with all of their detectors, and write tables and sheets.

    Args:
        settings: the encoders and detectors.
        data_folder: images/ and concept lists, see `find_data_folder`.
        out: where everything goes.
        seeds: number of trainings of each encoder.
        jobs: encoders at a time, each in a process of its own.
        overwrite: make everything anew, and replace what was made from other inputs.
        reading: what is said of the layout of the concept lists.

    Raises:
        DataError: the data folder lacks a list, a list cannot be read or has no concept that is
            known in training, or something else lies in `out`.
        UsageError: a setting of an encoder is not known or does not fit.
    """
    _check_encoders(settings)
    out = place_of(out)
    refuse_other_files(out, [*tables.FILES, *sheet_names(settings.encoders)])
    given = find_data_folder(data_folder)
    data = _with_validation(given, out, reading, overwrite=overwrite)
    labels = _read_labels(data, given, reading)
    images = _prepare_images(settings, data, out, overwrite=overwrite)
    first = next(iter(images.values()))
    data = _with_plain_lists(data, labels, first, out, overwrite=overwrite)
    tables.write_comparison_facts(settings, data, images, out)  # from now on it is a comparison's
    tasks = [
        EncoderTask(settings, data, images[name], out, name, seed, overwrite)
        for seed in range(seeds)
        for name in settings.encoders
    ]
    parallel = Parallel(n_jobs=min(jobs, len(tasks)))
    results = [
        result
        for of_task in parallel(delayed(as_shown_here(run_task))(task) for task in tasks)
        for result in of_task
    ]
    tables.write_tables(results, settings, data, out)
    copy_training_sheets(out)
    best = _best_task(tasks, results)
    index_task(best)
    draw_queries(best.folder, data, best.images, out / QUERIES)
    left_out = sum(len(Features.load(best.features(part)).errors) for part in data.parts)
    rest = f"; {left_out:,} images of the lists were left out" if left_out else ""
    _logger.info(f"tables, sheets and run files are in {out}{rest}")
    return results


def _check_encoders(settings: Comparison) -> None:
    """Refuse settings that a training would refuse: that of the last encoder may be hours away."""
    for name, encoder in settings.encoders.items():
        try:
            check_configuration(encoder)
        except UsageError as error:
            raise UsageError(f"encoders.{name}.{error}")
        settings.form_of(name)


def _with_validation(
    data: DataFolder, out: Path, reading: Reading, *, overwrite: bool
) -> DataFolder:
    """Split a tenth of the training list off for validation, unless there is a list for that."""
    if data.valid:
        return data
    paths = write_split(
        data.train,
        out / "split",
        valid=0.1,
        groups=data.groups,
        overwrite=overwrite,
        reading=reading,
    )
    return replace(data, train=paths["train"], valid=paths["valid"])


@dataclass(frozen=True)
class _Labels:
    """The labelled parts of the data.

    Attributes:
        tables: by part, as the lists have them.
        plain: whether the lists need nothing to be said of them.
    """

    tables: dict[str, ConceptTable]
    plain: bool


def _read_labels(data: DataFolder, given: DataFolder, reading: Reading) -> _Labels:
    """Read the labelled lists, telling their layouts, and count concepts unknown in training.

    Args:
        data: the parts that are compared on.
        given: those of the data folder, of which something is said.
        reading: what is said of them.
    """
    parts = ["train", "valid", data.scored]
    paths = {part: path for part, path in data.parts.items() if part in parts}
    said = dict.fromkeys(given.parts.values(), reading)
    tables = {part: read_labels(path, said.get(path, AS_FOUND)) for part, path in paths.items()}
    for part, path in paths.items():
        check_known(tables[part], tables["train"], str(path), str(data.train))
    return _Labels(tables, reading == AS_FOUND)


def _with_plain_lists(
    data: DataFolder, labels: _Labels, images: Path, out: Path, *, overwrite: bool
) -> DataFolder:
    """Write lists that need no option, of the images' ids, where those of the data are not such.

    Whatever reads them later, a report too, has only the lists.
    """
    known = ImageSet.load(images)
    ids = [*known.ids, *(id_ for id_, _ in known.errors)]
    tables = {
        part: ConceptTable(ids_meant(table.ids, ids, data.parts[part]), table.concepts)
        for part, table in labels.tables.items()
    }
    if labels.plain and tables == labels.tables:
        return data
    paths = {part: out / "lists" / f"{part}-concepts.tsv" for part in tables}
    lists = {paths[part]: Output(write_concepts(tables[part]), LIST) for part in tables}
    write_results(lists, overwrite=overwrite)
    test = paths.get("test", data.test)
    return replace(data, train=paths["train"], valid=paths["valid"], test=test)


def _prepare_images(
    settings: Comparison, data: DataFolder, out: Path, *, overwrite: bool
) -> dict[str, Path]:
    """Prepare the images in every form that an encoder sees; return the image set of each."""
    paths: dict[str, Path] = {}
    for name in settings.encoders:
        form = settings.form_of(name)
        own = "" if form == settings.images else f"-{form.size}x{form.channels}-{form.fit}"
        path = out / f"images{own}.h5"
        if path not in paths.values():
            prepare(data.images, path, jobs=None, overwrite=overwrite, **form.model_dump())
        paths[name] = path
    return paths


def _best_task(tasks: Sequence[EncoderTask], results: Sequence[Result]) -> EncoderTask:
    """Return the first training of the encoder with the best detector on validation."""
    best = find_best_encoder(results)
    return next(task for task in tasks if task.encoder == best)
