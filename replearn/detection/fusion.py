"""Two detectors as one: a logistic regression and a vote of neighbours, on the logit scale.

    p = sigmoid(a logit(p_linear) + b logit(p_neighbours) + c)

with the same a, b and c for all concepts, so that few validation images suffice.  One more
neighbour votes as the prior, which keeps logits finite and distinguishes a rare concept that no
neighbour shows from a frequent one.  For a concept that the regression does not know, p_linear is
its prior.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special

from replearn.arrays import Floats
from replearn.detection.decisions.scores import Scores, in_order, logits

_PAIRS = 2**20  # at a time


@dataclass(frozen=True)
class Fusion:
    """The three parameters of the fused logits.

    Attributes:
        linear: a, the weight of the regression's logits.
        neighbours: b, the weight of the neighbours' logits.
        bias: c.
    """

    linear: float
    neighbours: float
    bias: float

    def combine(self, evidence: "Evidence") -> Scores:
        """Return probabilities [M, L]; sparse if there are more concepts than the regression's."""
        known = self._of(evidence.linear, evidence.neighbours)
        if evidence.tail.shape[1] == 0:
            return known
        tail = evidence.tail.copy()
        tail.data = self._of(evidence.tail_prior[tail.indices], tail.data)
        return sparse.csr_array(sparse.hstack([sparse.csr_array(known), tail], format="csr"))

    def _of(self, linear: Floats, neighbours: Floats) -> Floats:
        together = self.linear * linear + self.neighbours * neighbours + self.bias
        return np.asarray(special.expit(together))


@dataclass(frozen=True)
class Evidence:
    """The logits of both detectors, the T concepts of the regression first.

    Attributes:
        linear: of the regression [M, T].
        neighbours: of the neighbours, for the same concepts [M, T].
        tail: of the neighbours, for other concepts that one of them shows, sparse [M, L - T].
        tail_prior: of the priors of those [L - T].
    """

    linear: Floats
    neighbours: Floats
    tail: sparse.csr_array
    tail_prior: Floats

    @classmethod
    def of(cls, linear: Floats, votes: sparse.csr_array, prior: Floats, k: int) -> "Evidence":
        """Return the logits of probabilities [M, T] and votes [M, L] of k neighbours.

        Args:
            linear: probabilities of the first T concepts.
            votes: shares of the neighbours.
            prior: share of all indexed images that show each concept [L].
            k: how many neighbours voted.
        """
        width = linear.shape[1]
        prior = prior.astype(np.float32)
        known = (k * votes[:, :width].toarray() + prior[:width]) / (k + 1)
        tail = in_order(votes[:, width:]).copy()
        tail.data = logits((k * tail.data + prior[width:][tail.indices]) / (k + 1))
        return cls(logits(linear), logits(known), tail, logits(prior[width:]))

    def pairs(self, truth: sparse.csr_array) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Return both logits of all pairs of an image and a concept, and which are true.

        Args:
            truth: 0/1 [M, L].
        """
        width, rest = self.linear.shape[1], self.tail.shape[1]
        true = truth[:, :width].toarray().ravel() > 0
        rows, columns = sparse.coo_array(self.tail).coords
        true_rows, true_columns = sparse.coo_array(truth[:, width:]).coords
        pairs = rows.astype(np.int64) * rest + columns
        true_pairs = true_rows.astype(np.int64) * rest + true_columns
        return (
            np.concatenate([self.linear.ravel(), self.tail_prior[columns]]),
            np.concatenate([self.neighbours.ravel(), self.tail.data]),
            np.concatenate([true, np.isin(pairs, true_pairs)]),
        )


def fit_fusion(evidence: Evidence, truth: sparse.csr_array) -> Fusion:
    """Return the parameters with the smallest log loss over all pairs, a and b not negative.

    Args:
        evidence: of validation images that neither detector was fitted on.
        truth: 0/1 [M, L].
    """
    from scipy import optimize  # a tenth of a second that loading a detector need not wait for

    pairs = evidence.pairs(truth)

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        return _mean_loss(*pairs, at)

    best = optimize.minimize(
        loss,
        np.array([0.5, 0.5, 0.0]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None), (0, None), (None, None)],
        options={"ftol": 1e-15, "gtol": 1e-9},
    )
    return Fusion(*best.x.tolist())


def _mean_loss(
    linear: Floats, neighbours: Floats, true: NDArray[np.bool_], at: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Return the mean log loss of the pairs at some parameters, and its gradient [3]."""
    loss, gradient = 0.0, np.zeros(3)
    for start in range(0, len(true), _PAIRS):
        some = slice(start, start + _PAIRS)
        X = np.stack([linear[some], neighbours[some], np.ones_like(linear[some])])  # [3, M]
        z = at @ X
        loss += float(np.logaddexp(0, z).sum() - z[true[some]].sum())
        gradient += X @ (special.expit(z) - true[some])
    return loss / max(len(true), 1), gradient / max(len(true), 1)
