"""Samples of any depth -> 8-bit pixels on white.

Unsigned samples of up to 8 bits use their whole range.  Of more bits, files seldom say how many
are used: the 12 bits of a detector lie in the 16 of a file.  So [0, 2^b - 1] becomes [0, 255] with
b the bits in use: the least number, at least 8, that holds all samples but one in a thousand, so
that a few defective pixels do not darken an image.  Each image has its own b; where these differ
in a set, `Form.bits` gives all the same.  Signed and floating-point samples have no range of their
own: `Form.value_range` states it.

A large image leaves little room in memory, so this works in strips of rows.
"""

from typing import NamedTuple

import cv2
import numpy as np

from replearn.arrays import Array
from replearn.images.form import Form
from replearn.images.picture import Picture, UnreadableImage, strips

_EXAMPLES = {
    "int8": "-128,127",
    "int16": "-1024,3071",
    "int32": "-1024,3071",
    "int64": "0,255",  # what NumPy makes of whole numbers
}
_BEYOND = 1000  # one sample in so many may be larger than the bits in use hold


class _Levels(NamedTuple):
    """The samples that are shown black and white, and the bits in use."""

    black: float
    white: float
    bits: int


def to_eight_bits(picture: Picture, form: Form) -> tuple[Array, int]:
    """Return a picture as uint8 [H, W] or [H, W, 3], the latter blue, green, red.

    Args:
        picture: as decoded; its memory may be used for the result.
        form: says which bits and range hold, and whether colours are wanted.

    Returns:
        The pixels, and the bits in use; 0 where samples have at most 8, or no bits at all.

    Raises:
        UnreadableImage: its range is not known, or it uses more bits than the form has.
    """
    samples = picture.samples
    is_usual = samples.dtype == np.uint8 and picture.depth == 8 and picture.alpha is None
    if is_usual and not picture.white_is_zero and (picture.blue_first or samples.ndim == 2):
        return samples, 0
    samples = np.atleast_3d(samples)  # [H, W, C]
    colours = 3 if samples.shape[2] >= 3 else 1
    if picture.alpha is not None and not picture.depth:
        raise UnreadableImage("signed or floating-point samples with transparency; convert it")
    levels = _levels(samples[..., :colours], picture.depth, form)
    grey = colours == 1 or form.channels == 1
    pixels = _room(samples, samples.shape[:2] if grey else (*samples.shape[:2], 3))
    for rows in strips(samples):
        shown = _shown(picture, samples[rows], colours, levels)
        pixels[rows] = cv2.cvtColor(shown, cv2.COLOR_BGR2GRAY) if grey and colours == 3 else shown
    return pixels, levels.bits


def _levels(samples: Array, depth: int, form: Form) -> _Levels:
    if depth == 0:
        if form.value_range is None:
            example = _EXAMPLES.get(samples.dtype.name, "0,1")
            raise UnreadableImage(
                f"{samples.dtype} samples, whose range is not known: state what is black and what "
                f"is white, as --range {example}"
            )
        return _Levels(*form.value_range, 0)
    if depth <= 8:
        return _Levels(0, 2**depth - 1, 0)
    packed = samples.shape[2] == 3 and depth < 16  # colours of 10, 12 or 14 bits use them all
    used = depth if packed else _bits_in_use(samples)
    if form.bits is not None and used > form.bits:
        raise UnreadableImage(f"it uses {used} bits a sample, more than --bits {form.bits}")
    return _Levels(0, 2 ** (form.bits or used) - 1, used)


def _bits_in_use(samples: Array) -> int:
    bits = max(8, int(samples.max()).bit_length())
    allowed = samples.size // _BEYOND
    while bits > 8 and _count_above(samples, 2 ** (bits - 1) - 1, allowed) <= allowed:
        bits -= 1
    return bits


def _count_above(samples: Array, value: int, enough: int) -> int:
    """Return how many samples are larger than a value; it may stop where that is enough to know."""
    count = 0
    for rows in strips(samples):
        count += int(np.count_nonzero(samples[rows] > value))
        if count > enough:
            break
    return count


def _room(samples: Array, shape: tuple[int, ...]) -> Array:
    """Return a place for 8-bit pixels: the front of the samples' own memory, if it can be had.

    A row of pixels is no longer than one of samples, so no row is written before it was read.
    """
    size = int(np.prod(shape))
    if samples.flags.c_contiguous and samples.flags.writeable and samples.dtype.kind in "uif":
        return samples.reshape(-1).view(np.uint8)[:size].reshape(shape)
    return np.empty(shape, np.uint8)


def _shown(picture: Picture, samples: Array, colours: int, levels: _Levels) -> Array:
    """Return a strip [h, W, C] as uint8 [h, W], or [h, W, 3] of blue, green, red."""
    shown = _scaled(samples[..., :colours], levels)
    if picture.white_is_zero:
        shown = 255 - shown
    if picture.alpha is not None:
        opacity = _opacity(samples[..., colours:], picture.depth)
        colour = shown if picture.alpha == "premultiplied" else shown * opacity
        shown = np.rint(colour + 255 * (1 - opacity)).clip(0, 255).astype(np.uint8)
    if colours == 1:
        return shown[..., 0]
    return np.ascontiguousarray(shown if picture.blue_first else shown[..., ::-1])


def _scaled(samples: Array, levels: _Levels) -> Array:
    shown: Array
    if samples.dtype.itemsize <= 2 and samples.dtype.kind == "u":
        within = np.minimum(samples, np.uint16(min(levels.white, 2**16 - 1)))
        shown = np.rint(within * np.float32(255 / levels.white)).astype(np.uint8)
        return shown
    share = (samples.astype(np.float64) - levels.black) / (levels.white - levels.black)
    if not np.isfinite(share).all():
        raise UnreadableImage("some of its samples are no numbers (NaN or infinite)")
    shown = np.rint(share.clip(0, 1) * 255).astype(np.uint8)
    return shown


def _opacity(alpha: Array, depth: int) -> Array:
    eight = alpha if depth <= 8 else alpha >> (depth - 8)
    opacity: Array = eight.astype(np.float32) / (2 ** min(depth, 8) - 1)
    return opacity
