"""Prediction of listed images: those alone are scored, in the order of the list."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from replearn.arrays import Vectors
from replearn.detection.decisions.rules import GlobalThreshold
from replearn.detection.detector import Detector
from replearn.detection.prediction import predict_concepts
from replearn.features import Features

FEATURES = Features([f"image-{n}" for n in range(6)], np.eye(6, dtype=np.float32), "features:1")


@dataclass
class Itself:
    """A scorer whose scores are the features, and who keeps what it was asked about."""

    asked: list[Vectors] = field(default_factory=list)
    kind: str = "itself"

    def scores(self, vectors: Vectors) -> sparse.csr_array:
        self.asked.append(vectors)
        return sparse.csr_array(vectors)

    def save(self, folder: Any) -> dict[str, Any]:
        raise NotImplementedError


def detector_of(scorer: Itself) -> Detector:
    words = [f"C{n}" for n in range(6)]
    rule = GlobalThreshold(0.5)
    return Detector(scorer, words, rule, 0.5, ["C5"], {}, [], None, "detector:1")


def test_images_of_a_list_are_described_in_its_order_and_no_others_are_scored() -> None:
    scorer = Itself()
    concepts = predict_concepts(
        detector_of(scorer), FEATURES, ["image-4", "image-1", "image-4"], limit=None
    )
    assert concepts == [["C4"], ["C1"], ["C4"]]
    assert sum(map(len, scorer.asked)) == 2


def test_images_without_features_get_the_constant() -> None:
    ids = ["image-2", *(f"lost-{n}" for n in range(9))]
    concepts = predict_concepts(detector_of(Itself()), FEATURES, ids, limit=None)
    assert concepts == [["C2"], *[["C5"]] * 9]
