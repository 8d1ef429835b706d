"""Scores to probabilities: one temperature for all concepts, and a bias for each.

The logit of a score becomes `slope * logit + bias of its concept`; the temperature is 1 / slope.
Decisions by expected F1 need it: an overconfident detector would name too few concepts.

Both minimise the log loss on validation images, a convex problem (Platt, Probabilistic outputs for
support vector machines, 1999; with a temperature alone, Guo et al., On calibration of modern neural
networks, ICML 2017).  The concepts' biases have a normal prior around a common one, so that
few images move a bias little.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special

from replearn.arrays import Float64, Floats
from replearn.detection.decisions.scores import ScoredImages, Scores, blocks, in_order, logits

_STD = 1.0  # of the concepts' biases; 0.3 to 2 serve nearly as well
_PAIRS = 2**18  # at a time


@dataclass(frozen=True)
class Calibration:
    """A map from scores to probabilities.

    Attributes:
        slope: of the logits, at least 0.
        biases: added to the logits of each concept [L].
        beyond: expected number of true concepts of an image that score 0 or have no column.
    """

    slope: float
    biases: list[float]
    beyond: float

    def probabilities(self, scores: Scores) -> Scores:
        """Return the probability that each score [N, L] stands for; 0 where it is not positive."""
        biases = np.array(self.biases)
        if isinstance(scores, np.ndarray):
            return self._of(scores, biases)
        calibrated = in_order(scores).copy()
        calibrated.data = self._of(calibrated.data, biases[calibrated.indices])
        return calibrated

    def _of(self, values: Floats, biases: Float64) -> Floats:
        calibrated = self.slope * logits(values) + biases.astype(np.float32)
        return np.where(values <= 0, 0, special.expit(calibrated))  # NaN stays


def fit_calibration(images: ScoredImages) -> Calibration:
    """Return the calibration with the smallest loss over all positive scores.

    Raises:
        DataError: scores are NaN.
    """
    pairs = _Pairs.of(images)
    beyond = float((images.counts.sum() - pairs.true) / max(len(images.counts), 1))
    fitted = _fit(pairs)
    if fitted.slope < 0:
        # High scores mean absence.  The loss is convex: of all slopes that keep the order of
        # scores, 0 has the smallest.
        fitted = _fit(replace(pairs, logits=np.zeros_like(pairs.logits), of_true=0.0))
        fitted = replace(fitted, slope=0.0)
    return Calibration(fitted.slope, (fitted.common + fitted.own).tolist(), beyond)


@dataclass(frozen=True)
class _Pairs:
    """All pairs of an image and a concept with a positive score.

    Attributes:
        logits: of the scores [M].
        columns: the concepts of the pairs [M].
        positives: how many pairs of each concept are true [L].
        of_true: sum of the logits of the true pairs.
    """

    logits: Floats
    columns: NDArray[np.int32]
    positives: Float64
    of_true: float

    @property
    def true(self) -> float:
        return float(self.positives.sum())

    @classmethod
    def of(cls, images: ScoredImages) -> "_Pairs":
        scores = images.scores
        parts: list[Floats] = [np.zeros(0, np.float32)]
        columns = [np.zeros(0, np.int32)]
        for block in blocks(scores):
            positive = block.values > 0
            parts.append(logits(block.values[positive]))
            columns.append(block.columns[positive].astype(np.int32))
        true = sparse.coo_array(images.truth.multiply(scores))
        hits = true.data > 0
        positives = np.bincount(true.coords[1][hits], minlength=scores.shape[1])
        of_true = float(logits(true.data[hits]).sum(dtype=np.float64))
        return cls(np.concatenate(parts), np.concatenate(columns), positives.astype(float), of_true)


@dataclass(frozen=True)
class _Parameters:
    """Logits become slope * logit + common + own of their concept [L]."""

    slope: float
    common: float
    own: Float64


def _fit(pairs: _Pairs) -> _Parameters:
    """Return the parameters with the smallest loss, by Newton's method.

    With labels softened to (n_1 + 1) / (n_1 + 2) and 1 / (n_0 + 2), n_1 being how many of the
    pairs are true and n_0 how many are not, that is finite even where a threshold divides true
    from false without error (Platt 1999, section 2.2).
    """
    width, count = len(pairs.positives), len(pairs.logits)
    high, low = (pairs.true + 1) / (pairs.true + 2), 1 / (count - pairs.true + 2)
    every = np.bincount(pairs.columns, minlength=width)
    # The sums that the probabilities should have, for each concept and weighted by the logits.
    target = high * pairs.positives + low * (every - pairs.positives)
    total = float(pairs.logits.sum(dtype=np.float64))
    weighted_target = high * pairs.of_true + low * (total - pairs.of_true)
    share = target.sum() / count if count else 0.5
    at = _Parameters(0.0, float(special.logit(share)), np.zeros(width))
    here = _Derivatives.at(pairs, at, target, weighted_target)
    for _ in range(100):
        step, decrease = here.newton_step()
        if decrease <= 1e-12 * count:
            break
        for shorter in 0.5 ** np.arange(30):
            tried = _Parameters(
                at.slope - shorter * step.slope,
                at.common - shorter * step.common,
                at.own - shorter * step.own,
            )
            there = _Derivatives.at(pairs, tried, target, weighted_target)
            if there.loss <= here.loss - 1e-4 * shorter * decrease:
                break
        at, here = tried, there
    return at


@dataclass(frozen=True)
class _Derivatives:
    """The loss at some parameters and its derivatives.

    Attributes:
        loss: the log loss, and the negative logarithm of the prior.
        slope: by the slope.
        biases: of the log loss by each concept's bias [L]; their sum is that by the common one.
        own: by each concept's own bias [L].
        slope_slope: second, by the slope.
        slope_bias: second, by the slope and each bias [L].
        bias_bias: second, of the log loss by each bias [L].
    """

    loss: float
    slope: float
    biases: Float64
    own: Float64
    slope_slope: float
    slope_bias: Float64
    bias_bias: Float64

    @classmethod
    def at(
        cls, pairs: _Pairs, at: _Parameters, target: Float64, weighted_target: float
    ) -> "_Derivatives":
        biases = at.common + at.own
        pull = at.own / _STD**2
        loss = float(pull @ at.own) / 2 - at.slope * weighted_target - float(target @ biases)
        slope, slope_slope = -weighted_target, 0.0
        by_bias, slope_bias, bias_bias = -target, np.zeros(len(target)), np.zeros(len(target))
        for start in range(0, len(pairs.logits), _PAIRS):
            x = pairs.logits[start : start + _PAIRS].astype(np.float64)
            column = pairs.columns[start : start + _PAIRS]
            z = at.slope * x + biases[column]
            p = special.expit(z)
            spread = p * (1 - p)
            loss += float((np.maximum(z, 0) - np.log(np.maximum(p, 1 - p))).sum())
            slope += float(p @ x)
            slope_slope += float(spread @ (x * x))
            by_bias += np.bincount(column, p, len(target))
            slope_bias += np.bincount(column, spread * x, len(target))
            bias_bias += np.bincount(column, spread, len(target))
        return cls(loss, slope, by_bias, by_bias + pull, slope_slope, slope_bias, bias_bias)

    def newton_step(self) -> tuple[_Parameters, float]:
        """Return the step, and by how much its first part would lower the loss.

        The concepts' own biases touch each other through slope and common bias alone, so they are
        eliminated, and two equations remain.
        """
        own = self.bias_bias + 1 / _STD**2
        both = np.stack([self.slope_bias, self.bias_bias])  # [2, L]
        gradient = np.array([self.slope, self.biases.sum()])
        curvature = np.array(
            [
                [self.slope_slope, self.slope_bias.sum()],
                [self.slope_bias.sum(), self.bias_bias.sum()],
            ]
        )
        # Where all logits are the same, slope and bias are one: the shortest step will do.
        two = np.linalg.lstsq(
            curvature - (both / own) @ both.T, gradient - (both / own) @ self.own, rcond=1e-12
        )[0]
        rest = (self.own - two @ both) / own
        decrease = float(gradient @ two + self.own @ rest)
        return _Parameters(float(two[0]), float(two[1]), rest), decrease
