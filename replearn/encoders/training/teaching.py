"""What a taught objective learns from: a teacher's features of the images of the training set."""

from replearn.arrays import Vectors
from replearn.encoders.contract import TaughtObjective
from replearn.encoders.models import MODELS
from replearn.errors import DataError, UsageError, some_of
from replearn.features import Features
from replearn.images.image_set import ImageSet


def is_taught(model: str) -> bool:
    """Tell whether a model learns from a teacher's features beside the images."""
    return issubclass(MODELS[model], TaughtObjective)


def check_teacher(model: str, teacher: Features | None, images: ImageSet) -> None:
    """Refuse a model without its teacher, a teacher that is not needed, and one of other images.

    Raises:
        DataError: some of the images have no features.
        UsageError: the model needs features and has none, or the other way round.
    """
    if not is_taught(model):
        if teacher is not None:
            raise UsageError(
                f"--teacher: model {model} learns from the images alone; leave it out, or train "
                "model distilled"
            )
        return
    if teacher is None:
        raise UsageError(
            f"model {model}: it learns from a teacher's features; give them with --teacher "
            "FEATURES.h5"
        )
    missing = teacher.missing(images.ids)
    if missing:
        raise DataError(
            f"--teacher: no features of {len(missing):,} of {len(images):,} images "
            f"({some_of(missing)}); extract them, or train on those that have some with --ids"
        )


def targets_of(model: TaughtObjective, teacher: Features, images: ImageSet) -> Vectors:
    """Return what a model is to learn from each image, float [N, D]."""
    return model.aims(teacher.vectors_of(images.ids))
