"""Detectors: features to concept scores, with the rule that turns scores into sets.

A detector is a scorer with a vocabulary and a decision rule (`replearn.detection.fit_detector`).
It is stored as a folder: `detector.json` and the files of its scorer.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from replearn.arrays import Vectors
from replearn.artefacts.files import read_json, write_json
from replearn.detection.decisions.rules import Rule, from_facts, to_facts
from replearn.detection.scorers import SCORERS, Scorer
from replearn.errors import DataError

_BATCH = 8192  # images that are scored at a time


@dataclass(frozen=True)
class Detector:
    """A scorer with its decision rule.

    Attributes:
        scorer: features to scores.
        vocabulary: the concepts that the scores are of [L].
        rule: turns scores into the concepts to name.
        threshold: the best global one on the validation images, whatever the rule is.
        constant: the concepts to name for an image without features.
        validation: mean F1 and its interval on the validation images, each decided about by the
            rule as fitted without it.
        comparison: the same for every rule that was tried.
        encoder: identity of the encoder of the features, None if not known.
        identity: of the detector.
    """

    scorer: Scorer
    vocabulary: list[str]
    rule: Rule
    threshold: float
    constant: list[str]
    validation: dict[str, Any]
    comparison: list[dict[str, Any]]
    encoder: str | None
    identity: str

    def name_concepts(self, vectors: Vectors, *, limit: int | None) -> list[list[str]]:
        """Return the concepts of each image for features [M, D], at most `limit` of them."""
        concepts = []
        for start in range(0, len(vectors), _BATCH):
            scores = self.scorer.scores(vectors[start : start + _BATCH])
            named = self.rule.decide(scores, limit=limit)
            rows = (named.indices[start:stop] for start, stop in pairwise(named.indptr))
            concepts += [[self.vocabulary[column] for column in sorted(row)] for row in rows]
        return concepts


def save_detector(folder: Path, detector: Detector) -> None:
    """Write a detector into an existing, empty folder."""
    facts = {
        "identity": detector.identity,
        "kind": detector.scorer.kind,
        "encoder": detector.encoder,
        "rule": to_facts(detector.rule),
        "threshold": detector.threshold,
        "validation": detector.validation,
        "comparison": detector.comparison,
        "constant": detector.constant,
        "vocabulary": detector.vocabulary,
    }
    write_json(folder / "detector.json", facts | detector.scorer.save(folder))


def load_detector(folder: Path) -> Detector:
    """Open a detector folder.

    Raises:
        DataError: the folder is no detector, or a part of it is damaged.
    """
    path = folder / "detector.json"
    if not path.exists():
        raise DataError(f"{folder}: not a detector folder (it has no detector.json)")
    facts = read_json(path)
    try:
        scorer = SCORERS[facts["kind"]].load(folder, facts)
        return Detector(
            scorer=scorer,
            vocabulary=facts["vocabulary"],
            rule=from_facts(facts["rule"]),
            threshold=facts["threshold"],
            constant=facts["constant"],
            validation=facts["validation"],
            comparison=facts["comparison"],
            encoder=facts["encoder"],
            identity=facts["identity"],
        )
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: lacks or does not know {error}; classify again") from None
