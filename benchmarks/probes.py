"""What frozen features are worth: linear probes and nearest neighbours, scores in per cent.

Everything is chosen on validation images and reported on test images.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.datasets import Classes, Concepts, Labels
from replearn import metrics
from replearn.detection import voting
from replearn.detection.decisions.scores import ScoredImages, Scores
from replearn.detection.decisions.threshold import name_above, tune_threshold
from replearn.detection.logistic.regression import MultiLabelLogisticRegression
from replearn.neighbors.build_index import index_vectors
from replearn.neighbors.engine import Metric

Features = NDArray[np.float32]
Parts = Mapping[str, Features]

# Strong to weak, so that each solution starts the next.  The losses are summed, as scikit-learn
# does: with more images the same C regularises less.
GRIDS: dict[type, tuple[float, ...]] = {
    Classes: (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0),
    Concepts: (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0),
}
NEIGHBOURS = (1, 20, 200)
_FALL = 0.5  # points below the best on validation end the search; less may be chance


def probe(features: Parts, labels: Mapping[str, Labels], device: str) -> dict[str, float]:
    """Return all scores of one encoder, and the C that was chosen.

    Args:
        features: float [N, D] of each part.
        labels: of each part; without a part `valid` only what needs no choice is measured, the
            nearest neighbour in Euclidean distance.
        device: where the softmax probe computes.
    """
    if "valid" not in features:
        return {"knn 1 l2": nearest(features, labels, "l2", (1,))[1]}
    cosine = nearest(features, labels, "cosine", NEIGHBOURS)
    linear = linear_probe(features, labels, device)
    return linear | {f"knn {k}": score for k, score in cosine.items()}


def standardise(features: Parts) -> dict[str, Features]:
    """Bring every feature to mean 0 and deviation 1 over the training images."""
    mean = features["train"].mean(axis=0, dtype=np.float64)
    scale = features["train"].std(axis=0, dtype=np.float64)
    # What is constant but for its rounding stays at zero.
    scale[scale <= 1e-6 * np.maximum(np.abs(mean), scale.max(initial=0))] = 1.0
    mean, scale = mean.astype(np.float32), scale.astype(np.float32)
    return {part: (values - mean) / scale for part, values in features.items()}


# Linear -------------------------------------------------------------------------------------------


def linear_probe(features: Parts, labels: Mapping[str, Labels], device: str) -> dict[str, float]:
    """Fit along the grid of C, choose on validation, and score the choice on test."""
    train, grid = labels["train"], GRIDS[type(labels["train"])]
    if isinstance(train, Concepts):
        return sweep(grid, *_of_concepts(features, labels))
    precision = torch.get_float32_matmul_precision()
    # A training may have lowered it; ten bits don't solve ill-conditioned systems.
    torch.set_float32_matmul_precision("highest")
    try:
        return sweep(grid, *_of_classes(standardise(features), labels, device))
    finally:
        torch.set_float32_matmul_precision(precision)


Fit = Callable[[float], Any]
Score = Callable[[Any, str], float]


def sweep(grid: Sequence[float], fit: Fit, score: Score) -> dict[str, float]:
    """Return the test score of the C with the best validation score, the stronger if several.

    Where C is too large already the largest would take most of the time, so they are not tried.
    """
    best: dict[str, float] = {}
    for strength in grid:
        model = fit(strength)
        valid = score(model, "valid")
        if best and valid < best["linear valid"] - _FALL:
            break
        if not best or valid > best["linear valid"]:
            best = {"linear": score(model, "test"), "linear valid": valid, "C": strength}
    return best


def _of_classes(features: Parts, labels: Mapping[str, Labels], device: str) -> tuple[Fit, Score]:
    tensors = {part: torch.from_numpy(values).to(device) for part, values in features.items()}
    numbers = {part: torch.from_numpy(_classes(labels[part]).numbers).to(device) for part in labels}
    count = _classes(labels["train"]).count
    softmax = SoftmaxRegression(tensors["train"], numbers["train"], count)

    def score(weights: Tensor, part: str) -> float:
        chosen = (tensors[part] @ weights[:-1] + weights[-1]).argmax(1)
        return 100 * (chosen == numbers[part]).double().mean().item()

    return softmax.fit, score


def _of_concepts(features: Parts, labels: Mapping[str, Labels]) -> tuple[Fit, Score]:
    model = MultiLabelLogisticRegression(warm_start=True)  # standardises by itself
    truth = {part: _concepts(labels[part]) for part in labels}

    def fit(strength: float) -> float:
        model.set_params(C=strength).fit(features["train"], truth["train"].matrix)
        scores = model.predict_proba(features["valid"])
        valid = truth["valid"]
        return tune_threshold(ScoredImages(scores, valid.matrix, valid.counts, "match")).value

    def score(threshold: float, part: str) -> float:
        return _f1(model.predict_proba(features[part]), threshold, truth[part])

    return fit, score


def _f1(scores: Scores, threshold: float, truth: Concepts) -> float:
    named = name_above(scores, threshold)
    return 100 * metrics.mean_f1(truth.matrix, named, truth.counts, empty="match")


@dataclass
class SoftmaxRegression:
    """L2-penalised logistic regression of one class among several, on any device.

    The objective and the meaning of C are scikit-learn's,

        C sum_i -log softmax(x_i W + b)[y_i]  +  |W|^2 / 2,     b free,

    divided by C N.  Features of one encoder are strongly correlated, which takes L-BFGS thousands
    of steps where C is large.  So it works on V with W = L^-T V, where L L^T is the objective's
    curvature if all images were equally uncertain: in V that curvature is the identity.

    Attributes:
        features: standardised, float [N, D].
        classes: int64 [N].
        count: number of classes.
    """

    features: Tensor
    classes: Tensor
    count: int

    def __post_init__(self) -> None:
        ones = self.features.new_ones(len(self.features), 1)
        self._extended = torch.cat([self.features, ones], dim=1)  # the last weight is the bias
        width = self._extended.shape[1]
        self._weights = self.features.new_zeros(width, self.count)
        self._penalised = self.features.new_ones(width, 1)
        self._penalised[-1] = 0
        self._gram = torch.zeros(width, width, dtype=torch.float64, device=self.features.device)
        for part in torch.split(self._extended, 1024):  # few enough for sums in single precision
            self._gram += part.T @ part
        self._gram /= len(self.features)

    def objective(self, weights: Tensor, strength: float) -> Tensor:
        """Return the objective of weights [D + 1, classes] divided by C N."""
        losses = F.cross_entropy(self._extended @ weights, self.classes)
        penalty = (self._penalised * weights.square()).sum()
        return losses + penalty / (2 * strength * len(self.features))

    def fit(self, strength: float) -> Tensor:
        """Return the best weights [D + 1, classes] for C = `strength`; begin at the last ones."""
        factor = self._factor(strength)  # upper
        start = (factor @ self._weights).requires_grad_()
        optimiser = torch.optim.LBFGS(
            [start],
            max_iter=300,
            tolerance_grad=1e-5,
            tolerance_change=1e-7,
            history_size=20,
            line_search_fn="strong_wolfe",
        )

        def closure() -> float:
            optimiser.zero_grad()
            weights = torch.linalg.solve_triangular(factor, start, upper=True)
            loss = self.objective(weights, strength)
            loss.backward()  # type: ignore[no-untyped-call]
            return loss.item()

        optimiser.step(closure)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            self._weights = torch.linalg.solve_triangular(factor, start, upper=True)
        return self._weights

    @torch.no_grad()
    def _factor(self, strength: float) -> Tensor:
        """Return the upper factor of the curvature at the last weights, averaged over images."""
        shares = (self._extended @ self._weights).softmax(1)
        uncertainty = (shares * (1 - shares)).mean().item()
        ridge = self._penalised.double() / (strength * len(self.features))
        rounding = 1e-7 * uncertainty * self._gram.trace()
        curvature = uncertainty * self._gram + torch.diag(ridge[:, 0] + rounding)
        factor: Tensor = torch.linalg.cholesky(curvature, upper=True)
        return factor.to(self.features)


# Nearest neighbours -------------------------------------------------------------------------------


def nearest(
    features: Parts, labels: Mapping[str, Labels], metric: Metric, neighbours: Sequence[int]
) -> dict[int, float]:
    """Return the test score of each number of nearest training images; features as they are."""
    train = features["train"]
    index = index_vectors([str(row) for row in range(len(train))], train, metric=metric)
    most = max(neighbours)
    concepts = isinstance(labels["train"], Concepts)
    parts = ("valid", "test") if concepts else ("test",)
    found = {part: index.search(features[part], most) for part in parts}
    if concepts:
        return {k: _vote_for_concepts(found, metric, labels, k) for k in neighbours}
    known, truth = _classes(labels["train"]), _classes(labels["test"])
    _, rows = found["test"]
    return {
        k: 100 * float((vote(known.numbers[rows[:, :k]], known.count) == truth.numbers).mean())
        for k in neighbours
    }


def nearest_classes(
    features: Parts, known: Classes, metric: Metric, neighbours: int
) -> NDArray[np.int64]:
    """Return the class [M] that the nearest training images of each test image vote for."""
    train = features["train"]
    index = index_vectors([str(row) for row in range(len(train))], train, metric=metric)
    _, rows = index.search(features["test"], neighbours)
    return vote(known.numbers[rows], known.count)


def vote(classes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the most frequent class [M] of neighbours [M, k], nearest first.

    Among equally frequent classes the one of nearer neighbours wins.
    """
    images, k = classes.shape
    votes = np.zeros((images, count))
    # All bonuses together weigh less than one neighbour.
    weights = 1 + (k - np.arange(k)) / (k + 1) ** 2
    np.add.at(votes, (np.arange(images)[:, None], classes), weights)
    return np.asarray(votes.argmax(axis=1), np.int64)


def _vote_for_concepts(
    found: Mapping[str, tuple[NDArray[np.float32], NDArray[np.int64]]],
    metric: Metric,
    labels: Mapping[str, Labels],
    k: int,
) -> float:
    """Score the concepts that the k nearest name, with the threshold that suits validation."""
    known = _concepts(labels["train"]).matrix
    vote = voting.Vote("similarity" if metric == "cosine" else "gaussian", k)
    valid, test = (
        vote.scores(rows, distances, metric, known)
        for distances, rows in (found["valid"], found["test"])
    )
    truth = _concepts(labels["valid"])
    threshold = tune_threshold(ScoredImages(valid, truth.matrix, truth.counts, "match")).value
    return _f1(test, threshold, _concepts(labels["test"]))


def _classes(labels: Labels) -> Classes:
    if not isinstance(labels, Classes):
        raise TypeError("concepts where classes are expected")
    return labels


def _concepts(labels: Labels) -> Concepts:
    if not isinstance(labels, Concepts):
        raise TypeError("classes where concepts are expected")
    return labels
