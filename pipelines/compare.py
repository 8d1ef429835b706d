"""compare: encoders x detectors on one data folder -> one table.

It runs the other stages, so that every row of the table is made of artefacts that can be looked
at, and a second run does only what is missing.
"""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.classify import classify
from pipelines.extract import extract
from pipelines.index import index
from pipelines.predict import predict
from pipelines.train import train
from replearn.comparison.compare import compare as run_comparison
from replearn.comparison.settings import read_comparison
from replearn.comparison.task import Stages, Task
from replearn.console import say


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
    run_comparison(
        read_comparison(config, settings or ()),
        data,
        out,
        Stages(_train, _extract, _fit, _predict, _index),
        seeds=seeds,
        jobs=jobs,
        overwrite=overwrite,
    )
    print((out / "table.md").read_text(encoding="utf-8"), end="")
    say(f"tables, sheets and run files are in {out}")


def _train(task: Task) -> None:
    train(
        task.folder / "config.yaml",
        task.images,
        task.folder / "encoder",
        ids=task.data.train,
        resume=True,
        overwrite=task.overwrite,
    )


def _extract(task: Task, part: str) -> None:
    extract(
        task.folder / "encoder",
        task.images,
        task.features(part),
        ids=task.data.parts[part],
        overwrite=task.overwrite,
    )


def _fit(task: Task, detector: str, options: dict[str, Any]) -> None:
    # What the stage prints as its result is progress here.
    with redirect_stdout(sys.stderr):
        classify(
            task.features("train"),
            task.data.train,
            task.features("valid"),
            task.data.parts["valid"],
            task.folder / detector,
            edition=task.settings.edition,
            overwrite=task.overwrite,
            **options,
        )


def _predict(task: Task, detector: str, part: str) -> None:
    predict(
        task.folder / detector,
        task.features(part),
        task.run_file(detector, part),
        edition=task.settings.edition,
        ids=task.data.parts[part],
        overwrite=True,
    )


def _index(task: Task) -> None:
    index(
        task.features("train"),
        task.folder / "index",
        concepts=task.data.train,
        overwrite=task.overwrite,
    )
