"""Fit ensembles: weights of detectors, and a decision rule for what they say together.

Everything is chosen on images that no member learned from.  Held out means that the weights and the
rule that an image is scored by were fitted on other fifths of the images.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from replearn.artefacts.identity import identify
from replearn.artefacts.workspace import creating
from replearn.concepts.table import ConceptTable
from replearn.detection.decisions.probabilities import Probabilities
from replearn.detection.decisions.rules import (
    RULES,
    RuleName,
    RuleScore,
    held_out_f1,
    rules_for,
)
from replearn.detection.decisions.scores import ScoredImages
from replearn.detection.decisions.threshold import best_constant, tune_threshold
from replearn.detection.detector import DETECTOR, Detector, save_detector
from replearn.detection.ensembles.combination import Kind
from replearn.detection.ensembles.concept_scores import ConceptScores
from replearn.detection.ensembles.scorer import EnsembleScorer
from replearn.detection.ensembles.task import EnsembleTask
from replearn.detection.settings import Scoring
from replearn.errors import DataError, UsageError
from replearn.metrics import bootstrap_interval, mean_score
from replearn.settings import check_settings

_logger = logging.getLogger(__name__)


class EnsembleSettings(BaseModel):
    """The settings of an ensemble.

    Attributes:
        weights: the mean of the members, fitted weights of their logits, or the better of both.
        rule: what decides which concepts are named; `auto` is the best, held out.

    Raises:
        pydantic.ValidationError: a setting is not known or does not fit.

    Example:
        >>> settings = replearn.EnsembleSettings(weights="mean")
        >>> settings.rule
        'auto'
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: Literal["auto", Kind] = "auto"
    rule: Literal["auto", RuleName] = "auto"


@dataclass(frozen=True)
class Candidate:
    """What was tried: a member alone or a combination of all, with its best rule.

    Attributes:
        name: of the member, or the kind of combination.
        outcomes: of each rule that was tried.
        best: the rule of the highest F1.
        per_image: F1 of each image by that rule, held out [N]; NaN where it does not count.
    """

    name: str
    outcomes: list[RuleScore]
    best: RuleScore
    per_image: NDArray[np.float64]


@dataclass(frozen=True)
class FittedEnsemble:
    """An ensemble, and what it was chosen from.

    Attributes:
        detector: which reads joined scores, see `join_scores`.
        members: each member alone, held out.
        combined: each combination that was tried, held out.
        chosen: the combination that the detector has.
    """

    detector: Detector
    members: list[Candidate]
    combined: list[Candidate]
    chosen: Candidate

    @property
    def best_member(self) -> Candidate:
        """The member of the highest F1."""
        return max(self.members, key=lambda candidate: candidate.best.f1)

    def lead(self) -> tuple[float, tuple[float, float]]:
        """Return how far the ensemble is ahead of its best member, and the 95 % interval of it."""
        difference = self.chosen.per_image - self.best_member.per_image
        return mean_score(difference), bootstrap_interval(difference)

    def verdict(self) -> str:
        """Return in words whether the ensemble helps."""
        lead, (low, high) = self.lead()
        against = f"against {self.best_member.name} alone (95 % interval {low:+.4f} to {high:+.4f})"
        if lead <= 0:
            return f"the ensemble does not help: {lead:+.4f} {against}; use that detector"
        if low <= 0:
            return f"the ensemble may not help: {lead:+.4f} {against}"
        return f"the ensemble helps: {lead:+.4f} {against}"


def fit_ensemble(
    members: Sequence[ConceptScores],
    concepts: ConceptTable,
    settings: EnsembleSettings | None = None,
    *,
    names: Sequence[str] | None = None,
    scoring: Scoring | None = None,
    **options: Any,
) -> FittedEnsemble:
    """Return an ensemble of detectors, by their scores of images that none learned from.

    Images and concepts are joined by name.  What a member lacks is filled with the prior: the share
    of these images that show the concept, (n + 1/2) / (N + 1).

    Args:
        members: the scores of two or more detectors [M].
        concepts: the true concepts of the images.
        settings: which weights and which rule; the best of all by default.
        names: of the members in messages [M].
        scoring: how predictions are scored; by default as in the editions to 2020, without a limit.
        **options: fields of EnsembleSettings that replace those of `settings`.

    Raises:
        DataError: there are fewer than two members, or no image of the table has scores.
        UsageError: a setting is not known or does not fit.

    Example:
        >>> valid = features.select(chosen_on.ids)
        >>> other = replearn.fit_detector((features, concepts), (features, chosen_on), method="knn")
        >>> scores = [detector.concept_scores(valid), other.concept_scores(valid)]
        >>> ensemble = replearn.fit_ensemble(scores, chosen_on, weights="mean").detector
        >>> joined = replearn.join_scores(ensemble, scores)
        >>> len(ensemble.concepts(joined)) == len(chosen_on)
        True
    """
    given = settings.model_dump(exclude_unset=True) if settings else {}
    settings = check_settings(EnsembleSettings, given | options, "")
    names = list(names or (f"scores {n + 1}" for n in range(len(members))))
    if len(members) < 2:
        raise DataError("an ensemble has two members or more; give the scores of others")
    task = EnsembleTask.join(members, names, concepts, scoring or Scoring())
    return _fit(task, settings, _identify(members, concepts, settings, scoring or Scoring()))


