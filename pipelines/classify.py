"""classify: features with concepts -> a detector."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from replearn.artefacts import (
    already_made,
    check_same,
    identify,
    identity_in,
    publish,
    say,
    warn,
    workspace,
)
from replearn.concepts import read_concepts
from replearn.detectors import (
    Detector,
    Labelled,
    Tuning,
    fit_constant,
    fit_linear,
    fit_neighbours,
    refit_linear,
    save_detector,
    tune,
)
from replearn.errors import DataError, UsageError
from replearn.features import Features
from replearn.imageclef import edition as edition_of
from replearn.logistic import MultiLabelLogisticRegression
from replearn.neighbors import build_index


def classify(
    train: Annotated[Path, typer.Argument(metavar="TRAIN.h5", help="Features to learn from.")],
    train_concepts: Annotated[
        Path, typer.Argument(metavar="TRAIN_CONCEPTS", help="Their concepts, any layout.")
    ],
    valid: Annotated[Path, typer.Argument(metavar="VALID.h5", help="Features to choose on.")],
    valid_concepts: Annotated[
        Path, typer.Argument(metavar="VALID_CONCEPTS", help="Their concepts, any layout.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="DETECTOR", help="Where the detector goes.")],
    method: Annotated[
        Literal["linear", "knn", "constant"],
        typer.Option(help="Logistic regression, nearest neighbours, or the same for every image."),
    ] = "linear",
    concepts: Annotated[
        int, typer.Option(help="linear: how many of the most frequent concepts.")
    ] = 500,
    penalty: Annotated[
        Literal["l2", "l1", "elasticnet"],
        typer.Option(help="linear: on the squares of the weights, their sizes, or both."),
    ] = "l2",
    refit: Annotated[
        bool, typer.Option("--refit", help="linear: in the end learn from VALID too.")
    ] = False,
    jobs: Annotated[
        int, typer.Option(min=1, help="linear: processes that share the concepts.")
    ] = 1,
    device: Annotated[
        str | None, typer.Option(help="linear: where torch computes, as cuda.")
    ] = None,
    vote: Annotated[
        Literal["similarity", "union"],
        typer.Option(help="knn: neighbours vote by similarity, or all they show is named."),
    ] = "similarity",
    metric: Annotated[
        Literal["cosine", "l2"], typer.Option(help="knn: what near means.")
    ] = "cosine",
    rule: Annotated[
        Literal["auto", "threshold", "per-group", "top-k", "per-label", "expected-f1"],
        typer.Option(help="What decides which concepts are named; auto: the best on VALID."),
    ] = "auto",
    edition: Annotated[int, typer.Option(help="Whose score to decide for.")] = 2018,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another one.")] = False,
) -> None:
    """Fit a detector of concepts on features; settings and decision rule are chosen on VALID.

    Prints what each rule reaches on images of VALID that it was not fitted on.

    Example: replearn classify train.h5 train.tsv valid.h5 valid.tsv runs/linear
    """
    rules = edition_of(edition)
    if concepts < 1:
        raise UsageError(f"--concepts {concepts}: at least 1")
    if refit and method != "linear":
        raise UsageError(f"--refit: only for --method linear, not {method}")
    learn, learn_features = _labelled(train, train_concepts)
    choose, choose_features = _labelled(valid, valid_concepts)
    _check_together(train, learn_features, valid, choose_features)
    tuning = Tuning(learn, choose, rules.empty, rules.max_concepts)
    options = {
        "linear": {"concepts": concepts, "penalty": penalty, "refit": refit},
        "knn": {"vote": vote, "metric": metric},
        "constant": {},
    }[method]
    identity = identify(
        "detector",
        method=method,
        options=options,
        rule=rule,
        train=[learn_features.identity, learn.concepts.digest],
        valid=[choose_features.identity, choose.concepts.digest],
        empty=rules.empty,
        limit=rules.max_concepts,
    )
    with workspace(folder) as work:
        existing = identity_in(folder / "detector.json")
        if already_made(folder, existing, identity, overwrite=overwrite):
            return
        regression = MultiLabelLogisticRegression(penalty=penalty, n_jobs=jobs, device=device)
        if method == "linear":
            scorer, words = fit_linear(tuning, top=concepts, model=regression)
        elif method == "knn":
            index = build_index(
                learn.concepts.ids,
                learn.vectors,
                metric=metric,
                encoder=learn_features.encoder,
                identity=learn_features.identity,
                concepts=learn.concepts,
            )
            scorer, words = fit_neighbours(tuning, index, vote=vote)
        else:
            scorer, words = fit_constant(tuning)
        detector = tune(
            scorer,
            words,
            tuning,
            encoder=learn_features.encoder,
            identity=identity,
            rule=None if rule == "auto" else rule,
        )
        if refit:
            detector = refit_linear(detector, tuning, regression)
        made = work / "detector"
        made.mkdir()
        save_detector(made, detector)
        publish(made, folder)
    _report(folder, detector)


def _labelled(path: Path, concepts_path: Path) -> tuple[Labelled, Features]:
    """Bring features and concepts together by id, and tell what has no counterpart."""
    features, table = Features.load(path), read_concepts(concepts_path)
    known = set(features.ids)
    ids = [id_ for id_ in table.ids if id_ in known]
    if not ids:
        raise DataError(
            f"{concepts_path}: none of its {len(table)} ids has features in {path} "
            f"({table.ids[0]!r} there, {features.ids[0]!r} here)"
        )
    if len(ids) < len(table):
        missing = features.missing(table.ids)
        warn(
            f"{concepts_path}: {len(missing)} of {len(table)} images have no features in {path} "
            f"and are not used ({', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''})"
        )
    if len(ids) < len(features):
        warn(
            f"{path}: {len(features) - len(ids)} of {len(features)} images have no line in "
            f"{concepts_path} and are not used"
        )
    return Labelled(features.select(ids), table.select(ids)), features


def _check_together(train: Path, learn: Features, valid: Path, choose: Features) -> None:
    check_same(learn.encoder, choose.encoder, f"the encoder of {valid} and of {train}")
    if learn.vectors.shape[1] != choose.vectors.shape[1]:
        raise DataError(
            f"{valid}: features of width {choose.vectors.shape[1]}, those of {train} have "
            f"{learn.vectors.shape[1]}; extract both with the same encoder"
        )


def _report(folder: Path, detector: Detector) -> None:
    print("| rule | mean F1 on validation, held out | 95 % interval |\n|---|---|---|")
    for tried in detector.comparison:
        low, high = tried["interval"]
        f1 = f"{tried['f1']:.4f}"
        shown = f"**{f1}**" if tried["rule"] == detector.rule.name else f1
        print(f"| {tried['rule']} | {shown} | {low:.4f} to {high:.4f} |")
    say(
        f"{folder}: {detector.scorer.kind}, {len(detector.vocabulary)} concepts, "
        f"decided by {detector.rule.name}"
    )
