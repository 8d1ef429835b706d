"""Fit detectors: a scorer with the decision rule that does best on the validation images."""

import logging
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy import sparse
from sklearn.base import clone

from replearn.artefacts.identity import digest, identify
from replearn.artefacts.workers import joblib_on
from replearn.artefacts.workspace import creating
from replearn.concepts.table import ConceptTable
from replearn.concepts.vocabulary import multi_hot
from replearn.detection.decisions.probabilities import Probabilities
from replearn.detection.decisions.rules import RuleName, choose_rule, compare_rules, rules_for
from replearn.detection.detector import DETECTOR, Detector, save_detector
from replearn.detection.fit_scorers import (
    KS,
    FittedScorer,
    fit_constant,
    fit_fused,
    fit_linear,
    fit_neighbours,
    fit_texts,
)
from replearn.detection.logistic.regression import MultiLabelLogisticRegression
from replearn.detection.logistic.standardised_rows import check_finite
from replearn.detection.scorers import ConstantScorer, LinearScorer, Scorer
from replearn.detection.settings import DetectorSettings, Resources, Scoring
from replearn.detection.task import DetectionTask, LabelledFeatures
from replearn.detection.zero_shot import ConceptTexts
from replearn.features import Features
from replearn.neighbors.build_index import build_index
from replearn.neighbors.index import Index
from replearn.neighbors.storage import load_index
from replearn.settings import check_settings

_logger = logging.getLogger(__name__)


def fit_detector(
    train: tuple[Features, ConceptTable],
    valid: tuple[Features, ConceptTable],
    settings: DetectorSettings | None = None,
    *,
    scoring: Scoring | None = None,
    groups: Mapping[str, str] | None = None,
    index: Index | None = None,
    resources: Resources | None = None,
    **options: Any,
) -> Detector:
    """Return a detector that learned from `train`; settings and rule are chosen on `valid`.

    Args:
        train: features, with vectors [N, D], and concepts, joined by id: features may be of more
            images.
        valid: the same of other images.
        settings: which detector; a linear one by default.
        scoring: how predictions are scored; by default as in the editions to 2020, without a limit.
        groups: the group (patient, study) of each id; no image is scored by its own group.
        index: of the training features; without one, neighbours are searched exactly.
        resources: where a regression is fitted; by default as joblib is configured.
        **options: fields of DetectorSettings that replace those of `settings`.

    Raises:
        DataError: what is given does not belong together, or cannot be learned from, as where no
            validation concept is among those of the training images.
        UsageError: a setting is not known or does not fit.

    Example:
        >>> detector = replearn.fit_detector(
        ...     (features, concepts), (features, chosen_on), method="fused"
        ... )
        >>> detector.concepts(features.select(chosen_on.ids))[0][:1]  # doctest: +ELLIPSIS
        ['...']
    """
    given = settings.model_dump(exclude_unset=True) if settings else {}
    settings = check_settings(DetectorSettings, given | options, "")
    task = _task(train, valid, scoring or Scoring(), groups)
    if index is not None:
        index.check_made_of(task.train.concepts.ids, task.train.identity, "index")
    return _fit(task, settings, index, resources, _identify(task, settings, index))


def fit_zero_shot(
    texts: ConceptTexts,
    train: tuple[Features, ConceptTable],
    valid: tuple[Features, ConceptTable],
    *,
    scoring: Scoring | None = None,
    rule: Literal["auto", RuleName] = "auto",
) -> Detector:
    """Return a detector from the names of concepts, its rule chosen on `valid`.

    Args:
        texts: of the concepts, see `prompt_vectors`.
        train: features [N, D] of the encoder of the texts, whose labels say only which concepts
            there are.
        valid: the same of other images.
        scoring: how predictions are scored.
        rule: what decides which concepts are named.

    Raises:
        DataError: as `fit_detector`, or no concept has a text.

    Example:
        >>> texts = replearn.prompt_vectors(
        ...     lambda texts: features.vectors[: len(texts)],  # as encoder.embed_text
        ...     {concept: concept for concept in sorted({*concepts.concepts[0]})},
        ... )
        >>> pair = (features, concepts)
        >>> replearn.fit_zero_shot(texts, pair, (features, chosen_on)).scorer.kind
        'zero-shot'
    """
    settings = DetectorSettings(method="zero-shot", rule=rule)
    task = replace(_task(train, valid, scoring or Scoring(), None), texts=texts)
    return _fit(task, settings, None, None, _identify(task, settings, None))


