"""What frozen features are worth to replearn's own detectors: mean F1 per image, in per cent."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.data_folders import Parts
from benchmarks.probes import Features
from replearn.detection.detector import Detector
from replearn.detection.fit_detector import fit_detector
from replearn.features import Features as NamedFeatures
from replearn.metrics import f1_of_sets

DETECTORS: dict[str, dict[str, Any]] = {
    "linear": {"method": "linear"},
    "neighbours": {"method": "knn"},
    "fused": {"method": "fused"},
}


def score_detectors(
    features: Mapping[str, Features], parts: Parts
) -> tuple[dict[str, dict[str, float]], dict[str, list[list[str]]]]:
    """Return the F1 of each scored image by detector, and what each names of the asked images.

    Settings and rules are chosen on the part `valid`; see `data_folders`.

    Args:
        features: float [N, D] of each part.
        parts: the images that these are of.
    """
    named = {
        part: NamedFeatures(parts.ids[part], vectors, part, encoder="measured")
        for part, vectors in features.items()
    }
    per_image, predicted = {}, {}
    for name, options in DETECTORS.items():
        detector = fit_detector(
            (named["train"], parts.table("train")),
            (named["valid"], parts.table("valid")),
            groups=parts.groups or None,
            **options,
        )
        per_image[name] = _f1_per_image(detector, named["test"], parts)
        if "asked" in named:
            predicted[name] = detector.concepts(named["asked"])
    return per_image, predicted


def _f1_per_image(detector: Detector, features: NamedFeatures, parts: Parts) -> dict[str, float]:
    found = detector.concepts(features)
    true = (frozenset(parts.concepts[id_]) for id_ in features.ids)
    return {
        id_: 100 * f1_of_sets(truth, frozenset(concepts)) if truth else np.nan
        for id_, truth, concepts in zip(features.ids, true, found, strict=True)
    }
