"""Pictures of images on a page, found by their ids as long as their source is there."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from replearn.images.data_url import image_url
from replearn.images.thumbnails import ImageLookup

Pictures = Mapping[str, NDArray[np.uint8]]
FindPictures = Callable[[Sequence[str]], Pictures]
"""Returns pixels uint8 [C, H, W] of those of the ids that it finds."""


def find_none(ids: Sequence[str]) -> Pictures:
    """Find no picture: the source of the images is not known."""
    return {}


def finder_in(source: Path | None, ids: Sequence[str]) -> FindPictures:
    """Return what finds the pictures of these ids in a source; it finds none without one."""
    return ImageLookup(source, ids).pixels_of if source and source.exists() else find_none


def picture_url(pictures: Pictures, id_: str) -> str | None:
    """Return a `data:` address of the picture of an id, None if it was not found."""
    return image_url(pictures[id_].transpose(1, 2, 0)) if id_ in pictures else None
