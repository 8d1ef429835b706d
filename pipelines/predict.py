"""predict: a detector and features -> a run file, and probabilities if they are wanted."""

from pathlib import Path
from typing import Annotated

import typer

from replearn.detection.prediction import predict_run


def predict(
    detector_folder: Annotated[
        Path, typer.Argument(metavar="DETECTOR", help="Folder of a fitted detector.")
    ],
    features: Annotated[
        list[Path],
        typer.Argument(
            metavar="FEATURES...",
            help="Features of the images to predict; for an ensemble, its members' scores.",
        ),
    ],
    run_file: Annotated[Path, typer.Argument(metavar="RUN_FILE", help="Run file to write.")],
    edition: Annotated[int, typer.Option(help="Year of ImageCLEF (format to write).")] = 2018,
    ids: Annotated[
        Path | None,
        typer.Option(help="Write exactly the ids in the first column of this file, in its order."),
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.h5", help="Also write the probability of each concept, for `ensemble`."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace old files.")] = False,
) -> None:
    """Write a run file of predicted concepts, and a zip if the edition wants one.

    Example: replearn predict runs/linear test.h5 run.csv --ids test-images.txt
    """
    predict_run(
        detector_folder,
        features,
        run_file,
        edition=edition,
        ids=ids,
        scores=scores,
        overwrite=overwrite,
    )
