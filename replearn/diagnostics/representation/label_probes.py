"""What features are worth with few labels: F1 of a linear detector by the number of labels."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from replearn.arrays import Vectors
from replearn.concepts.table import ConceptTable
from replearn.concepts.vocabulary import multi_hot
from replearn.detection.fit_scorers import fit_linear
from replearn.detection.task import DetectionTask, LabelledFeatures
from replearn.diagnostics.estimates import Estimate, mean_of
from replearn.metrics import f1_per_image

NUMBERS = (30, 100, 300, 1000)
_CONCEPTS = 100  # the most frequent ones


def probe_by_labels(
    vectors: Vectors, concepts: ConceptTable, numbers: Sequence[int] = NUMBERS
) -> dict[str, Estimate]:
    """Return the mean F1 over images of a linear detector that learned from so many labelled ones.

    One half of the images is learned from, the first so many of it in a random order; the other
    chooses C and threshold and is scored, as in the probes of a training: the numbers compare
    encoders, and are no estimate of how well a detector will do.  The baseline names the same
    concepts on all images.

    Args:
        vectors: features float [N, D].
        concepts: of the same images.
        numbers: of labelled images; those above half of the images are left out.
    """
    order = np.random.default_rng(0).permutation(len(vectors))
    learned, scored = order[: len(order) // 2], np.sort(order[len(order) // 2 :])
    found = {}
    for number in numbers:
        if number <= len(learned):
            found[f"f1_of_{number}_labels"] = _probe(vectors, concepts, learned[:number], scored)
    return found


def _probe(
    vectors: Vectors,
    concepts: ConceptTable,
    learned: NDArray[np.int64],
    scored: NDArray[np.int64],
) -> Estimate:
    parts = [
        LabelledFeatures(
            np.asarray(vectors[rows], np.float32),
            concepts.select([concepts.ids[row] for row in rows.tolist()]),
        )
        for rows in (learned, scored)
    ]
    task = DetectionTask(parts[0], parts[1], "skip")
    fitted = fit_linear(task, top=_CONCEPTS)
    limit = task.threshold(fitted.scores, fitted.vocabulary).value
    truth = multi_hot(parts[1].concepts, fitted.vocabulary)
    counts = parts[1].concepts.counts
    same = np.zeros(truth.shape, np.int64)
    same[:, task.constant(fitted.vocabulary)] = 1

    def scores(named: NDArray[np.generic]) -> NDArray[np.float64]:
        found = f1_per_image(truth, sparse.csr_array(named.astype(np.int64)), counts, empty="skip")
        return found[~np.isnan(found)]

    found = mean_of(scores(np.asarray(fitted.scores) >= limit)).clipped(0, 1)
    return found.against(float(scores(same).mean()), "the same concepts for all")
