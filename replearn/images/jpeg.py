"""JPEG files -> pictures, decoded smaller where that is enough.

A JPEG is decoded at a half, a quarter or an eighth of its size where that is still at least twice
what is wanted, and without its colours where they are not wanted: both save most of the work.
OpenCV decodes the usual 8 bits, imagecodecs what is lossless or has more.
"""

import re
from typing import Any

import cv2
import numpy as np

from replearn.images.form import Form
from replearn.images.jpeg_header import (
    CutOff,
    JpegFrame,
    JpegHeader,
    find_frame,
    only_needed,
    read_jpeg_header,
)
from replearn.images.native_messages import listen
from replearn.images.opencv import decode_with_opencv, imdecode
from replearn.images.optional_codecs import require
from replearn.images.orientation import orientation_of
from replearn.images.picture import Picture, UnreadableImage, check_size
from replearn.images.pillow_files import open_with_pillow
from replearn.images.resizing import reduction

_GREY = {
    1: cv2.IMREAD_GRAYSCALE,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}
_COLOUR = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
# Frame markers of the codings that only imagecodecs decodes, and of those that nobody does.
_LOSSLESS, _JPEG_LS = 0xC3, 0xF7
_NOT_READ = {
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "hierarchical"),
    0xCB: "lossless arithmetic",
}
# What libjpeg says of entropy-coded data that end early or are wrong.
_WRONG_DATA = re.compile(
    "premature end|Premature end|bad Huffman|bad arithmetic|found marker|before marker 0xd[0-7]"
)
_DAMAGED = "a damaged JPEG (its data end early or are wrong inside); fetch or export it again"


def read_jpeg(data: bytes, form: Form) -> Picture:
    """Return the picture, perhaps smaller than it is, but large enough for the form.

    Raises:
        UnreadableImage: it is truncated, damaged, too large or of a kind that is not read.
    """
    usual = read_jpeg_header(data)
    if usual is not None:
        check_size(usual.width, usual.height)
        _check_end(data)
        return _decode(data, usual, form)
    frame = find_frame(data)
    if frame is None:
        raise UnreadableImage("a JPEG with a damaged header; fetch or export it again")
    if frame.marker in _NOT_READ:
        raise UnreadableImage(f"a {_NOT_READ[frame.marker]} JPEG, which is not read; convert it")
    check_size(frame.width, max(1, frame.height), frame.components * (1 + (frame.bits > 8)))
    _check_end(data)
    if frame.bits != 8 or frame.marker in (_LOSSLESS, _JPEG_LS):
        return _decode_rare(data, frame)
    header = open_with_pillow(data, ("JPEG", "MPO"), "JPEG")
    exif = header.info.get("exif", b"")
    if header.mode in ("L", "RGB"):
        return _decode(data, JpegHeader(*header.size, exif), form)
    flag = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = decode_with_opencv(data, flag, "JPEG")  # print colours
    return Picture(pixels, blue_first=True, orientation=orientation_of(exif))


def _decode(data: bytes, header: JpegHeader, form: Form) -> Picture:
    """Decode a grey or colour JPEG of 8 bits, smaller where that is still enough."""
    factor = reduction(header.width, header.height, form)
    flag = (_GREY if form.channels == 1 else _COLOUR)[factor] | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = decode_with_opencv(data, flag, "JPEG")
    return Picture(pixels, blue_first=True, orientation=orientation_of(header.exif))


def _decode_rare(data: bytes, frame: JpegFrame) -> Picture:
    if frame.marker == _JPEG_LS:
        what, name = "a JPEG-LS image", "jpegls_decode"
    elif frame.marker == _LOSSLESS:
        what, name = f"a lossless JPEG of {frame.bits} bits a sample", "jpeg8_decode"
    else:
        what, name = f"a JPEG of {frame.bits} bits a sample", "jpeg8_decode"
    codecs: Any = require("imagecodecs", what)
    try:
        samples = np.asarray(getattr(codecs, name)(data))
    except MemoryError:
        raise
    except Exception:  # each decoder has a type of its own
        raise UnreadableImage(f"{what}, truncated or damaged; fetch or export it again")
    if samples.ndim == 3 and samples.shape[2] not in (1, 3):
        raise UnreadableImage(
            f"{what} in {samples.shape[2]} colours, which is not read; convert it"
        )
    return Picture(samples, frame.bits)


def _check_end(data: bytes) -> None:
    """Refuse a JPEG whose last scan no end marker follows (a thumbnail before has its own)."""
    ended = data.endswith(b"\xff\xd9") or data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")
    if not ended:
        raise UnreadableImage("a truncated JPEG (no end marker); fetch or export it again")


def check_scans(data: bytes) -> None:
    """Refuse a JPEG about which libjpeg has said something, if that is about its scans.

    libjpeg says only what it finds first, and much of that does no harm, such as stray bytes
    between the segments.  So it is asked again about the segments that are decoded.

    Raises:
        UnreadableImage: the entropy-coded data end early or are wrong inside.
    """
    try:
        plain = only_needed(data)
    except CutOff:
        raise UnreadableImage(_DAMAGED)
    _, said = listen(lambda: imdecode(plain, cv2.IMREAD_UNCHANGED))
    refuse_damage(said)


def refuse_damage(said: str) -> None:
    """Refuse an image of which libjpeg says that its entropy-coded data are wrong.

    Raises:
        UnreadableImage: it does.
    """
    if _WRONG_DATA.search(said):
        raise UnreadableImage(_DAMAGED)
