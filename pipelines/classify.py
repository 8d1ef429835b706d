"""classify: features with concepts -> a detector."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from replearn.artefacts.files import identity_in, publish
from replearn.artefacts.identity import already_made, check_same, digest, identify
from replearn.artefacts.workers import joblib_on
from replearn.artefacts.workspace import workspace
from replearn.concepts.table import read_concepts, read_names
from replearn.console import say, warn
from replearn.detection.detector import Detector, save_detector
from replearn.detection.fit_detector import fit_rule, refit_linear
from replearn.detection.fit_scorers import (
    KS,
    FittedScorer,
    fit_constant,
    fit_fused,
    fit_linear,
    fit_neighbours,
)
from replearn.detection.logistic.regression import MultiLabelLogisticRegression
from replearn.detection.scorers import FusedScorer, LinearScorer, NeighbourScorer, Scorer
from replearn.detection.task import DetectionTask, LabelledFeatures
from replearn.detection.voting import Kind
from replearn.errors import DataError, UsageError, some_of
from replearn.features import Features
from replearn.imageclef import edition as edition_of
from replearn.neighbors.build_index import index_vectors
from replearn.neighbors.engine import Metric
from replearn.neighbors.index import Index
from replearn.neighbors.storage import load_index


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
        Literal["linear", "knn", "fused", "constant"],
        typer.Option(
            help="Logistic regression, nearest neighbours, both, or the same for every image."
        ),
    ] = "linear",
    concepts: Annotated[
        int, typer.Option(help="linear, fused: how many of the most frequent concepts.")
    ] = 500,
    penalty: Annotated[
        Literal["l2", "l1", "elasticnet"],
        typer.Option(help="linear, fused: on the squares of the weights, their sizes, or both."),
    ] = "l2",
    refit: Annotated[
        bool, typer.Option("--refit", help="linear: in the end learn from VALID too.")
    ] = False,
    jobs: Annotated[
        int, typer.Option(min=1, help="linear, fused: processes that share the concepts.")
    ] = 1,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="linear, fused: they are on ray, or ray://host:port."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="linear, fused: where torch computes, as cuda.")
    ] = None,
    vote: Annotated[
        Literal["auto", "union", "uniform", "rank", "similarity", "softmax", "gaussian"],
        typer.Option(help="knn: how neighbours weigh; union: all they show is named."),
    ] = "auto",
    neighbours: Annotated[
        int | None,
        typer.Option(min=1, help="knn: so many; else the best on VALID. One copies the nearest."),
    ] = None,
    metric: Annotated[
        Literal["cosine", "l2"], typer.Option(help="knn: what near means.")
    ] = "cosine",
    index_folder: Annotated[
        Path | None,
        typer.Option("--index", help="knn: an index of TRAIN.h5; without one, exact search."),
    ] = None,
    groups: Annotated[
        Path | None,
        typer.Option(help="Group (patient) of each id; no image speaks for its own group."),
    ] = None,
    rule: Annotated[
        Literal["auto", "threshold", "per-group", "top-k", "per-label", "expected-f1"],
        typer.Option(help="What decides which concepts are named; auto: the best on VALID."),
    ] = "auto",
    edition: Annotated[
        int, typer.Option(help="Year of ImageCLEF whose score to decide for.")
    ] = 2018,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another one.")] = False,
) -> None:
    """Fit a detector of concepts on features; settings and decision rule are chosen on VALID.

    Prints what each rule reaches on images of VALID that it was not fitted on.

    Example: replearn classify train.h5 train.tsv valid.h5 valid.tsv runs/linear
    """
    rules = edition_of(edition)
    _check_options(method, concepts, refit)
    if cluster and device:
        raise UsageError(f"--device {device}: with --cluster its processors compute; leave one out")
    learn, learn_features = _labelled(train, train_concepts)
    choose, choose_features = _labelled(valid, valid_concepts)
    _check_together(train, learn_features, valid, choose_features)
    together = _groups(groups, learn, choose) if groups else None
    task = DetectionTask(learn, choose, rules.empty, rules.max_concepts, together)
    index = _index(index_folder, learn, learn_features, metric) if _searches(method) else None
    options = _of_regression(method, concepts, penalty, refit)
    options |= _of_neighbours(index, index_folder, vote, neighbours)
    options |= {"groups": digest(*map(str, together.items()))} if together else {}
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
        regression = MultiLabelLogisticRegression(penalty=penalty, device=device)
        with joblib_on(cluster, jobs):
            detector = fit_rule(
                _fit(method, task, index, concepts, regression, vote, neighbours),
                task,
                encoder=learn_features.encoder,
                identity=identity,
                rule=None if rule == "auto" else rule,
            )
            if refit:
                detector = refit_linear(detector, task, regression)
        made = work / "detector"
        made.mkdir()
        save_detector(made, detector)
        publish(made, folder)
    _report(folder, detector)


def _check_options(method: str, concepts: int, refit: bool) -> None:
    if concepts < 1:
        raise UsageError(f"--concepts {concepts}: at least 1")
    if refit and method != "linear":
        raise UsageError(f"--refit: only for --method linear, not {method}")


def _searches(method: str) -> bool:
    return method in ("knn", "fused")


def _of_regression(method: str, concepts: int, penalty: str, refit: bool) -> dict[str, object]:
    """Return the options that determine a regression; none for a method without one."""
    if method not in ("linear", "fused"):
        return {}
    options: dict[str, object] = {"concepts": concepts, "penalty": penalty}
    return options | ({"refit": refit} if method == "linear" else {})


def _of_neighbours(
    index: Index | None, given: Path | None, vote: str, number: int | None
) -> dict[str, object]:
    """Return the options that determine a vote; none for a method without one."""
    if index is None:
        return {}
    options: dict[str, object] = {"vote": vote, "metric": index.metric}
    # What was not given leaves the identity as it was.
    options |= {"index": index.identity} if given else {}
    return options | ({"neighbours": number} if number else {})


def _index(
    folder: Path | None, learn: LabelledFeatures, features: Features, metric: Metric
) -> Index:
    """Return an index of the training images: the given one if it is of these, or an exact one."""
    if folder is not None:
        index = load_index(folder)
        index.check_made_of(learn.concepts.ids, features.identity, f"--index {folder}")
        return index.with_concepts(learn.concepts.select(index.ids))
    index = index_vectors(learn.concepts.ids, learn.vectors, concepts=learn.concepts, metric=metric)
    return replace(
        index,
        encoder=features.encoder,
        identity=features.identity,
        history=(features.identity,),
    )


def _fit(
    method: str,
    task: DetectionTask,
    index: Index | None,
    concepts: int,
    regression: MultiLabelLogisticRegression,
    vote: Kind | Literal["auto"],
    number: int | None,
) -> FittedScorer:
    def linear() -> FittedScorer:
        return fit_linear(task, top=concepts, model=regression)

    if index is None:
        return fit_constant(task) if method == "constant" else linear()
    ks = (number,) if number else KS
    neighbours = fit_neighbours(task, index, vote=vote, ks=ks)
    if method == "knn":
        return neighbours
    return fit_fused(task, linear(), neighbours)


def _groups(path: Path, learn: LabelledFeatures, choose: LabelledFeatures) -> dict[str, str]:
    """Return the group of each id; without any of these images' the list is another one's."""
    groups = read_names(path)
    ids = {*learn.concepts.ids, *choose.concepts.ids}
    without = sorted(ids - groups.keys())
    if len(without) == len(ids):
        raise DataError(
            f"{path}: has a group for none of the {len(ids)} images, such as {without[0]!r}; "
            "write the ids as in the concept files"
        )
    if without:
        warn(
            f"{path}: {len(without)} of {len(ids)} images have no group and are one each "
            f"({some_of(without)})"
        )
    return groups


def _labelled(path: Path, concepts_path: Path) -> tuple[LabelledFeatures, Features]:
    """Bring features and concepts together by id, and tell what has no counterpart."""
    features, table = Features.load(path), read_concepts(concepts_path)
    known = set(features.ids)
    ids = [id_ for id_ in table.ids if id_ in known]
    if not known:
        raise DataError(f"{path}: has no images; extract features again")
    if not ids:
        raise DataError(
            f"{concepts_path}: none of its {len(table)} ids has features in {path} "
            f"({table.ids[0]!r} there, {features.ids[0]!r} here)"
        )
    if len(ids) < len(table):
        missing = features.missing(table.ids)
        warn(
            f"{concepts_path}: {len(missing)} of {len(table)} images have no features in {path} "
            f"and are not used ({some_of(missing)})"
        )
    if len(ids) < len(features):
        warn(
            f"{path}: {len(features) - len(ids)} of {len(features)} images have no line in "
            f"{concepts_path} and are not used"
        )
    return LabelledFeatures(features.select(ids), table.select(ids)), features


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
        f"{folder}: {_told(detector.scorer)}, {len(detector.vocabulary)} concepts, "
        f"decided by {detector.rule.name}"
    )


def _told(scorer: Scorer) -> str:
    """Return what was chosen."""
    if isinstance(scorer, LinearScorer):
        return f"linear, C {scorer.C:g}"
    if isinstance(scorer, NeighbourScorer):
        vote = scorer.vote
        return f"knn, {vote.kind} {vote.parameter:.3g} of {vote.k}, smoothed by {vote.smoothing:g}"
    if isinstance(scorer, FusedScorer):
        fusion = scorer.fusion
        parts = f"{fusion.linear:.2f} x ({_told(scorer.linear)})"
        return f"{parts} + {fusion.neighbours:.2f} x ({_told(scorer.neighbours)})"
    return scorer.kind
