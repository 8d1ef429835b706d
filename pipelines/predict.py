"""predict: a detector and features -> a run file."""

from pathlib import Path
from typing import Annotated

import typer

from replearn import imageclef
from replearn.artefacts.identity import check_same
from replearn.concepts.table import read_ids
from replearn.console import say, warn
from replearn.detection.detector import load_detector
from replearn.errors import DataError
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
    detector = load_detector(detector_folder)
    features = Features.load(features_path)
    check_same(detector.encoder, features.encoder, f"the encoder of {features_path}")
    everything = features.ids + [id_ for id_, _ in features.errors]
    wanted = read_ids(ids) if ids else everything
    named = dict(
        zip(
            features.ids,
            detector.name_concepts(features.vectors, limit=rules.max_concepts),
            strict=True,
        )
    )
    without = features.missing(wanted)
    if len(without) == len(wanted):
        raise DataError(
            f"{features_path}: has features of none of the {len(wanted)} images of "
            f"{ids or features_path}; give the features of these images"
        )
    if without:
        warn(
            f"{len(without)} of {len(wanted)} images have no features and get the best constant "
            f"prediction: {', '.join(without)}"
        )
    concepts = [named.get(id_, detector.constant) for id_ in wanted]
    for warning in imageclef.write_submission(
        run_file, wanted, concepts, rules, overwrite=overwrite
    ):
        warn(f"{run_file}: {warning}")
    mean = sum(map(len, concepts)) / max(len(concepts), 1)
    say(
        f"{run_file}: {len(wanted):,} images, {mean:.2f} concepts each, valid for {edition}"
        + (f"; {run_file.with_suffix('.zip')} is what to send" if rules.archive else "")
    )