def _task(
    train: tuple[Features, ConceptTable],
    valid: tuple[Features, ConceptTable],
    scoring: Scoring,
    groups: Mapping[str, str] | None,
) -> DetectionTask:
    """Return the task of these images, checked."""
    task = DetectionTask(
        LabelledFeatures.join(*train, "the training features", "the training concepts"),
        LabelledFeatures.join(*valid, "the validation features", "the validation concepts"),
        scoring.empty,
        scoring.limit,
    )
    task.check_features()
    check_finite(task.valid.vectors, task.valid.name)
    if groups is not None:
        task = task.with_groups(groups, "groups")
    task.check_concepts("the validation concepts", "the training concepts")
    return task


def make_detector(
    out: Path,
    task: DetectionTask,
    settings: DetectorSettings,
    *,
    index: Path | None = None,
    resources: Resources | None = None,
    overwrite: bool = False,
    inputs: Iterable[Path | None] = (),
) -> Detector | None:
    """Fit a detector into the folder `out`; return it, or None if the same one lies there.

    Args:
        out: where the detector goes.
        task: the images to learn from and to choose on, see `load_task`.
        settings: which detector.
        index: folder of an index of the training features, for methods that search neighbours.
        resources: where a regression is fitted; by default as joblib is configured.
        overwrite: make it in any case, and replace another detector.
        inputs: files that the task is read from, which are never replaced.

    Raises:
        DataError: something else lies at `out`, or what is given does not belong together.
    """
    searched = _load_index(index, task) if index and settings.uses_neighbours else None
    identity = _identify(task, settings, searched)
    read = [index, *inputs]
    with creating(out, identity, DETECTOR, overwrite=overwrite, inputs=read) as folder:
        if folder is None:
            return None
        detector = _fit(task, settings, searched, resources, identity)
        save_detector(folder, detector)
    count, rule = len(detector.vocabulary), detector.rule.name
    left_out = task.train.left_out + task.valid.left_out
    rest = f", {left_out:,} images without features left out" if left_out else ""
    _logger.info(f"{out}: {detector.scorer}, {count} concepts, decided by {rule}{rest}")
    return detector


def _load_index(folder: Path, task: DetectionTask) -> Index:
    index = load_index(folder)
    index.check_made_of(task.train.concepts.ids, task.train.identity, f"--index {folder}")
    return index


def _identify(task: DetectionTask, settings: DetectorSettings, index: Index | None) -> str:
    options = _options(settings, index)
    if settings.method == "zero-shot" and task.texts:
        options["texts"] = task.texts.digest
    if task.groups:
        options["groups"] = digest(*map(str, task.groups.items()))
    return identify(
        "detector",
        method=settings.method,
        options=options,
        rule=settings.rule,
        train=[task.train.identity, task.train.concepts.digest],
        valid=[task.valid.identity, task.valid.concepts.digest],
        empty=task.empty,
        limit=task.limit,
    )


def _options(settings: DetectorSettings, index: Index | None) -> dict[str, object]:
    """Return the settings that the method uses; one that was not given is left out."""
    options: dict[str, object] = {}
    if settings.uses_regression:
        options |= {"concepts": settings.concepts, "penalty": settings.penalty}
    if settings.method == "linear":
        options["refit"] = settings.refit
    if settings.uses_neighbours:
        options |= {"vote": settings.vote, "metric": index.metric if index else settings.metric}
        options |= {"index": index.identity} if index else {}
        options |= {"neighbours": settings.neighbours} if settings.neighbours else {}
    return options


