"""classify: features with concepts -> a detector."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from replearn.concepts.reading import Reading
from replearn.concepts.table import read_labels, read_names
from replearn.detection.decisions.rules import RuleName
from replearn.detection.detector import Detector
from replearn.detection.fit_detector import make_detector
from replearn.detection.settings import DetectorSettings, Method, Penalty, Resources, Scoring
from replearn.detection.task import load_task
from replearn.detection.voting import Kind
from replearn.detection.zero_shot import PROMPTS, ConceptTexts, prompt_vectors
from replearn.errors import UsageError
from replearn.imageclef import edition as edition_of
from replearn.neighbors.engine import Metric

from .options import ColumnsOption, LayoutOption, SeparatorOption, UncertainOption


def classify(
    train: Annotated[
        Path, typer.Argument(metavar="TRAIN.h5", help="Features of the training images.")
    ],
    train_concepts: Annotated[
        Path, typer.Argument(metavar="TRAIN_CONCEPTS", help="Their concepts, any layout.")
    ],
    valid: Annotated[
        Path, typer.Argument(metavar="VALID.h5", help="Features of the validation images.")
    ],
    valid_concepts: Annotated[
        Path, typer.Argument(metavar="VALID_CONCEPTS", help="Their concepts, any layout.")
    ],
    folder: Annotated[
        Path, typer.Argument(metavar="DETECTOR", help="Folder to write the detector to.")
    ],
    method: Annotated[
        Method,
        typer.Option(
            help="Regression, nearest neighbours, both, the same for all, or by names alone."
        ),
    ] = "linear",
    concepts: Annotated[
        int,
        typer.Option(
            min=1, help="linear, fused: concepts that have a regression, the most frequent."
        ),
    ] = 500,
    penalty: Annotated[
        Penalty,
        typer.Option(
            help="linear, fused: penalise squared weights (l2), absolute ones (l1), or both."
        ),
    ] = "l2",
    refit: Annotated[
        bool, typer.Option("--refit", help="linear: fit again at the end, on VALID too.")
    ] = False,
    jobs: Annotated[
        int, typer.Option(min=1, help="linear, fused: processes, each for some of the concepts.")
    ] = 1,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="linear, fused: run the jobs on ray, or ray://host:port."
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="linear, fused: device of torch, such as cuda.")
    ] = None,
    vote: Annotated[
        Literal["auto", Kind],
        typer.Option(help="knn: weights of neighbours; union predicts all their concepts."),
    ] = "auto",
    neighbours: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="knn: number of neighbours; default: the best on VALID. 1 copies the nearest.",
        ),
    ] = None,
    metric: Annotated[Metric, typer.Option(help="knn: the distance.")] = "cosine",
    index_folder: Annotated[
        Path | None,
        typer.Option("--index", help="knn: an index of TRAIN.h5; without one, exact search."),
    ] = None,
    encoder: Annotated[
        Path | None, typer.Option(help="zero-shot: the encoder, which has a text tower.")
    ] = None,
    names: Annotated[
        Path | None, typer.Option(help="zero-shot: lines of `concept TAB name`.")
    ] = None,
    prompts: Annotated[
        list[str] | None,
        typer.Option("--prompt", help="zero-shot: what a name {} is put into; may be repeated."),
    ] = None,
    groups: Annotated[
        Path | None,
        typer.Option(help="Lines of `id TAB group` (patient): no image votes for its own group."),
    ] = None,
    rule: Annotated[
        Literal["auto", RuleName],
        typer.Option(help="Rule from scores to concepts; auto: the best rule on VALID."),
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
    """Fit a detector of concepts on features; settings and decision rule are chosen on VALID.

    Prints the score of each rule on images of VALID that it was not fitted on.

    Example: replearn classify train.h5 train.tsv valid.h5 valid.tsv runs/linear
    """
    rules = edition_of(edition)
    if refit and method != "linear":
        raise UsageError(f"--refit: only for --method linear, not {method}")
    settings = DetectorSettings(
        method=method,
        concepts=concepts,
        penalty=penalty,
        refit=refit,
        vote=vote,
        neighbours=neighbours,
        metric=metric,
        rule=rule,
    )
    resources = Resources(jobs, cluster, device)
    scoring = Scoring(rules.empty, rules.max_concepts)
    reading = Reading.of_options(layout, separator, columns, uncertain)
    task = load_task(
        (train, train_concepts),
        (valid, valid_concepts),
        scoring,
        groups=groups,
        read=partial(read_labels, reading=reading),
    )
    task.check_concepts(str(valid_concepts), str(train_concepts))
    if method == "zero-shot":
        task = replace(task, texts=_texts(encoder, names, prompts))
    detector = make_detector(
        folder,
        task,
        settings,
        index=index_folder,
        resources=resources,
        overwrite=overwrite,
        inputs=[train, train_concepts, valid, valid_concepts, groups, names, encoder],
    )
    if detector is not None:
        _print_rules(detector)


def _texts(
    encoder_folder: Path | None, names: Path | None, prompts: list[str] | None
) -> ConceptTexts:
    """Return what an encoder makes of the names of concepts."""
    if encoder_folder is None or names is None:
        raise UsageError("--method zero-shot: give --encoder, with a text tower, and --names")
    from replearn.encoders.encoder import load_encoder  # torch, which the other methods need not

    encoder = load_encoder(encoder_folder)
    made_by = encoder.description.identity
    return prompt_vectors(
        encoder.embed_text, read_names(names), prompts or PROMPTS, encoder=made_by
    )


def _print_rules(detector: Detector) -> None:
    print("| rule | mean F1 on validation, held out | 95 % interval |\n|---|---|---|")
    for tried in detector.comparison:
        low, high = tried["interval"]
        f1 = f"{tried['f1']:.4f}"
        shown = f"**{f1}**" if tried["rule"] == detector.rule.name else f1
        print(f"| {tried['rule']} | {shown} | {low:.4f} to {high:.4f} |")
