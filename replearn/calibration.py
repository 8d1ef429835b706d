"""Scores to probabilities: one temperature and one bias for all concepts.

The logit of a score becomes `slope * logit + bias`; the temperature is 1 / slope.  Both are chosen
by the log loss on validation images, which is convex in them.  Decisions by expected F1 need it:
a detector that is too sure of itself would name too little (Guo et al., On calibration of modern
neural networks, ICML 2017, has the temperature; Platt, Probabilistic outputs for support vector
machines, 1999, both).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special

from replearn.ranking import Counts, Scores, Values, blocks

_NEAREST = 1e-6  # to 0 and 1 that a score may come; votes of neighbours reach both
_PAIRS = 2**18  # at a time


@dataclass(frozen=True)
class Calibration:
    """What turns scores into probabilities.

    Attributes:
        slope: of the logits, at least 0.
        bias: added to them.
        beyond: expected number of true concepts of an image that score 0 or have no column.
    """

    slope: float
    bias: float
    beyond: float

    def probabilities(self, values: Values) -> Values:
        """Return the probability that each score stands for; 0 where it is not positive."""
        calibrated = special.expit(self.slope * _logits(values) + self.bias)
        return np.where(values > 0, calibrated, 0)


def fit_calibration(scores: Scores, truth: sparse.csr_array, counts: Counts) -> Calibration:
    """Return the calibration with the smallest log loss over all positive scores.

    With the labels softened to (n_1 + 1) / (n_1 + 2) and 1 / (n_0 + 2), n_1 being how many of the
    pairs are true and n_0 how many are not, the loss has its smallest value at finite slope and
    bias even where a threshold divides true from false without error (Platt 1999, section 2.2).

    Args:
        scores: [N, L], dense or sparse.
        truth: 0/1 [N, L].
        counts: true concepts of each image [N], also those outside the L columns.

    Raises:
        DataError: scores are NaN.
    """
    stored = [block.values[block.values > 0] for block in blocks(scores)]
    logits = _logits(np.concatenate([np.zeros(0, np.float32), *stored]))
    of_true = sparse.coo_array(truth.multiply(scores)).data
    of_true = _logits(of_true[of_true > 0])
    beyond = float((counts.sum() - len(of_true)) / max(len(counts), 1))
    slope, bias = _least_loss(logits, of_true)
    return Calibration(slope, bias, beyond)


def _logits(values: Values) -> Values:
    return np.asarray(special.logit(np.clip(values, _NEAREST, 1 - _NEAREST)))


def _least_loss(logits: Values, of_true: Values) -> tuple[float, float]:
    """Return slope and bias by Newton's method, for all logits and those of the true pairs."""
    positive, negative = len(of_true), len(logits) - len(of_true)
    high, low = (positive + 1) / (positive + 2), 1 / (negative + 2)
    sums = np.array([of_true.sum(dtype=np.float64), positive])
    every = np.array([logits.sum(dtype=np.float64), len(logits)])
    wanted = high * sums + low * (every - sums)  # what the sums over probabilities should be
    share = wanted[1] / every[1] if len(logits) else 0.5
    constant = np.array([0.0, special.logit(share)])  # what says nothing of the pairs
    parameters = constant
    loss, gradient, curvature = _loss(logits, wanted, parameters)
    for _ in range(100):
        # Where all logits are the same, slope and bias are one: the shortest step will do.
        step = np.linalg.lstsq(curvature, gradient)[0]
        if gradient @ step <= 1e-12 * len(logits):
            break
        for shorter in 0.5 ** np.arange(30):
            tried = _loss(logits, wanted, parameters - shorter * step)
            if tried[0] <= loss - 1e-4 * shorter * (gradient @ step):
                break
        parameters = parameters - shorter * step
        loss, gradient, curvature = tried
    # The loss is convex: where its smallest value has a negative slope, the next best has none.
    slope, bias = parameters if parameters[0] > 0 else constant
    return float(slope), float(bias)


def _loss(
    logits: Values, wanted: NDArray[np.float64], parameters: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Return the log loss, its gradient [2] and its second derivatives [2, 2]."""
    loss, gradient, curvature = -float(wanted @ parameters), -wanted, np.zeros((2, 2))
    for start in range(0, len(logits), _PAIRS):
        x = logits[start : start + _PAIRS].astype(np.float64)
        z = parameters[0] * x + parameters[1]
        p = special.expit(z)
        loss += float(np.logaddexp(0, z).sum())
        gradient += np.array([p @ x, p.sum()])
        spread = p * (1 - p)
        cross = spread @ x
        curvature += [[spread @ (x * x), cross], [cross, spread.sum()]]
    return loss, gradient, curvature
