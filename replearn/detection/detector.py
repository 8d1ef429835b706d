"""Detectors: features to concept scores, with the rule that turns scores into sets.

A detector is a scorer with a vocabulary and a decision rule (`replearn.detection.fit_detector`).
It is stored as a folder: `detector.json` and the files of its scorer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from replearn.arrays import Vectors
from replearn.artefacts.files import read_json, write_json
from replearn.artefacts.identity import check_same
from replearn.artefacts.workspace import FolderKind, creating
from replearn.detection.decisions.probabilities import Probabilities
from replearn.detection.decisions.rules import Rule, from_facts, to_facts
from replearn.detection.decisions.scores import Scores, check_limit
from replearn.detection.ensembles.concept_scores import ConceptScores
from replearn.detection.logistic.standardised_rows import check_finite
from replearn.detection.scorers import SCORERS, Scorer
from replearn.errors import DamagedError, DataError, UsageError, unknown_fact
from replearn.features import Features
from replearn.neighbors.storage import INDEX_FILES

_BATCH = 8192  # images that are scored at a time


@dataclass  # not frozen: scikit-learn writes its own attributes into the steps of a Pipeline
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
        calibration: scores to probabilities, None for a detector of an older version.

    Example:
        >>> detector = replearn.fit_detector((features, concepts), (features, chosen_on))
        >>> valid = features.select(chosen_on.ids)
        >>> len(detector.concepts(valid)) == len(valid)  # a list of concepts for each image
        True
        >>> shape = (len(valid), len(detector.vocabulary))  # [N, L]
        >>> detector.predict(valid).shape == detector.predict_proba(valid).shape == shape
        True
        >>> detector.save("runs/detector")
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
    calibration: Probabilities | None = None

    def concepts(
        self, features: Features | Vectors, *, limit: int | None = None
    ) -> list[list[str]]:
        """Return the concepts of each image [N], in the order of the vocabulary.

        Args:
            features: of the same encoder [N, D], with their ids or as an array.
            limit: at most this many concepts for an image, those of the highest scores.

        Raises:
            DataError: the features are of another encoder or width or are not [N, D], one holds NaN
                or infinity, or the limit is no number of concepts.
        """
        check_limit(limit)
        concepts = []
        for scores in self._scores(features):
            named = self.rule.decide(scores, limit=limit)
            rows = (named.indices[start:stop] for start, stop in pairwise(named.indptr))
            concepts += [[self.vocabulary[column] for column in sorted(row)] for row in rows]
        return concepts

    def predict(self, features: Features | Vectors) -> NDArray[np.int8]:
        """Return which concepts of the vocabulary each image has, 0/1 [N, L].

        Args:
            features: as in `concepts`.

        Raises:
            DataError: as `concepts`.
        """
        decided = (self.rule.decide(scores) for scores in self._scores(features))
        return self._stacked([named.astype(np.int8).toarray() for named in decided], np.int8)

    def predict_proba(self, features: Features | Vectors) -> NDArray[np.float32]:
        """Return the score of each concept, float32 [N, L] in [0, 1].

        Those of logistic regression, alone or fused, are probabilities; those of neighbours are
        shares of their votes.

        Args:
            features: as in `concepts`.

        Raises:
            DataError: as `concepts`.
        """
        dense = (
            some.toarray() if isinstance(some, sparse.csr_array) else some
            for some in self._scores(features)
        )
        # Shares of votes may add up to a little more than one.
        scores = [np.minimum(some, 1).astype(np.float32, copy=False) for some in dense]
        return self._stacked(scores, np.float32)

    def concept_scores(self, features: Features) -> ConceptScores:
        """Return the calibrated probability of each concept, for ensembles.

        `predict_proba` has the scores that the rule decides on; these are mapped to the share of
        validation images with such a score that show the concept.

        Args:
            features: as in `concepts`, with their ids.

        Raises:
            DataError: as `concepts`, or the detector was stored by an older version.
        """
        if self.calibration is None:
            raise DataError(
                f"{self.identity}: a detector of an older version, without a calibration; "
                "classify again"
            )
        blocks = [self.calibration.of(scores) for scores in self._scores(features)]
        scores = self._stacked(blocks, np.float32)
        return ConceptScores(features.ids, scores, self.vocabulary, self.identity, features.errors)

    def fit(self, features: object, y: object = None) -> NoReturn:
        """Refuse to learn: `fit_detector` makes detectors.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            "a Detector is fitted and cannot be fitted again: fit_detector makes another one, and "
            "sklearn.frozen.FrozenEstimator keeps this one where scikit-learn fits all steps"
        )

    def save(self, folder: Path | str, *, overwrite: bool = False) -> None:
        """Write the detector into a new folder, which `load_detector` opens.

        Args:
            folder: where it goes; nothing is done where this detector lies already.
            overwrite: write it in any case, and replace another detector.

        Raises:
            DataError: something else lies there.
        """
        with creating(Path(folder), self.identity, DETECTOR, overwrite=overwrite) as made:
            if made is not None:
                save_detector(made, self)

    @property
    def classes_(self) -> NDArray[np.str_]:
        """The vocabulary [L], under the name that scikit-learn has for it."""
        return np.array(self.vocabulary)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags  # who asks has it

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True, two_d_labels=True, multi_output=True),
            classifier_tags=ClassifierTags(multi_class=False, multi_label=True),
            input_tags=InputTags(),
        )

    def _scores(self, features: Features | Vectors) -> Iterator[Scores]:
        """Yield the scores of some images at a time, [<= _BATCH, L]."""
        vectors = features.vectors if isinstance(features, Features) else features
        if isinstance(features, Features) and None not in (self.encoder, features.encoder):
            check_same(self.encoder, features.encoder, "the encoder of the features")
        if vectors.ndim != 2:
            raise DataError(
                f"features {list(vectors.shape)} where [N, D] is expected; give rows of features"
            )
        for start in range(0, len(vectors), _BATCH):
            batch = vectors[start : start + _BATCH]
            check_finite(batch, first=start)
            yield self.scorer.scores(batch)

    def _stacked(self, blocks: Sequence[NDArray[Any]], dtype: type) -> NDArray[Any]:
        return np.concatenate([np.zeros((0, len(self.vocabulary)), dtype), *blocks])


