"""Pixels of any size -> a square of one size."""

import cv2
import numpy as np

from replearn.arrays import Array
from replearn.images.form import Form

_SHIFT = 0.15  # pixels of the target by which a reduced scale may move what is at an edge


def fit_into_square(pixels: Array, form: Form) -> Array:
    """Bring uint8 [H, W] or [H, W, 3] to the size of a form, as it says."""
    size = form.size
    return resize(pixels, size, size) if form.fit == "stretch" else _pad(pixels, size)


def resize(pixels: Array, height: int, width: int) -> Array:
    """Resize [H, W] or [H, W, C]: area averaging where an axis shrinks, linear where it grows.

    One axis at a time of need: OpenCV's area averaging falls back to interpolation, which
    aliases, as soon as one of the two axes grows.
    """
    rows, columns = pixels.shape[:2]
    smaller = (min(columns, width), min(rows, height))
    if smaller != (columns, rows):
        pixels = cv2.resize(pixels, smaller, interpolation=cv2.INTER_AREA)
    if smaller != (width, height):
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    return pixels


def _pad(pixels: Array, size: int) -> Array:
    rows, columns = pixels.shape[:2]
    longer = max(rows, columns)
    height, width = (max(1, round(side * size / longer)) for side in (rows, columns))
    canvas = np.zeros((size, size, *pixels.shape[2:]), np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    canvas[top : top + height, left : left + width] = resize(pixels, height, width)
    return canvas


def reduction(width: int, height: int, form: Form) -> int:
    """Return by how much a JPEG may shrink in decoding: what remains is twice the target or more.

    The decoder averages well, but a resizing by less than two would show what it left out.  A side
    that the factor does not divide is rounded up, which must not move anything by a visible share
    of a pixel of the target.
    """
    longer = max(width, height)
    if (min(width, height) if form.fit == "stretch" else longer) < 4 * form.size:
        return 1  # as most small images, at once
    sides = (width, height)
    wanted = [form.size if form.fit == "stretch" else form.size * side / longer for side in sides]
    for factor in (8, 4, 2):
        if all(
            side // factor >= 2 * target and (-side % factor) * target <= _SHIFT * side
            for side, target in zip(sides, wanted, strict=True)
        ):
            return factor
    return 1
