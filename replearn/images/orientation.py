"""How a picture has to be turned to be upright, as EXIF says it."""

import numpy as np
from PIL import Image

from replearn.arrays import Array

_ORIENTATION = 274  # the tag in EXIF and TIFF


def orientation_of(exif: bytes) -> int:
    """Return the orientation 1 to 8 that EXIF states; 1, which is upright, where it states none."""
    if not exif:
        return 1
    try:
        found = Image.Exif()
        found.load(exif)
        return int(found.get(_ORIENTATION, 1))
    except Exception:  # a damaged note about the image says nothing against the image
        return 1


def upright(pixels: Array, orientation: int) -> Array:
    """Return pixels [H, W] or [H, W, C] as they are to be seen, contiguous."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
