"""Comparison of encoders x detectors on one data folder.

Every row of its table is made of artefacts that can be looked at, and a second run does only what
is missing.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from joblib import Parallel, delayed

from replearn.artefacts.outputs import Result as Output
from replearn.artefacts.outputs import place_of, write_results
from replearn.comparison import tables
from replearn.comparison.data_folder import DataFolder, find_data_folder
from replearn.comparison.encoder_task import EncoderTask, index_task, run_task
from replearn.comparison.ensemble_task import EnsembleTask, run_ensembles
from replearn.comparison.facts import refuse_other_files
from replearn.comparison.results import Result, find_best_encoder
from replearn.comparison.settings import Comparison
from replearn.comparison.sheets import QUERIES, copy_training_sheets, draw_queries, sheet_names
from replearn.concepts.reading import AS_FOUND, Reading
from replearn.concepts.splitting.named_parts import write_split_by_ids
from replearn.concepts.splitting.split import LIST, Division, write_split
from replearn.concepts.table import ConceptTable, read_concepts, read_labels, write_concepts
from replearn.concepts.vocabulary import check_known
from replearn.console import as_shown_here
from replearn.encoders.configuration import ImageSettings
from replearn.encoders.training.run import check_configuration
from replearn.errors import UsageError
from replearn.features import Features
from replearn.ids import IdsFrom
from replearn.images.ids import Selection
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
    ids_from: IdsFrom = "name",
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
        ids_from: whether an image's id is the file's name or its path, without extension.

    Raises:
        DataError: the data folder lacks a list, a list cannot be read or has no concept that is
            known in training, or something else lies in `out`.
        UsageError: a setting of an encoder is not known or does not fit.
    """
    _check_encoders(settings)
    out = place_of(out)
    refuse_other_files(out, [*tables.FILES, *sheet_names(settings.encoders)])
    data = _with_plain_lists(find_data_folder(data_folder), out, reading, overwrite=overwrite)
    data = _with_parts(data, out, overwrite=overwrite)
    images = _prepare_images(settings, data, out, ids_from, overwrite=overwrite)
    data = _with_ids_of(next(iter(images.values())), data, out, overwrite=overwrite)
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
    for seed in range(seeds):
        results += run_ensembles(EnsembleTask(settings, data, out, seed, overwrite))
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


def _with_parts(data: DataFolder, out: Path, *, overwrite: bool) -> DataFolder:
    """Split off what is missing of the images to choose on and the images to score.

    Without a list for validation that is a tenth of the training list.  Where the validation images
    are those that are scored, settings and rules are chosen on another quarter, lest a score be of
    images that it was chosen for.
    """
    if data.by_ids:
        paths = write_split_by_ids(data.train, out / "split", overwrite=overwrite)
        data = replace(data, train=paths["train"], valid=paths["valid"], by_ids=False)
    if data.valid is None:
        paths = _split_off(0.1, data, out / "split", overwrite=overwrite)
        data = replace(data, train=paths["train"], valid=paths["valid"])
    if data.scored == "valid":
        paths = _split_off(0.25, data, out / "tuning", overwrite=overwrite)
        data = replace(data, train=paths["train"], tuning=paths["valid"])
    return data


def _split_off(share: float, data: DataFolder, folder: Path, *, overwrite: bool) -> dict[str, Path]:
    """Divide the training list by group; return the files of what is left and of the share."""
    return write_split(data.train, folder, Division(share), groups=data.groups, overwrite=overwrite)


def _with_plain_lists(
    data: DataFolder, out: Path, reading: Reading, *, overwrite: bool
) -> DataFolder:
    """Read all lists, as unknown concepts are counted once; write them where a layout is said.

    Whatever reads them later then finds it in the list.
    """
    paths = {p: path for p, path in data.parts.items() if p != "test" or data.scored == "test"}
    tables = {part: read_labels(path, reading) for part, path in paths.items()}
    for part, path in paths.items():
        check_known(tables[part], tables["train"], str(path), str(data.train))
    if reading == AS_FOUND:
        return data
    plain = {part: out / "lists" / f"{part}-concepts.tsv" for part in paths}
    lists = {plain[part]: Output(write_concepts(tables[part]), LIST) for part in plain}
    write_results(lists, overwrite=overwrite)
    valid, test = plain.get("valid"), plain.get("test", data.test)
    return replace(data, train=plain["train"], valid=valid, test=test)


def _with_ids_of(images: Path, data: DataFolder, out: Path, *, overwrite: bool) -> DataFolder:
    """Write the labelled lists with the ids of the images, where they name these otherwise.

    Whatever reads them later, a report too, knows images by their ids alone.
    """
    image_set = ImageSet.load(images)
    known = [*image_set.ids, *(id_ for id_, _ in image_set.errors)]
    paths: dict[str, Path] = {}
    lists: dict[Path, Output] = {}
    for part, path in data.parts.items():
        if part == "test" and data.scored != "test":  # ids alone, as runs have them
            continue
        table = read_concepts(path)
        ids = ids_meant(table.ids, known, path)
        if ids != table.ids:
            paths[part] = out / "by-id" / f"{part}-concepts.tsv"
            lists[paths[part]] = Output(write_concepts(ConceptTable(ids, table.concepts)), LIST)
    write_results(lists, overwrite=overwrite)
    given = data.parts | paths
    return replace(
        data,
        train=given["train"],
        tuning=given.get("tuning"),
        valid=given.get("valid"),
        test=given.get("test"),
    )


def _prepare_images(
    settings: Comparison, data: DataFolder, out: Path, ids_from: IdsFrom, *, overwrite: bool
) -> dict[str, Path]:
    """Prepare the images in every form that an encoder sees; return the image set of each."""
    paths: dict[str, Path] = {}
    every = Selection(ids_from=ids_from)
    for name in settings.encoders:
        form = settings.form_of(name)
        path = out / f"images{'' if form == settings.images else _name_of(form)}.h5"
        if path not in paths.values():
            wanted = form.model_dump()
            prepare(data.images, path, selection=every, jobs=None, overwrite=overwrite, **wanted)
        paths[name] = path
    return paths


def _name_of(form: ImageSettings) -> str:
    name = f"-{form.size}x{form.channels}-{form.fit}"
    if form.bits is not None:
        name += f"-{form.bits}bits"
    if form.value_range is not None:
        name += "-{:g}to{:g}".format(*form.value_range)
    return name


def _best_task(tasks: Sequence[EncoderTask], results: Sequence[Result]) -> EncoderTask:
    """Return the first training of the encoder with the best detector on validation."""
    best = find_best_encoder(results)
    return next(task for task in tasks if task.encoder == best)