def save_detector(folder: Path, detector: Detector) -> None:
    """Write a detector into an existing, empty folder."""
    facts = {
        "identity": detector.identity,
        "kind": detector.scorer.kind,
        "encoder": detector.encoder,
        "rule": to_facts(detector.rule),
        "threshold": detector.threshold,
        "calibration": detector.calibration and vars(detector.calibration),
        "validation": detector.validation,
        "comparison": detector.comparison,
        "constant": detector.constant,
        "vocabulary": detector.vocabulary,
    }
    write_json(folder / "detector.json", facts | detector.scorer.save(folder))


def load_detector(folder: Path | str) -> Detector:
    """Open a detector folder.

    Raises:
        DataError: the folder is no detector, or a part of it is damaged.

    Example:
        >>> detector = replearn.load_detector("runs/detector")
        >>> detector.rule.name in {"threshold", "top-k", "per-label", "expected-f1"}
        True
    """
    folder = Path(folder)
    path = folder / "detector.json"
    if not path.exists():
        raise DataError(f"{folder}: not a detector folder (it has no detector.json)")
    facts = read_json(path)
    try:
        scorer = SCORERS[facts["kind"]].load(folder, facts)
        calibration = facts.get("calibration")
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
            calibration=calibration and Probabilities(**calibration),
        )
    except (KeyError, TypeError) as error:
        what = f"{path}: lacks or does not know {unknown_fact(error)}, or is of another version"
    except DamagedError as error:
        what = error.what
    raise DamagedError(what, f"remove {folder} and classify again")


DETECTOR = FolderKind(
    "a detector",
    rf"detector\.(json|safetensors)|index/({INDEX_FILES})",
    facts="detector.json",
    check=load_detector,
)
