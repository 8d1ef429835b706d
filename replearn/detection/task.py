"""The task of a detector: images to learn from, images to choose on, and how both are scored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from replearn.concepts.table import ConceptTable
from replearn.concepts.vocabulary import multi_hot
from replearn.detection.decisions.scores import ScoredImages, Scores
from replearn.detection.decisions.threshold import Threshold, best_constant, tune_threshold
from replearn.detection.scorers import Vectors
from replearn.errors import DataError
from replearn.metrics import EmptyRule

_FOLDS = 5


@dataclass(frozen=True)
class LabelledFeatures:
    """Features with the concepts of the same images.

    Attributes:
        vectors: float [N, D].
        concepts: of the same N images.
    """

    vectors: Vectors
    concepts: ConceptTable


@dataclass(frozen=True)
class DetectionTask:
    """What a detector is fitted on, and how its predictions are scored.

    Attributes:
        train: what the scorer learns from.
        valid: what its settings and the rule are chosen on.
        empty: what an image without true concepts counts.
        limit: at most this many concepts for an image.
        groups: the group (patient, study) of each id; an id without one is on its own.
    """

    train: LabelledFeatures
    valid: LabelledFeatures
    empty: EmptyRule
    limit: int | None = None
    groups: Mapping[str, str] | None = None

    def scored(
        self, scores: Scores, vocabulary: Sequence[str], truth: sparse.csr_array | None = None
    ) -> ScoredImages:
        """Return the validation images with these scores.

        Args:
            scores: of the concepts of the vocabulary [M, L].
            vocabulary: the concepts [L].
            truth: 0/1 [M, L], where it is at hand.
        """
        truth = multi_hot(self.valid.concepts, vocabulary) if truth is None else truth
        return ScoredImages(scores, truth, self.valid.concepts.counts, self.empty, self.limit)

    def threshold(
        self, scores: Scores, vocabulary: Sequence[str], truth: sparse.csr_array | None = None
    ) -> Threshold:
        """Return the best threshold for scores of the validation images, without the limit.

        The arguments are those of `scored`.
        """
        return tune_threshold(replace(self.scored(scores, vocabulary, truth), limit=None))

    def constant(self, vocabulary: Sequence[str]) -> list[int]:
        """Return the columns of the best constant prediction on the training images."""
        concepts = self.train.concepts
        truth = multi_hot(concepts, vocabulary)
        columns, _ = best_constant(truth, concepts.counts, empty=self.empty, limit=self.limit)
        return columns

    def folds(self) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Return pairs of training rows to learn from and validation rows to score by them.

        One pair of all rows, unless an image or a group is in both parts: then in folds that keep
        them apart.

        Raises:
            DataError: there is no other image or group to learn from.
        """
        groups = self.groups or {}
        train, valid = (
            [groups.get(id_, f"\0{id_}") for id_ in part.concepts.ids]
            for part in (self.train, self.valid)
        )
        if not set(train) & set(valid):
            return [(np.arange(len(train)), np.arange(len(valid)))]
        keys, number = np.unique(np.array([*train, *valid], dtype=object), return_inverse=True)
        fold = (np.random.default_rng(0).permutation(len(keys)) % _FOLDS)[number]
        of_train, of_valid = fold[: len(train)], fold[len(train) :]
        folds = [
            (np.flatnonzero(of_train != n), np.flatnonzero(of_valid == n))
            for n in np.unique(of_valid).tolist()
        ]
        if not all(len(rows) for rows, _ in folds):
            raise DataError(
                "too few images or groups in common to training and validation: nothing is left to "
                "learn from where each is judged by the others; give others to validate on"
            )
        return folds
