"""Comparison of encoders x detectors on one data folder.

Every row of its table is made of artefacts that can be looked at, and a second run does only what
is missing.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from joblib import Parallel, delayed

from replearn.comparison.data_folder import DataFolder, find_data_folder
from replearn.comparison.encoder_task import EncoderTask, index_task, run_task
from replearn.comparison.results import Result, find_best_encoder
from replearn.comparison.settings import Comparison
from replearn.comparison.sheets import copy_training_sheets, draw_queries
from replearn.comparison.tables import write_comparison_facts, write_tables
from replearn.concepts.split import write_split
from replearn.console import as_shown_here
from replearn.encoders.configuration import ImageSettings
from replearn.encoders.training.run import check_configuration
from replearn.errors import UsageError
from replearn.images.preparation import prepare


def compare(
    settings: Comparison,
    data_folder: Path,
    out: Path,
    *,
    seeds: int = 1,
    jobs: int = 1,
    overwrite: bool = False,
) -> list[Result]:
    """Run all encoders with all of their detectors, and write tables and sheets.

    Args:
        settings: the encoders and detectors.
        data_folder: images/ and concept lists, see `find_data_folder`.
        out: where everything goes.
        seeds: number of trainings of each encoder.
        jobs: encoders at a time, each in a process of its own.
        overwrite: replace what was made from other inputs.

    Raises:
        DataError: the data folder lacks a list, or something else lies in `out`.
        UsageError: a setting of an encoder is not known or does not fit.
    """
    _check_encoders(settings)
    data = _with_validation(find_data_folder(data_folder), out, overwrite=overwrite)
    images = _prepare_images(settings, data, out, overwrite=overwrite)
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
    write_tables(results, settings, data, out)
    write_comparison_facts(settings, data, images, out)
    copy_training_sheets(out)
    best = _best_task(tasks, results)
    index_task(best)
    draw_queries(best.folder, data, best.images, out / "queries.png")
    return results


def _check_encoders(settings: Comparison) -> None:
    """Refuse settings that a training would refuse: that of the last encoder may be hours away."""
    for name, encoder in settings.encoders.items():
        try:
            check_configuration(encoder)
        except UsageError as error:
            raise UsageError(f"encoders.{name}.{error}")
        settings.form_of(name)


def _with_validation(data: DataFolder, out: Path, *, overwrite: bool) -> DataFolder:
    """Split a tenth of the training list off for validation, unless there is a list for that."""
    if data.valid:
        return data
    paths = write_split(
        data.train, out / "split", valid=0.1, groups=data.groups, overwrite=overwrite
    )
    return replace(data, train=paths["train"], valid=paths["valid"])


def _prepare_images(
    settings: Comparison, data: DataFolder, out: Path, *, overwrite: bool
) -> dict[str, Path]:
    """Prepare the images in every form that an encoder sees; return the image set of each."""
    paths: dict[str, Path] = {}
    for name in settings.encoders:
        form = settings.form_of(name)
        path = out / f"images{'' if form == settings.images else _name_of(form)}.h5"
        if path not in paths.values():
            prepare(data.images, path, jobs=None, overwrite=overwrite, **form.model_dump())
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
