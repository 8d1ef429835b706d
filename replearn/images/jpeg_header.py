"""The header of a JPEG, read without a parser of all that may be in one.

ITU-T T.81, appendix B: segments of a marker (two bytes), a length and a content, until the pixels.
"""

from typing import NamedTuple

_START, _SCAN, _EXIF = b"\xff\xd8", 0xDA, 0xE1
_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive, all Huffman coded
# Frames of another coding, and markers that no length follows, which decoders skip.
_OTHERS = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, *range(0xD0, _SCAN))


class JpegHeader(NamedTuple):
    """The header of a JPEG.

    Attributes:
        width: in pixels.
        height: in pixels.
        exif: what a camera says about it, empty where none does.
    """

    width: int
    height: int
    exif: bytes


def read_jpeg_header(data: bytes) -> JpegHeader | None:
    """Return the header of a grey or colour JPEG of 8 bits; None for all else, damaged or not."""
    if not data.startswith(_START):
        return None
    place, frame, exif = 2, b"", b""
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == _SCAN:
            return _header(frame, exif)
        if marker in _OTHERS or not 0xC0 <= marker < 0xFF:
            return None
        stop = place + 2 + int.from_bytes(data[place + 2 : place + 4])
        content = data[place + 4 : stop]
        if marker in _FRAMES:
            if frame:
                return None
            frame = content
        elif marker == _EXIF and content.startswith(b"Exif\0\0"):
            if exif:
                return None  # one in several pieces
            exif = content
        place = stop
    return None


def _header(frame: bytes, exif: bytes) -> JpegHeader | None:
    """Read precision, height, width and the number of components."""
    if len(frame) < 6 or frame[0] != 8 or frame[5] not in (1, 3):
        return None
    height, width = int.from_bytes(frame[1:3]), int.from_bytes(frame[3:5])
    return JpegHeader(width, height, exif) if height and width else None
