"""Small pictures of images by their ids, wherever these lie."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from replearn.images import ImageSet, is_prepared, open_images

Find = Callable[[Sequence[str]], dict[str, NDArray[np.uint8]]]

SIDE = 128  # pixels; what is prepared is shown as it is


def finder(source: Path | None) -> Find:
    """Return what finds the pixels uint8 [C, H, W] of those ids that a source has.

    Args:
        source: a prepared image set or whatever can be prepared; None has nothing.
    """

    def find(ids: Sequence[str]) -> dict[str, NDArray[np.uint8]]:
        if source is None or not source.exists() or not ids:
            return {}
        if is_prepared(source):
            found = ImageSet.load(source).select(ids)
        else:
            found = open_images(source, size=SIDE, channels=3, fit="pad", ids=ids, max_errors=1.0)
        return dict(zip(found.ids, found.pixels, strict=True))

    return find
