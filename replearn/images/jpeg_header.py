"""The segments of a JPEG, read without a parser of all that may be in one.

ITU-T T.81, appendix B: segments of a marker (two bytes), a length and a content, until the scans;
after the header of each scan comes entropy-coded data, in which a marker can be only a restart.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_START, _END, _SCAN, _EXIF, _ADOBE = b"\xff\xd8", 0xD9, 0xDA, 0xE1, 0xEE
_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive, all Huffman coded
# Frames of another coding, and markers that no length follows, which decoders skip.
_OTHERS = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, *range(0xD0, _SCAN))
_EVERY_FRAME = (*_FRAMES, *_OTHERS[:10], 0xF7)  # the last is JPEG-LS
_NO_LENGTH = (0x01, *range(0xD0, _END))
# What decoding takes: tables, frames, restarts, scans, and which colours they are.
_NEEDED = (*_EVERY_FRAME, 0xC4, 0xCC, _SCAN, 0xDB, 0xDC, 0xDD, _ADOBE)
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


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


class JpegFrame(NamedTuple):
    """The frame header of a JPEG of any coding.

    Attributes:
        marker: the coding, as the second byte of the marker says it.
        bits: of a sample.
        width: in pixels.
        height: in pixels; 0 where it stands at the end of the data.
        components: samples of a pixel.
    """

    marker: int
    bits: int
    width: int
    height: int
    components: int


class CutOff(ValueError):  # noqa: N818 - it names the finding
    """A JPEG in which no end marker follows the last of its segments."""


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


def find_frame(data: bytes) -> JpegFrame | None:
    """Return the first frame header; None if there is none."""
    try:
        for marker, start, stop in _segments(data):
            if marker in _EVERY_FRAME:
                content = data[start + 4 : stop]
                if len(content) < 6:
                    return None
                height, width = int.from_bytes(content[1:3]), int.from_bytes(content[3:5])
                return JpegFrame(marker, content[0], width, height, content[5])
    except CutOff:
        pass
    return None


def only_needed(data: bytes) -> bytes:
    """Return a JPEG without all that is of no use for decoding, and without stray bytes.

    Raises:
        CutOff: its segments do not lead to an end marker.
    """
    parts = [data[start:stop] for marker, start, stop in _segments(data) if marker in _NEEDED]
    return b"".join([_START, *parts, b"\xff\xd9"])


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and stop of each segment, that of a scan with its data, until the end."""
    place = 2
    while True:
        place = data.find(b"\xff", place)
        if place < 0 or place + 1 >= len(data):
            raise CutOff
        marker = data[place + 1]
        if marker == _END:
            return
        if marker in (0x00, 0xFF):  # none, or filling
            place += 1 + (marker == 0x00)
            continue
        if marker in _NO_LENGTH:
            place += 2
            continue
        stop = place + 2 + int.from_bytes(data[place + 2 : place + 4])
        if marker == _SCAN:
            after = _MARKER_IN_SCAN.search(data, stop)
            stop = after.start() if after else len(data) + 1
        if stop > len(data):
            raise CutOff
        yield marker, place, stop
        place = stop
