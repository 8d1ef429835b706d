"""The task of an ensemble: joined scores of images with their true concepts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Floats
from replearn.concepts.table import ConceptTable
from replearn.concepts.vocabulary import count_concepts, multi_hot
from replearn.console import warn
from replearn.detection.decisions.rules import folds
from replearn.detection.decisions.scores import ScoredImages
from replearn.detection.ensembles.combination import (
    Combination,
    Kind,
    fit_log_linear,
    mean_of,
)
from replearn.detection.ensembles.concept_scores import ConceptScores
from replearn.detection.ensembles.joining import ids_of, join, warn_of_lacking
from replearn.detection.ensembles.scorer import Member
from replearn.detection.settings import Scoring
from replearn.errors import DataError, some_of
from replearn.matching import match_names


@dataclass(frozen=True)
class EnsembleTask:
    """The joined scores of all members with the truth.

    Attributes:
        members: their names, and their detectors where known.
        vocabulary: the concepts of all members, the most frequent first [L].
        prior: the probability of each where a member does not say [L].
        stacked: float32 [N, M, L].
        images: the truth, and how it counts; its scores are those of the first member.
    """

    members: list[Member]
    vocabulary: list[str]
    prior: NDArray[np.float32]
    stacked: NDArray[np.float32]
    images: ScoredImages

    @classmethod
    def join(
        cls,
        members: Sequence[ConceptScores],
        names: Sequence[str],
        concepts: ConceptTable,
        scoring: Scoring,
        place: str = "the concepts",
    ) -> "EnsembleTask":
        """Join the scores of members and the concepts of the same images by name.

        Args:
            members: the scores [M].
            names: of them in messages.
            concepts: of images, some of which may have no scores.
            scoring: how predictions are scored.
            place: of the concepts in messages.

        Raises:
            DataError: scores are no probabilities, or no image has both.
        """
        for member, name in zip(members, names, strict=True):
            member.check(name)
        meant = match_names(concepts.ids, ids_of(members), place)
        if not meant:
            raise DataError(
                f"{place}: none of its {len(concepts)} images has scores; give those of these "
                "images"
            )
        without = [id_ for id_ in concepts.ids if id_ not in meant]
        if without:
            warn(
                f"{place}: {len(without):,} of {len(concepts):,} images have no scores and are not "
                f"used ({some_of(without)})"
            )
        table = ConceptTable([*meant.values()], concepts.select([*meant]).concepts)
        counts = count_concepts(table)
        known = {concept for member in members for concept in member.vocabulary}
        vocabulary = sorted(known, key=lambda concept: (-counts.get(concept, 0), concept))
        shown = np.array([counts.get(concept, 0) for concept in vocabulary], np.float64)
        prior = ((shown + 0.5) / (len(table) + 1)).astype(np.float32)
        joined = join(members, table.ids, vocabulary, prior)
        warn_of_lacking(joined, names)
        truth = multi_hot(table, vocabulary)
        first = joined.scores[:, 0]
        images = ScoredImages(first, truth, table.counts, scoring.empty, scoring.limit)
        own = [Member(name, m.detector) for m, name in zip(members, names, strict=True)]
        return cls(own, vocabulary, prior, joined.scores, images)

    def scored(self, scores: Floats) -> ScoredImages:
        """Return the same images with other scores [N, L]."""
        images = self.images
        return ScoredImages(scores, images.truth, images.counts, images.empty, images.limit)

    def held_out(self, kind: Kind) -> NDArray[np.float32]:
        """Return combined scores [N, L], each image's by weights that were fitted without it."""
        if kind == "mean":
            return mean_of(len(self.members)).combine(self.stacked)
        combined = np.empty_like(self.stacked[:, 0])
        parts = folds(self.images, 5)
        for held, others in parts:
            combination = fit_log_linear(self.stacked[others], self.images.take(others).truth)
            combined[held] = combination.combine(self.stacked[held])
        return combined if parts else self.combination(kind).combine(self.stacked)

    def combination(self, kind: Kind) -> Combination:
        """Return the combination fitted on all images."""
        if kind == "mean":
            return mean_of(len(self.members))
        return fit_log_linear(self.stacked, self.images.truth)
