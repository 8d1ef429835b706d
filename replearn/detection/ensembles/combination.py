"""The probabilities of several detectors as one: their mean, or log-linear with fitted weights.

    p = sigmoid(sum_m w_m logit(p_m) + c)

with the same weights, none below 0, for all concepts, so that few validation images suffice: the
logarithmic opinion pool (C. Genest, J. V. Zidek, Combining probability distributions, Statistical
Science 1986), with a bias.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special

from replearn.arrays import Floats
from replearn.detection.decisions.scores import logits

Kind = Literal["mean", "log-linear"]
_PAIRS = 2**20  # of an image and a concept, at a time
_ENOUGH = 2**24  # for a handful of weights


@dataclass(frozen=True)
class Combination:
    """How the probabilities of members are combined; its fields go into JSON.

    Attributes:
        kind: the mean, or log-linear.
        weights: of the members [M]: 1 / M each, or of their logits.
        bias: of the logits; 0 for the mean.
    """

    kind: Kind
    weights: list[float]
    bias: float = 0.0

    def combine(self, scores: Floats) -> NDArray[np.float32]:
        """Return probabilities [N, L] for those of the members [N, M, L]."""
        weights = np.array(self.weights, np.float32)
        if self.kind == "mean":
            return np.asarray(np.einsum("nml,m->nl", scores, weights), np.float32)
        summed = np.full((scores.shape[0], scores.shape[2]), self.bias, np.float32)
        for number, weight in enumerate(weights):
            summed += weight * logits(scores[:, number])
        return np.asarray(special.expit(summed), np.float32)


def mean_of(members: int) -> Combination:
    """Return the plain mean of so many members."""
    return Combination("mean", [1 / members] * members)


def fit_log_linear(scores: Floats, truth: sparse.csr_array) -> Combination:
    """Return the weights and the bias with the smallest log loss over all images and concepts.

    Of very many images as many as are enough are drawn at random, always the same.

    Args:
        scores: probabilities of the members [N, M, L], for images that none was fitted on.
        truth: 0/1 [N, L].
    """
    from scipy import optimize  # a tenth of a second that loading a detector need not wait for

    count, members, width = scores.shape
    most = max(1, _ENOUGH // max(width, 1))
    if count > most:
        drawn = np.sort(np.random.default_rng(0).choice(count, most, replace=False))
        scores, truth, count = scores[drawn], sparse.csr_array(truth[drawn]), most
    at_once = max(1, _PAIRS // max(width, 1))

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        total, gradient = 0.0, np.zeros(members + 1)
        for start in range(0, count, at_once):
            some = logits(scores[start : start + at_once])  # [n, M, L]
            true = truth[start : start + at_once].toarray()
            z = np.einsum("nml,m->nl", some, at[:-1]) + at[-1]
            total += float(np.logaddexp(0, z).sum() - (z * true).sum())
            error = special.expit(z) - true
            gradient[:-1] += np.einsum("nml,nl->m", some, error)
            gradient[-1] += error.sum()
        size = max(count * width, 1)
        return total / size, gradient / size

    best = optimize.minimize(
        loss,
        np.array([*[1 / members] * members, 0.0]),
        jac=True,
        method="L-BFGS-B",
        bounds=[*[(0, None)] * members, (None, None)],
        options={"ftol": 1e-15, "gtol": 1e-9},
    )
    *weights, bias = best.x.tolist()
    return Combination("log-linear", weights, bias)
