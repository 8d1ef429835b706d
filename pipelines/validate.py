"""validate: a run file and the list of its images -> what the server would refuse."""

from pathlib import Path
from typing import Annotated

import typer

from replearn import imageclef
from replearn.concepts.id_lists import read_id_list
from replearn.concepts.table import read_ids
from replearn.console import say, warn


def validate(
    run_file: Annotated[
        Path, typer.Argument(metavar="RUN_FILE", help="Run file to check, or its zip.")
    ],
    ids_or_truth: Annotated[
        Path,
        typer.Argument(
            metavar="IDS_OR_TRUTH",
            help="Id list or concept file with the test images, in their order.",
        ),
    ],
    edition: Annotated[int, typer.Option(help="Year of ImageCLEF (rules to apply).")] = 2018,
    vocabulary: Annotated[
        Path | None,
        typer.Option(help="Known concepts, in the first column; others give a warning."),
    ] = None,
) -> int:
    """Check a run file as the benchmark's server would; exit status 1 if it would be refused.

    Example: replearn validate submission.csv test-images.txt --edition 2026
    """
    rules = imageclef.edition(edition)
    if rules.unconfirmed:
        say(f"{edition}: not confirmed is {rules.unconfirmed}")
    words = read_ids(vocabulary) if vocabulary else None
    report = imageclef.validate_run(run_file, read_id_list(ids_or_truth), rules, words)
    for fault in report.errors:
        print(f"{run_file}: {fault}")
    print(f"{run_file}: {_verdict(report, edition)}", flush=True)
    for warning in report.warnings:  # last, so that they are seen
        warn(f"{run_file}: {warning}")
    return 1 if report.errors else 0


def _verdict(report: imageclef.Report, edition: int) -> str:
    if report.errors:
        other = f"; {report.hint}: give --edition" if report.hint else ""
        return f"not valid for {edition}, faults: {len(report.errors)}{other}"
    mean = report.concepts / max(report.images, 1)
    return (
        f"valid for {edition}, {report.images} images, "
        f"{report.concepts} concepts predicted, mean {mean:.2f}"
    )
