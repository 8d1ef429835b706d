"""OpenCV's decoders, which are fast and refuse data that are cut off."""

import cv2
import numpy as np

from replearn.arrays import Array
from replearn.images.picture import UnreadableImage


def imdecode(data: bytes, flag: int) -> Array | None:
    """Return what `cv2.imdecode` returns: the pixels, blue first, or None."""
    return cv2.imdecode(np.frombuffer(data, np.uint8), flag)


def decode_with_opencv(data: bytes, flag: int, what: str) -> Array:
    """Return the pixels, uint8 or uint16 [H, W] or [H, W, C], blue first.

    Raises:
        UnreadableImage: the data, which are `what`, are damaged.
    """
    try:
        pixels = imdecode(data, flag)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError
        pixels = None
    if pixels is None:
        raise UnreadableImage(f"a truncated or damaged {what}; fetch or export it again")
    return pixels
