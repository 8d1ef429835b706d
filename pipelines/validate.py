"""validate: a run file and the list of its images -> what the server would refuse."""

from pathlib import Path
from typing import Annotated

import typer

from replearn import imageclef
from replearn.artefacts import warn
from replearn.concepts import read_ids


def validate(
    run_file: Annotated[Path, typer.Argument(metavar="RUN_FILE", help="Run file to check.")],
    ids_or_truth: Annotated[
        Path,
        typer.Argument(
            metavar="IDS_OR_TRUTH", help="Id list or concept file with the images, in their order."
        ),
    ],
    edition: Annotated[int, typer.Option(help="Year whose rules hold.")] = 2018,
) -> int:
    """Check a run file as the benchmark's server would; exit status 1 if it would be refused.

    Example: replearn validate submission.csv test-images.txt --edition 2026
    """
    rules = imageclef.edition(edition)
    report = imageclef.validate_run(run_file, read_ids(ids_or_truth), rules)
    for warning in report.warnings:
        warn(f"{run_file}: {warning}")
    for fault in report.errors:
        print(f"{run_file}: {fault}")
    if report.errors:
        print(f"{run_file}: not valid for {edition}, faults: {len(report.errors)}")
        return 1
    mean = report.concepts / report.images
    print(
        f"{run_file}: valid for {edition}, {report.images} images, "
        f"{report.concepts} concepts predicted, mean {mean:.2f}"
    )
    return 0