def _fit(
    task: DetectionTask,
    settings: DetectorSettings,
    index: Index | None,
    resources: Resources | None,
    identity: str,
) -> Detector:
    device = resources.device if resources else None
    model = MultiLabelLogisticRegression(penalty=settings.penalty, device=device)
    with joblib_on(resources.cluster, resources.jobs) if resources else nullcontext():
        detector = fit_rule(
            _fit_scorer(task, settings, index, model),
            task,
            encoder=task.train.encoder,
            identity=identity,
            rule=None if settings.rule == "auto" else settings.rule,
        )
        return refit_linear(detector, task, model) if settings.refit else detector


def _fit_scorer(
    task: DetectionTask,
    settings: DetectorSettings,
    index: Index | None,
    model: MultiLabelLogisticRegression,
) -> FittedScorer:
    if settings.method == "constant":
        return fit_constant(task)
    if settings.method == "zero-shot":
        return fit_texts(task)
    if settings.method == "linear":
        return fit_linear(task, top=settings.concepts, model=model)
    ks = (settings.neighbours,) if settings.neighbours else KS
    searched = _index_with_concepts(task, settings, index)
    neighbours = fit_neighbours(task, searched, vote=settings.vote, ks=ks)
    if settings.method == "knn":
        return neighbours
    return fit_fused(task, fit_linear(task, top=settings.concepts, model=model), neighbours)


def _index_with_concepts(
    task: DetectionTask, settings: DetectorSettings, index: Index | None
) -> Index:
    """Return the given index of the training images, or an exact one, with their concepts."""
    train = task.train
    if index is not None:
        return index.with_concepts(train.concepts.select(index.ids))
    features = Features(train.concepts.ids, train.vectors, train.identity, encoder=train.encoder)
    return build_index(features, concepts=train.concepts, metric=settings.metric)


def fit_rule(
    fitted: FittedScorer,
    task: DetectionTask,
    *,
    encoder: str | None,
    identity: str,
    rule: RuleName | None = None,
) -> Detector:
    """Return the detector of a fitted scorer, its rule fitted on the validation images.

    Args:
        fitted: the scorer with its vocabulary and its scores of the validation images.
        task: the images that it was fitted on.
        encoder: identity of the encoder of the features, None if not known.
        identity: what this detector is.
        rule: its name; without one, the rule that does best on held-out folds.
    """
    scorer, vocabulary, scores = fitted.scorer, fitted.vocabulary, fitted.scores
    images = task.scored(scores, vocabulary)
    compared = compare_rules(images, [rule] if rule else _rules_for(scorer, vocabulary))
    chosen = choose_rule(images, compared)
    outcomes = {o.rule: asdict(o) | {"interval": list(o.interval)} for o in compared}
    return Detector(
        scorer=scorer,
        vocabulary=vocabulary,
        rule=chosen,
        threshold=task.threshold(scores, vocabulary, images.truth).value,
        constant=[vocabulary[column] for column in task.constant(vocabulary)],
        validation={key: outcomes[chosen.name][key] for key in ("f1", "interval", "images")},
        comparison=list(outcomes.values()),
        encoder=encoder,
        identity=identity,
        calibration=Probabilities.fit(images),
    )


def refit_linear(
    detector: Detector, task: DetectionTask, model: MultiLabelLogisticRegression | None = None
) -> Detector:
    """Return a linear detector fitted on the training and the validation images.

    C and the rule stay as they were chosen without learning from the validation images.
    """
    if not isinstance(detector.scorer, LinearScorer):
        raise TypeError(f"a {detector.scorer.kind} detector has no logistic regression")
    parts = (task.train, task.valid)
    vectors = np.concatenate([part.vectors for part in parts])
    labels = sparse.vstack([multi_hot(part.concepts, detector.vocabulary) for part in parts])
    again: MultiLabelLogisticRegression = clone(model or MultiLabelLogisticRegression())
    again.set_params(C=detector.scorer.C)
    weights, intercepts = again.fit(vectors, labels).folded()
    return replace(detector, scorer=LinearScorer(weights, intercepts, detector.scorer.C))


def _rules_for(scorer: Scorer, vocabulary: list[str]) -> list[RuleName]:
    # All scores of a constant are the same: they can be named together or not at all.
    if isinstance(scorer, ConstantScorer):
        return ["threshold"]
    return rules_for(len(vocabulary))