def make_ensemble(
    out: Path,
    paths: Sequence[Path],
    concepts: tuple[Path, ConceptTable],
    settings: EnsembleSettings,
    *,
    scoring: Scoring,
    overwrite: bool = False,
) -> FittedEnsemble | None:
    """Fit an ensemble into the folder `out`; return it, or None if the same one lies there.

    Args:
        out: where the detector goes.
        paths: score files of its members.
        concepts: the file of the true concepts, and what it holds.
        settings: which weights and which rule.
        scoring: how predictions are scored.
        overwrite: make it in any case, and replace another detector.

    Raises:
        DataError: as `fit_ensemble`, or something else lies at `out`.
    """
    if len(set(paths)) < max(len(paths), 2):
        raise UsageError("give the score files of two detectors or more, each once")
    members = [ConceptScores.load(path) for path in paths]
    identity = _identify(members, concepts[1], settings, scoring)
    inputs = [*paths, concepts[0]]
    with creating(out, identity, DETECTOR, overwrite=overwrite, inputs=inputs) as folder:
        if folder is None:
            return None
        names = _short_names(paths)
        task = EnsembleTask.join(members, names, concepts[1], scoring, str(concepts[0]))
        fitted = _fit(task, settings, identity)
        save_detector(folder, fitted.detector)
    count, rule = len(fitted.detector.vocabulary), fitted.detector.rule.name
    _logger.info(f"{out}: {fitted.detector.scorer}, {count} concepts, decided by {rule}")
    return fitted


def _short_names(paths: Sequence[Path]) -> list[str]:
    """Return the names of the files, or their paths where two are the same."""
    names = [path.name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _identify(
    members: Sequence[ConceptScores],
    concepts: ConceptTable,
    settings: EnsembleSettings,
    scoring: Scoring,
) -> str:
    return identify(
        "detector",
        method="ensemble",
        members=[member.identity for member in members],
        concepts=concepts.digest,
        settings=settings.model_dump(),
        scoring=asdict(scoring),
    )


def _fit(task: EnsembleTask, settings: EnsembleSettings, identity: str) -> FittedEnsemble:
    if not task.images.counting.any():
        raise DataError("no image counts: none has a concept; give images with concepts")
    rules = rules_for(len(task.vocabulary)) if settings.rule == "auto" else [settings.rule]
    kinds: list[Kind] = ["mean", "log-linear"] if settings.weights == "auto" else [settings.weights]
    alone = [
        _try(member.name, task.scored(task.stacked[:, number]), rules)
        for number, member in enumerate(task.members)
    ]
    combined = [_try(kind, task.scored(task.held_out(kind)), rules) for kind in kinds]
    chosen = max(combined, key=lambda candidate: candidate.best.f1)
    combination = task.combination(next(kind for kind in kinds if kind == chosen.name))
    scorer = EnsembleScorer(task.members, task.vocabulary, task.prior.tolist(), combination)
    detector = _detector(scorer, task, chosen, identity)
    return FittedEnsemble(detector, alone, combined, chosen)


def _try(name: str, images: ScoredImages, rules: Sequence[RuleName]) -> Candidate:
    tried = {rule: held_out_f1(rule, images) for rule in rules}
    outcomes = [
        RuleScore(rule, mean_score(f1), bootstrap_interval(f1), int((~np.isnan(f1)).sum()))
        for rule, f1 in tried.items()
    ]
    best = max(outcomes, key=lambda outcome: outcome.f1)
    return Candidate(name, outcomes, best, tried[best.rule])


def _detector(
    scorer: EnsembleScorer, task: EnsembleTask, chosen: Candidate, identity: str
) -> Detector:
    images = task.scored(scorer.combination.combine(task.stacked))
    constant, _ = best_constant(images.truth, images.counts, empty=images.empty, limit=images.limit)
    unlimited = ScoredImages(images.scores, images.truth, images.counts, images.empty)
    best = {"f1": chosen.best.f1, "interval": list(chosen.best.interval)}
    return Detector(
        scorer=scorer,
        vocabulary=task.vocabulary,
        rule=RULES[chosen.best.rule].fit(images),
        threshold=tune_threshold(unlimited).value,
        constant=[task.vocabulary[column] for column in constant],
        validation=best | {"images": chosen.best.images},
        comparison=[asdict(o) | {"interval": list(o.interval)} for o in chosen.outcomes],
        encoder=scorer.identity,
        identity=identity,
        calibration=Probabilities.fit(images),
    )
