"""predict: a detector and features -> a run file."""

from pathlib import Path
from typing import Annotated

import typer

from replearn import imageclef
from replearn.concepts.table import read_ids
from replearn.console import say, warn
from replearn.detection.detector import load_detector
from replearn.detection.prediction import predict_concepts
from replearn.features import Features


def predict(
    detector_folder: Annotated[
        Path, typer.Argument(metavar="DETECTOR", help="Folder of a fitted detector.")
    ],
    features_path: Annotated[
        Path, typer.Argument(metavar="FEATURES", help="Features of the images to describe.")
    ],
    run_file: Annotated[Path, typer.Argument(metavar="RUN_FILE", help="Where the run goes.")],
    edition: Annotated[int, typer.Option(help="Year of ImageCLEF whose format to write.")] = 2018,
    ids: Annotated[
        Path | None,
        typer.Option(help="Write exactly the ids in the first column of this file, in its order."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another run.")] = False,
) -> None:
    """Write a run file: the concepts that a detector finds; beside it the zip, if one is wanted.

    Example: replearn predict runs/linear test.h5 run.csv --ids test-images.txt
    """
    rules = imageclef.edition(edition)
    features = Features.load(features_path)
    wanted = read_ids(ids) if ids else features.ids + [id_ for id_, _ in features.errors]
    concepts = predict_concepts(
        load_detector(detector_folder),
        features,
        wanted,
        limit=rules.max_concepts,
        place=features_path,
        listed=ids or features_path,
    )
    for warning in imageclef.write_submission(
        run_file, wanted, concepts, rules, overwrite=overwrite
    ):
        warn(f"{run_file}: {warning}")
    mean = sum(map(len, concepts)) / max(len(concepts), 1)
    say(
        f"{run_file}: {len(wanted):,} images, {mean:.2f} concepts each, valid for {edition}"
        + (f"; {run_file.with_suffix('.zip')} is what to send" if rules.archive else "")
    )
