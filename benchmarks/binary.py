"""A linear probe and neighbours for one class or the other, with AUC and intervals, in per cent."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks.datasets import Classes, Labels
from benchmarks.probes import GRIDS, Parts, SoftmaxRegression, nearest_classes, standardise, sweep
from replearn.metrics import bootstrap_interval

NEIGHBOURS = 11  # as the authors of MedMNIST's baselines and others take
_RESAMPLES = 1000

Interval = tuple[float, float]


def probe_binary(
    features: Parts, labels: Mapping[str, Labels]
) -> tuple[dict[str, float], dict[str, Interval]]:
    """Return scores on test, and 95 % bootstrap intervals of them over its images.

    C is chosen on validation; the threshold on probabilities is 0.5.

    Args:
        features: float [N, D] of the parts train, valid and test.
        labels: classes 0 and 1 of each part.
    """
    values = {part: torch.from_numpy(some).double() for part, some in standardise(features).items()}
    classes = {part: some for part, some in labels.items() if isinstance(some, Classes)}
    numbers = {part: some.numbers for part, some in classes.items()}
    softmax = SoftmaxRegression(values["train"], torch.from_numpy(numbers["train"]), 2)

    def margins(weights: torch.Tensor, part: str) -> NDArray[np.float64]:
        scores = values[part] @ weights[:-1] + weights[-1]
        return np.asarray(scores[:, 1] - scores[:, 0])

    def accuracy(weights: torch.Tensor, part: str) -> float:
        return 100 * float(((margins(weights, part) > 0) == numbers[part]).mean())

    chosen = sweep(GRIDS[Classes], softmax.fit, accuracy)
    ranked, truth = margins(softmax.fit(chosen["C"]), "test"), numbers["test"]
    votes = nearest_classes(features, classes["train"], "cosine", NEIGHBOURS)
    correct = {"linear": (ranked > 0) == truth, f"knn {NEIGHBOURS}": votes == truth}
    scores = {name: 100 * float(hits.mean()) for name, hits in correct.items()}
    intervals = {name: bootstrap_interval(100.0 * hits) for name, hits in correct.items()}
    scores["AUC"], intervals["AUC"] = area(ranked, truth), _interval_of_area(ranked, truth)
    return chosen | scores, intervals


def area(scores: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """Return the area under the ROC curve of scores [N] for classes 0 and 1 [N], in per cent."""
    return 100 * float(roc_auc_score(truth, scores))


def _interval_of_area(scores: NDArray[np.float64], truth: NDArray[np.int64]) -> Interval:
    random = np.random.default_rng(0)
    areas = []
    for _ in range(_RESAMPLES):
        drawn = random.integers(0, len(truth), len(truth))
        if 0 < truth[drawn].sum() < len(drawn):
            areas.append(area(scores[drawn], truth[drawn]))
    low, high = np.quantile(areas, [0.025, 0.975])
    return float(low), float(high)
