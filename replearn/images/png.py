"""PNG files -> pictures: what of a file makes the picture is checked, the rest is left out.

ISO/IEC 15948: a signature, then chunks of a length, a name, a content and a checksum.  Colour
profiles, texts, times and animations do not change the picture that every viewer shows, but
decoders complain of faults in them, or show a frame of an animation instead.
"""

import struct
import zlib
from typing import Any, NamedTuple

import cv2

from replearn.arrays import Array
from replearn.images.opencv import decode_with_opencv
from replearn.images.optional_codecs import require
from replearn.images.orientation import orientation_of
from replearn.images.picture import Picture, UnreadableImage, check_size, straight_alpha

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_GREY = 0  # a colour type
_LARGE = 1 << 24  # pixels
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a pixel, by colour type


class _Png(NamedTuple):
    """The parts of a PNG that count."""

    plain: bytes  # a PNG with the picture alone
    width: int
    height: int
    bits: int
    colours: int  # the colour type
    is_transparent: bool  # by a colour or an entry of the palette
    exif: bytes
    frames: int


def read_png(data: bytes) -> Picture:
    """Return the picture; of an animation, the one that programs without animation show.

    Raises:
        UnreadableImage: it is too large, truncated or damaged.
    """
    png = _read_chunks(data)
    check_size(png.width, png.height, _SAMPLES.get(png.colours, 4) * max(1, png.bits // 8))
    large = png.width * png.height >= _LARGE
    is_rare = large or (png.colours == _GREY and png.is_transparent)
    if is_rare:
        samples = _decode_rare(png.plain)
    else:
        samples = decode_with_opencv(png.plain, cv2.IMREAD_UNCHANGED, "PNG")
    return Picture(
        samples,
        8 * samples.itemsize,
        straight_alpha(samples),
        blue_first=not is_rare,
        orientation=orientation_of(png.exif),
        frames=png.frames,
    )


def _decode_rare(data: bytes) -> Array:
    """Decode what OpenCV takes twice the memory for, or misreads: what is large, or transparent."""
    codecs: Any = require("imagecodecs", "a PNG that is large, or of a transparent grey")
    try:
        samples: Array = codecs.png_decode(data)
    except MemoryError:
        raise
    except Exception:  # libpng has errors of its own
        raise UnreadableImage("a truncated or damaged PNG; fetch or export it again")
    return samples


def _read_chunks(data: bytes) -> _Png:
    parts, place = [_SIGNATURE], len(_SIGNATURE)
    found: dict[bytes, bytes] = {}
    name = b""
    while name != b"IEND":
        if place + 12 > len(data):
            raise UnreadableImage("a truncated PNG; fetch or export it again")
        length, name = struct.unpack(">I4s", data[place : place + 8])
        stop = place + 12 + length
        if name in _NEEDED:
            if stop > len(data):
                raise UnreadableImage("a truncated PNG; fetch or export it again")
            if zlib.crc32(data[place + 4 : stop - 4]) != int.from_bytes(data[stop - 4 : stop]):
                raise UnreadableImage(
                    f"a damaged PNG (the checksum of its {name.decode()} is wrong); fetch or "
                    "export it again"
                )
            parts.append(data[place:stop])
        if name != b"IDAT":
            found.setdefault(name, data[place + 8 : stop - 4])
        place = stop
    header = found.get(b"IHDR", b"")
    if len(header) < 13:
        raise UnreadableImage("a PNG without a header; fetch or export it again")
    width, height, bits, colours = struct.unpack(">IIBB", header[:10])
    return _Png(
        b"".join(parts),
        width,
        height,
        bits,
        colours,
        b"tRNS" in found,
        found.get(b"eXIf", b""),
        max(1, int.from_bytes(found.get(b"acTL", b"")[:4])),
    )
