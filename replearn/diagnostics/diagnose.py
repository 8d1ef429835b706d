"""All that applies to two sets of features, or to an encoder and images, in one call."""

import numpy as np

from replearn.arrays import Vectors
from replearn.diagnostics.diagnosis import Diagnosis, Numbers
from replearn.diagnostics.estimates import blocks_of_rows
from replearn.diagnostics.precision_recall import precision_recall
from replearn.diagnostics.set_distances import frechet_distance, kernel_distance
from replearn.errors import DataError
from replearn.features import Features

FEWEST = 20  # images of a set: one for each block


def diagnose_features(real: Features, fake: Features) -> Diagnosis:
    """Return how two sets of features of the same encoder differ.

    Args:
        real: of real images.
        fake: of samples, or of any other images.

    Raises:
        DataError: the widths differ, or a set has fewer than 20 images.
    """
    widths = real.vectors.shape[1], fake.vectors.shape[1]
    if widths[0] != widths[1]:
        raise DataError(
            f"features of width {widths[0]} and of width {widths[1]} have nothing to compare; "
            "extract both with the same encoder"
        )
    for name, features in (("real", real), ("fake", fake)):
        if len(features) < FEWEST:
            raise DataError(
                f"{len(features)} {name} images: give at least {FEWEST}, intervals need blocks"
            )
    facts = {
        "real": f"{len(real):,} images",
        "fake": f"{len(fake):,} images",
        "width": f"{widths[0]:,}",
    }
    numbers = {"samples": compare_samples(np.asarray(real.vectors), np.asarray(fake.vectors))}
    return Diagnosis("two sets of features", facts, numbers)


def compare_samples(real: Vectors, fake: Vectors) -> Numbers:
    """Return how features of samples float [M, D] differ from those of real images float [N, D].

    The value of real against real is that of one half of the real images against the other.
    """
    half = blocks_of_rows(len(real), seed=1, blocks=2) == 0
    one, other = real[half], real[~half]
    found = frechet_distance(real, fake)
    plain = frechet_distance(one, other)
    found |= {"kernel": kernel_distance(real, fake)} | precision_recall(real, fake)
    plain |= {"kernel": kernel_distance(one, other)} | precision_recall(one, other)
    return {
        name: estimate.against(plain[name].value) if name in plain else estimate
        for name, estimate in found.items()
    }
