"""Calibrated probabilities of all concepts, also of those that score 0.

A positive score is calibrated as `calibration` has it.  A concept that scores 0, as one that no
neighbour shows, gets the share of such validation images that show it after all: (m + r) / (n + 1)
with m of its n images, where r is the same share of all concepts together, as one more image.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from replearn.arrays import Float64
from replearn.detection.decisions.calibration import Calibration, fit_calibration
from replearn.detection.decisions.scores import ScoredImages, Scores, in_order


@dataclass(frozen=True)
class Probabilities:
    """A map from scores to the probabilities of all concepts; its fields go into JSON.

    Attributes:
        slope: of the logits, at least 0.
        biases: added to the logits of each concept [L].
        unscored: probability of each concept where it scores 0 [L].
    """

    slope: float
    biases: list[float]
    unscored: list[float]

    @classmethod
    def fit(cls, images: ScoredImages) -> "Probabilities":
        """Return the map with the smallest log loss on these images.

        Raises:
            DataError: scores are NaN.
        """
        fitted = fit_calibration(images)
        scored, found = _scored(images.scores), _scored_and_true(images)
        without = len(images.counts) - scored
        missed = np.asarray(images.truth.sum(axis=0), np.float64) - found
        rate = missed.sum() / max(without.sum(), 1)
        return cls(fitted.slope, fitted.biases, ((missed + rate) / (without + 1)).tolist())

    def of(self, scores: Scores) -> NDArray[np.float32]:
        """Return the probabilities of scores [N, L], dense float32."""
        calibrated = Calibration(self.slope, self.biases, 0.0).probabilities(scores)
        unscored = np.array(self.unscored, np.float32)
        if isinstance(calibrated, np.ndarray):
            known = np.where(calibrated > 0, calibrated, unscored)
            return np.asarray(known, np.float32)
        dense = np.tile(unscored, (calibrated.shape[0], 1))
        rows, columns = sparse.coo_array(calibrated).coords
        positive = calibrated.data > 0
        dense[rows[positive], columns[positive]] = calibrated.data[positive]
        return dense


def _scored(scores: Scores) -> Float64:
    """Return how many images have a positive score of each concept [L]."""
    positive = scores > 0
    return np.asarray(positive.sum(axis=0), np.float64).ravel()


def _scored_and_true(images: ScoredImages) -> Float64:
    """Return how many of those show the concept [L]."""
    if isinstance(images.scores, np.ndarray):
        rows, columns = sparse.coo_array(images.truth).coords
        positive = images.scores[rows, columns] > 0
        return np.bincount(columns[positive], minlength=images.truth.shape[1]).astype(np.float64)
    both = sparse.csr_array(images.truth.multiply(in_order(images.scores) > 0))
    return np.asarray(both.sum(axis=0), np.float64).ravel()
