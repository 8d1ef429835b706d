"""compare: encoders x detectors on one data folder -> one table.

It calls the other stages, so that every row of the table is made of artefacts that can be looked
at, and a second run does only what is missing.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from joblib import Parallel, delayed

from pipelines.classify import classify
from pipelines.extract import extract
from pipelines.index import index
from pipelines.predict import predict
from pipelines.prepare import prepare
from pipelines.split import split
from pipelines.train import train
from replearn import imageclef
from replearn.artefacts.files import read_json, write_json, write_text
from replearn.comparison.data_folder import DataFolder, find_data_folder
from replearn.comparison.results import Result, to_csv, to_latex, to_markdown
from replearn.comparison.settings import Comparison, read_comparison
from replearn.concepts.table import read_concepts, read_ids
from replearn.console import say, warnings_as_lines
from replearn.detection.detector import load_detector
from replearn.encoders.models import check_arguments
from replearn.encoders.training.settings import TrainingSettings
from replearn.errors import UsageError
from replearn.features import Features
from replearn.images.image_set import ImageSet
from replearn.neighbors.storage import load_index
from replearn.retrieval.contact_sheet import write_query_sheet
from replearn.settings import check_settings


def compare(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG.yaml", help="Encoders and detectors: see configs/.")
    ],
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Folder of images/, train-concepts.*, valid-concepts.* (else split from train) "
            "and test-concepts.* or test-images.txt.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Where everything goes.")],
    seeds: Annotated[int, typer.Option(min=1, help="Train every encoder with so many seeds.")] = 1,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a setting, as encoders.aae.training.steps=500; may be repeated.",
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="Encoders at a time, each in a process of its own.")
    ] = 1,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what was made from other inputs.")
    ] = False,
) -> None:
    """Run encoders x detectors on one data folder into one table.

    Example: replearn compare configs/demo.yaml data runs/all --seeds 3
    """
    chosen = read_comparison(config, settings or ())
    _refuse_what_trainings_would(chosen)
    found = _with_valid(find_data_folder(data), out, overwrite=overwrite)
    images = _prepare(chosen, found, out, overwrite=overwrite)
    tasks = [
        _Task(chosen, found, images[name], out, name, seed, overwrite)
        for seed in range(seeds)
        for name in chosen.encoders
    ]
    done = Parallel(n_jobs=min(jobs, len(tasks)))(delayed(_run)(task) for task in tasks)
    results = [result for of_task in done for result in of_task]
    _write_tables(results, chosen, found, out)
    _write_places(chosen, found, images, out)
    _write_sheets(results, found, images, out, overwrite=overwrite)


def _refuse_what_trainings_would(chosen: Comparison) -> None:
    """Check the settings of all encoders: the last may be hours away."""
    for name, encoder in chosen.encoders.items():
        try:
            check_arguments(encoder.model, encoder.arguments or {})
            check_settings(TrainingSettings, encoder.training, "training")
        except UsageError as error:
            raise UsageError(f"encoders.{name}.{error}")
        chosen.form_of(name)


def _with_valid(data: DataFolder, out: Path, *, overwrite: bool) -> DataFolder:
    """Split a tenth of train off to choose on, where there is no list for that."""
    if data.valid:
        return data
    split(data.train, out / "split", valid=0.1, groups=data.groups, overwrite=overwrite)
    train, valid = (out / "split" / f"{part}-concepts.tsv" for part in ("train", "valid"))
    return replace(data, train=train, valid=valid)


def _prepare(
    chosen: Comparison, data: DataFolder, out: Path, *, overwrite: bool
) -> dict[str, Path]:
    """Prepare the images in every form that an encoder asks for; return each encoder's."""
    paths: dict[str, Path] = {}
    for name in chosen.encoders:
        form = chosen.form_of(name)
        own = "" if form == chosen.images else f"-{form.size}x{form.channels}-{form.fit}"
        path = out / f"images{own}.h5"
        if path not in paths.values():
            prepare(data.images, path, overwrite=overwrite, **form.model_dump())
        paths[name] = path
    return paths


@dataclass(frozen=True)
class _Task:
    """One encoder with one seed, and all of its detectors."""

    chosen: Comparison
    data: DataFolder
    images: Path
    out: Path
    encoder: str
    seed: int
    overwrite: bool

    @property
    def folder(self) -> Path:
        """Where its artefacts go."""
        return self.out / f"seed-{self.seed}" / self.encoder


@warnings_as_lines()  # in a process of its own there is no command around it
def _run(task: _Task) -> list[Result]:
    """Train, extract and detect; what is there already from the same inputs stays."""
    seconds = _train_and_extract(task)
    detectors = task.chosen.detectors_of(task.encoder)
    options = {name: d.options(task.chosen.concepts) for name, d in detectors.items()}
    if task.encoder == next(iter(task.chosen.encoders)):
        # The constant prediction needs no features, so once is enough.
        options = {"constant": {"method": "constant"}} | options
    results = []
    for name, chosen in options.items():
        result = _detect(task, name, chosen, seconds)
        say(f"seed {task.seed}: {result.name}: F1 {result.f1:.4f} on {task.data.scored}")
        results.append(result)
    return results


