"""Scores of single concepts, and the mean F1 at each threshold."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from replearn.concepts.table import ConceptTable
from replearn.detection.decisions.scores import Scores
from replearn.detection.decisions.threshold import name_above
from replearn.metrics import EmptyRule, mean_f1

_STEPS = 50  # thresholds of a curve


@dataclass(frozen=True)
class ConceptScore:
    """The quality of the detection of one concept.

    Attributes:
        concept: its id.
        trained: number of training images that show it.
        true: number of scored images that show it.
        predicted: number of scored images that it is predicted for.
        hits: number of scored images that it is predicted for rightly.
    """

    concept: str
    trained: int
    true: int
    predicted: int
    hits: int

    @property
    def f1(self) -> float:
        """F1 of this concept over the scored images; 0 if it is neither true nor predicted."""
        return 2 * self.hits / max(self.true + self.predicted, 1)


def score_concepts(
    train: ConceptTable, truth: ConceptTable, prediction: ConceptTable
) -> list[ConceptScore]:
    """Return the score of every concept that the truth or the prediction holds, by id.

    Args:
        train: concepts of the training images.
        truth: concepts of the scored images.
        prediction: concepts predicted for the same images, in any order.
    """
    trained, true, predicted = (_counts(table) for table in (train, truth, prediction))
    predicted_sets = dict(zip(prediction.ids, prediction.concepts, strict=True))
    hits = Counter(
        concept
        for id_, concepts in zip(truth.ids, truth.concepts, strict=True)
        for concept in set(concepts) & set(predicted_sets.get(id_, ()))
    )
    return [
        ConceptScore(c, trained[c], true[c], predicted[c], hits[c])
        for c in sorted({*true, *predicted})
    ]


def _counts(table: ConceptTable) -> Counter[str]:
    return Counter(concept for concepts in table.concepts for concept in concepts)


def f1_at_thresholds(
    scores: Scores,
    truth: sparse.csr_array,
    counts: NDArray[np.integer],
    *,
    empty: EmptyRule,
    limit: int | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return thresholds in (0, 1], closer where they are low, and the mean F1 at each.

    Args:
        scores: [N, L], dense or sparse.
        truth: 0/1 [N, L].
        counts: true concepts of each image [N], also those outside the L columns.
        empty: what an image without true concepts counts, see `metrics.f1_per_image`.
        limit: at most this many concepts for an image.
    """
    # Concepts are rare, so F1 changes most at low probabilities.
    thresholds = np.linspace(0, 1, _STEPS + 1)[1:] ** 2
    f1 = [
        mean_f1(truth, name_above(scores, t, limit=limit), counts, empty=empty)
        for t in thresholds.tolist()
    ]
    return thresholds, np.array(f1)
