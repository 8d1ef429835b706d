"""How well each concept is found, and what each threshold would reach."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from replearn.concepts.table import ConceptTable
from replearn.detection.decisions.scores import Scores
from replearn.detection.decisions.threshold import name_above
from replearn.metrics import EmptyRule, mean_f1


@dataclass(frozen=True)
class ConceptScore:
    """How well one concept is found.

    Attributes:
        concept: its id.
        learnt: training images that show it.
        shown: scored images that show it.
        named: scored images that it is named for.
        hits: of these, those that show it.
    """

    concept: str
    learnt: int
    shown: int
    named: int
    hits: int

    @property
    def f1(self) -> float:
        """F1 of this concept over the scored images; 0 where it is neither shown nor named."""
        return 2 * self.hits / max(self.shown + self.named, 1)


def score_concepts(
    train: ConceptTable, truth: ConceptTable, predicted: ConceptTable
) -> list[ConceptScore]:
    """Return the score of every concept that the truth or the prediction holds, by id.

    Args:
        train: concepts of the training images.
        truth: concepts of the scored images.
        predicted: what is named for the same images, in any order.
    """
    learnt, shown, named = (_counts(table) for table in (train, truth, predicted))
    of_image = dict(zip(predicted.ids, predicted.concepts, strict=True))
    hits = Counter(
        concept
        for id_, concepts in zip(truth.ids, truth.concepts, strict=True)
        for concept in set(concepts) & set(of_image.get(id_, ()))
    )
    return [
        ConceptScore(c, learnt[c], shown[c], named[c], hits[c]) for c in sorted({*shown, *named})
    ]


def _counts(table: ConceptTable) -> Counter[str]:
    return Counter(concept for concepts in table.concepts for concept in concepts)


def along_thresholds(
    scores: Scores,
    truth: sparse.csr_array,
    counts: NDArray[np.integer],
    *,
    empty: EmptyRule,
    limit: int | None = None,
    steps: int = 50,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return thresholds in (0, 1], closer where they are low, and the mean F1 at each.

    Args:
        scores: [N, L], dense or sparse.
        truth: 0/1 [N, L].
        counts: true concepts of each image [N], also those outside the L columns.
        empty: what an image without true concepts counts, see `metrics.f1_per_image`.
        limit: at most this many concepts for an image.
        steps: how many thresholds.
    """
    # Concepts are rare, so most of what happens does so at low probabilities.
    thresholds = np.linspace(0, 1, steps + 1)[1:] ** 2
    reached = [
        mean_f1(truth, name_above(scores, t, limit=limit), counts, empty=empty)
        for t in thresholds.tolist()
    ]
    return thresholds, np.array(reached)