def _train_and_extract(task: _Task) -> float:
    """Make the encoder and the features of all parts; return the seconds that it took."""
    folder = task.folder
    encoder = task.chosen.encoders[task.encoder]
    settings = encoder.model_dump(exclude_none=True, exclude_unset=True)
    settings["training"] = {**settings.get("training", {}), "seed": task.seed}
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "config.yaml", yaml.safe_dump(settings, sort_keys=False))
    with _timed(folder, "encoder", folder / "encoder/encoder.json") as taken:
        train(
            folder / "config.yaml",
            task.images,
            folder / "encoder",
            ids=task.data.train,
            resume=True,
            overwrite=task.overwrite,
        )
    seconds = taken["encoder"]
    for part, ids in task.data.parts.items():
        features = folder / f"{part}.h5"
        with _timed(folder, part, features) as taken:
            extract(folder / "encoder", task.images, features, ids=ids, overwrite=task.overwrite)
        seconds += taken[part]
    return seconds


def _detect(task: _Task, name: str, options: dict[str, Any], before: float) -> Result:
    """Fit one detector, write its run file and score it."""
    data, folder, edition = task.data, task.folder, task.chosen.edition
    detector = folder / name
    # What a stage prints as its result is a step on the way here.
    with (
        redirect_stdout(sys.stderr),
        _timed(folder, name, detector / "detector.json") as taken,
    ):
        classify(
            folder / "train.h5",
            data.train,
            folder / "valid.h5",
            data.parts["valid"],
            detector,
            edition=edition,
            overwrite=task.overwrite,
            **options,
        )
    for part in set(data.parts) - {"train"}:
        run = folder / f"{name}-{part}.run"
        ids = data.parts[part]
        predict(detector, folder / f"{part}.h5", run, edition=edition, ids=ids, overwrite=True)
    rules = imageclef.edition(edition)
    truth = read_concepts(data.parts[data.scored])
    score = imageclef.evaluate_run(folder / f"{name}-{data.scored}.run", truth, rules)
    fitted = load_detector(detector)
    return Result(
        encoder="none" if name == "constant" else task.encoder,
        detector=name,
        f1=score.f1,
        interval=score.interval,
        rule=fitted.rule.name,
        threshold=fitted.threshold,
        seed=task.seed,
        f1_valid=fitted.validation["f1"],
        concepts=len(fitted.vocabulary),
        seconds=taken[name] + (0 if name == "constant" else before),
        per_image=score.per_image,
    )


@contextmanager
def _timed(folder: Path, step: str, made: Path) -> Iterator[dict[str, float]]:
    """Note in the folder how long a step took; where `made` was there already, it stays noted."""
    path = folder / "seconds.json"
    noted: dict[str, float] = {step: 0.0} | (read_json(path) if path.exists() else {})
    before, start = _stamp(made), time.perf_counter()
    yield noted
    if _stamp(made) != before:
        noted[step] = round(time.perf_counter() - start, 2)
        write_json(path, noted)


def _stamp(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.exists() else None


def _write_tables(results: list[Result], chosen: Comparison, data: DataFolder, out: Path) -> None:
    published = None
    if chosen.published and data.test and len(read_ids(data.test)) == chosen.published.images:
        published = chosen.published.f1
    table = to_markdown(results, part=data.scored, published=published)
    write_text(out / "table.md", table)
    write_text(out / "table.csv", to_csv(results))
    in_paper = to_latex(results, part=data.scored, published=published)
    write_text(out / "table.tex", in_paper)
    write_json(out / "table.json", [result.as_row() for result in results])
    print(table, end="")
    say(f"tables, sheets and run files are in {out}")


def _write_places(chosen: Comparison, data: DataFolder, images: dict[str, Path], out: Path) -> None:
    """Note what the comparison is of and where that lies, for reports; places may go stale."""
    places = {
        "parts": {part: os.path.relpath(path, out) for part, path in data.parts.items()},
        "images": {name: os.path.relpath(path, out) for name, path in images.items()},
    }
    facts = {"edition": chosen.edition, "scored": data.scored, "names": data.names}
    write_json(out / "comparison.json", facts | places)


def _write_sheets(
    results: list[Result], data: DataFolder, images: dict[str, Path], out: Path, *, overwrite: bool
) -> None:
    """Copy the last sheets of the training, and draw queries with what the best encoder finds."""
    for encoder in sorted(out.glob("seed-0/*/encoder")):
        for kind in ("reconstructions", "samples"):
            last = max((encoder / "sheets").glob(f"{kind}-*.png"), default=None)
            if last is not None:
                target = out / f"{encoder.parent.name}-{kind}.png"
                target.write_bytes(last.read_bytes())
    trained = [result for result in results if result.encoder != "none"]
    best = max(trained, key=lambda result: result.f1_valid).encoder
    folder = out / "seed-0" / best
    index(folder / "train.h5", folder / "index", concepts=data.train, overwrite=overwrite)
    _draw_queries(folder, data, images[best], out / "queries.png")


def _draw_queries(folder: Path, data: DataFolder, image_set: Path, path: Path) -> None:
    part = "test" if data.test else "valid"
    queries, searched = Features.load(folder / f"{part}.h5"), load_index(folder / "index")
    ids = queries.ids[:: max(len(queries) // 6, 1)][:6]
    _, rows = searched.search(queries.select(ids), 6)
    truth = read_concepts(data.parts[part]) if data.scored == part else None
    known = dict(zip(truth.ids, truth.concepts, strict=True)) if truth else {}
    known |= dict(zip(searched.ids, searched.concepts.concepts, strict=True))  # type: ignore[union-attr]
    shown = [
        [id_, *(searched.ids[row] for row in found)] for id_, found in zip(ids, rows, strict=True)
    ]
    images = ImageSet.load(image_set)
    pixels = [list(images.select(line).pixels) for line in shown]
    titles = [
        [[data.names.get(c, c) for c in known.get(id_, ())] for id_ in line] for line in shown
    ]
    write_query_sheet(path, pixels, titles)
