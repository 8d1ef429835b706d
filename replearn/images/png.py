"""PNG files -> pictures: what of a file makes the picture is checked, the rest is left out.

ISO/IEC 15948: a signature, then chunks of a length, a name, a content and a checksum.  Colour
profiles, texts, times and animations do not change the picture that every viewer shows, but
decoders complain of faults in them, or show a frame of an animation instead.
"""

import struct
import zlib
from dataclasses import replace
from typing import NamedTuple

import cv2

from replearn.images.opencv import decode_with_opencv
from replearn.images.orientation import orientation_of
from replearn.images.picture import Picture, UnreadableImage, check_size, straight_alpha
from replearn.images.pillow_files import read_with_pillow

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_GREY = 0  # a colour type
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
    orientation = orientation_of(png.exif)
    if png.colours == _GREY and png.is_transparent and png.bits <= 8:  # OpenCV misreads it
        picture = read_with_pillow(png.plain, ("PNG",), "PNG")
        return replace(picture, orientation=orientation, frames=png.frames)
    pixels = decode_with_opencv(png.plain, cv2.IMREAD_UNCHANGED, "PNG")
    return Picture(
        pixels,
        8 * pixels.itemsize,
        straight_alpha(pixels),
        blue_first=True,
        orientation=orientation,
        frames=png.frames,
    )


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
