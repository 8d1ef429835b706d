"""evaluate: a run file and the true concepts -> its score."""

import json
from pathlib import Path
from typing import Annotated

import typer

from replearn import imageclef
from replearn.concepts.reading import Reading
from replearn.concepts.table import read_with_layout
from replearn.console import say, warn

from .options import ColumnsOption, LayoutOption, SeparatorOption, UncertainOption


def evaluate(
    run_file: Annotated[Path, typer.Argument(metavar="RUN_FILE", help="Run file to score.")],
    truth: Annotated[
        Path, typer.Argument(metavar="TRUTH", help="True concepts, a file of any layout.")
    ],
    edition: Annotated[int, typer.Option(help="Year of ImageCLEF (rules to apply).")] = 2018,
    manual: Annotated[
        Path | None,
        typer.Option(help="Manually checked concepts: adds the secondary score (since 2023)."),
    ] = None,
    layout: LayoutOption = None,
    separator: SeparatorOption = None,
    columns: ColumnsOption = None,
    uncertain: UncertainOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score a run file as the benchmark's evaluator would: mean F1 over images.

    Example: replearn evaluate run.txt test-concepts.tsv --edition 2018
    """
    rules = imageclef.edition(edition)
    if rules.unconfirmed:
        say(f"{edition}: not confirmed is {rules.unconfirmed}")
    reading = Reading.of_options(layout, separator, columns, uncertain)
    score = imageclef.evaluate_run(run_file, truth, rules, manual, reading)
    ids = read_with_layout(truth, reading)[1].ids
    listed = [id_ for id_ in ids if id_ in score.per_image or rules.is_header(id_)]
    report = imageclef.validate_run(run_file, listed, rules)
    for warning in report.warnings:
        warn(f"{run_file}: {warning}")
    if report.errors:
        warn(
            f"{run_file}: the server of {edition} would refuse it before scoring "
            f"(faults: {len(report.errors)}); see: replearn validate"
        )
    if as_json:
        shown = ("edition", "f1", "f1_secondary", "interval", "images")
        print(json.dumps({name: getattr(score, name) for name in shown}))
        return
    low, high = score.interval
    print(f"F1 {score.f1:.6f} (95% interval {low:.4f} to {high:.4f})")
    if score.f1_secondary is not None:
        print(f"secondary F1 {score.f1_secondary:.6f}")
    print(f"edition {edition}, {score.scored} of {score.images} images count")
