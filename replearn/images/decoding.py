"""Bytes of an image file -> pixels of one size: decode, show upright in 8 bits on white, resize.

The first bytes tell what kind of file it is, whatever its name; a module for each kind decodes it.
Nothing is decoded before its size is known.
"""

import logging
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from replearn.arrays import Array
from replearn.images.array_files import read_array
from replearn.images.bmp import read_bmp
from replearn.images.dicom import read_dicom
from replearn.images.form import Fit, Form, ValueRange
from replearn.images.jpeg import check_scans, read_jpeg, refuse_damage
from replearn.images.jpeg2000 import read_jpeg2000
from replearn.images.kinds import Kind, describe, kind_of
from replearn.images.levels import to_eight_bits
from replearn.images.native_messages import listen
from replearn.images.orientation import upright
from replearn.images.picture import Picture, UnreadableImage
from replearn.images.pillow_files import read_with_pillow
from replearn.images.png import read_png
from replearn.images.resizing import fit_into_square
from replearn.images.tiff import read_tiff
from replearn.images.webp import read_webp

_logger = logging.getLogger(__name__)

_READERS: dict[Kind, Callable[[bytes, Form, int | None], Picture]] = {
    "JPEG": lambda data, form, _: read_jpeg(data, form),
    "PNG": lambda data, *_: read_png(data),
    "TIFF": lambda data, _, frame: read_tiff(data, frame),
    "DICOM": lambda data, _, frame: read_dicom(data, frame),
    "WebP": lambda data, _, frame: read_webp(data, frame),
    "GIF": lambda data, _, frame: read_with_pillow(data, ("GIF",), "GIF", frame),
    "BMP": lambda data, *_: read_bmp(data),
    "JPEG 2000": lambda data, *_: read_jpeg2000(data),
    "PGM or PPM": lambda data, *_: read_with_pillow(data, ("PPM",), "PGM or PPM"),
    "NumPy array": lambda data, *_: read_array(data),
}


class Decoded(NamedTuple):
    """An image, and what is to be known of its file.

    Attributes:
        pixels: uint8 [channels, size, size]; three channels are red, green, blue.
        bits: that its samples use; 0 where they have at most 8.
        frames: or pages that the file has.
        remark: what its decoder complained of, in one line; mostly nothing.
    """

    pixels: Array
    bits: int
    frames: int
    remark: str


def decode(
    data: bytes,
    *,
    size: int,
    channels: int,
    fit: Fit,
    frame: int | None = None,
    bits: int | None = None,
    value_range: ValueRange | None = None,
) -> Array:
    """Return the image as uint8 [channels, size, size]; see `decode_image`."""
    return decode_image(data, Form(size, channels, fit, bits, value_range), frame).pixels


def decode_image(data: bytes, form: Form, frame: int | None = None) -> Decoded:
    """Return the image in a file as a viewer shows it, in a form.

    Transparency is composited on white, EXIF orientation is applied.  More than 8 bits become 8
    as `replearn.images.levels` says; DICOM is shown as `replearn.images.dicom` says.

    Args:
        data: the bytes of a file of one of the kinds of `replearn.images.kinds`.
        form: what the image is brought to.
        frame: the frame or page, from 0; if None, of DICOM the middle one, else the first.

    Raises:
        UnreadableImage: with the reason: what it is, and what to do.
    """
    kind = kind_of(data)
    if kind is None:
        raise UnreadableImage(describe(data))
    try:
        picture, said = listen(lambda: _READERS[kind](data, form, frame))
        if said and kind == "JPEG":
            check_scans(data)
        elif said and kind == "DICOM":  # of JPEG inside
            refuse_damage(said)
        pixels, bits = to_eight_bits(picture, form)
        pixels = _to_channels(upright(pixels, picture.orientation), form.channels)
        pixels = fit_into_square(pixels, form)
    except UnreadableImage:
        raise
    except MemoryError:
        raise UnreadableImage(f"a {kind} file for which there is not enough memory; reduce it")
    # Decoders have their own ways to fail, and one bad file must not end a run of many.
    except Exception as error:
        _logger.debug("decoding fails", exc_info=error)
        raise UnreadableImage(f"a {kind} file that is damaged, or of a kind that is not read")
    planes = pixels[None] if pixels.ndim == 2 else pixels[..., ::-1].transpose(2, 0, 1)
    return Decoded(np.ascontiguousarray(planes), bits, picture.frames, said)


def _to_channels(pixels: Array, channels: int) -> Array:
    if pixels.ndim == 3 and channels == 1:
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    if pixels.ndim == 2 and channels == 3:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    return pixels
