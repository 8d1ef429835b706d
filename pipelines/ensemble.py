"""ensemble: score files of several detectors -> one detector."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from replearn.concepts.reading import Reading
from replearn.concepts.table import read_labels
from replearn.console import say
from replearn.detection.decisions.rules import RuleName
from replearn.detection.ensembles.combination import Kind
from replearn.detection.ensembles.fit_ensemble import (
    EnsembleSettings,
    FittedEnsemble,
    make_ensemble,
)
from replearn.detection.settings import Scoring
from replearn.imageclef import edition as edition_of

from .options import ColumnsOption, LayoutOption, SeparatorOption, UncertainOption


def ensemble(
    folder: Annotated[
        Path, typer.Argument(metavar="DETECTOR", help="Folder to write the detector to.")
    ],
    valid_concepts: Annotated[
        Path, typer.Argument(metavar="VALID_CONCEPTS", help="True concepts, any layout.")
    ],
    valid: Annotated[
        list[Path],
        typer.Option(
            metavar="SCORES.h5",
            help="Scores of these images by one member, from `predict --scores`; give two or more.",
        ),
    ],
    weights: Annotated[
        Literal["auto", Kind],
        typer.Option(help="Mean of the members, fitted weights of their logits, or the better."),
    ] = "auto",
    rule: Annotated[
        Literal["auto", RuleName],
        typer.Option(help="Rule from scores to concepts; auto: the best rule."),
    ] = "auto",
    edition: Annotated[int, typer.Option(help="Year of ImageCLEF (score to maximise).")] = 2018,
    layout: LayoutOption = None,
    separator: SeparatorOption = None,
    columns: ColumnsOption = None,
    uncertain: UncertainOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Fit anew, and replace another detector.")
    ] = False,
) -> None:
    """Fit a detector that combines others, on images that none of them learned from.

    Prints the score of each member and of the ensemble, each with its best rule, on images that
    weights and rule were not fitted on, and whether the ensemble helps.

    Example: replearn ensemble runs/both valid.tsv --valid a.h5 --valid b.h5
    """
    rules = edition_of(edition)
    reading = Reading.of_options(layout, separator, columns, uncertain)
    fitted = make_ensemble(
        folder,
        valid,
        (valid_concepts, read_labels(valid_concepts, reading)),
        EnsembleSettings(weights=weights, rule=rule),
        scoring=Scoring(rules.empty, rules.max_concepts),
        overwrite=overwrite,
    )
    if fitted is not None:
        _print_candidates(fitted)
        say(f"{folder}: {fitted.verdict()}")


def _print_candidates(fitted: FittedEnsemble) -> None:
    print("| | rule | mean F1 on validation, held out | 95 % interval |\n|---|---|---|---|")
    for tried in (*fitted.members, *fitted.combined):
        low, high = tried.best.interval
        f1 = f"{tried.best.f1:.4f}"
        shown = f"**{f1}**" if tried is fitted.chosen else f1
        print(f"| {tried.name} | {tried.best.rule} | {shown} | {low:.4f} to {high:.4f} |")
