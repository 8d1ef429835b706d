"""Prediction: the concepts that a detector finds in images, by their ids."""

from collections.abc import Sequence
from pathlib import Path

from replearn.artefacts.identity import check_same
from replearn.console import warn
from replearn.detection.detector import Detector
from replearn.errors import DataError
from replearn.features import Features


def predict_concepts(
    detector: Detector,
    features: Features,
    ids: Sequence[str],
    *,
    limit: int | None,
    place: Path,
    listed: Path,
) -> list[list[str]]:
    """Return the concepts of each image [M], the likeliest first.

    An image without features gets the best constant prediction, with a warning.

    Args:
        detector: fitted on features of the same encoder.
        features: of the images; may hold more.
        ids: the images [M].
        limit: at most this many concepts for an image.
        place: where the features come from, for messages.
        listed: where the ids come from, for messages.

    Raises:
        DataError: the features are of another encoder, or of none of the images.
    """
    check_same(detector.encoder, features.encoder, f"the encoder of {place}")
    without = features.missing(ids)
    if len(without) == len(ids):
        raise DataError(
            f"{place}: has features of none of the {len(ids)} images of {listed}; give the "
            "features of these images"
        )
    if without:
        warn(
            f"{len(without)} of {len(ids)} images have no features and get the best constant "
            f"prediction: {', '.join(without)}"
        )
    predicted = detector.name_concepts(features.vectors, limit=limit)
    of_image = dict(zip(features.ids, predicted, strict=True))
    return [of_image.get(id_, detector.constant) for id_ in ids]
