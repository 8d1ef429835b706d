"""BMP files -> pictures: Pillow decodes most, OpenCV run lengths, and bit fields are read here.

Pillow overlooks faults in run lengths, knows few layouts of bit fields, and no alpha in 16 bits.
"""

import struct

import cv2
import numpy as np

from replearn.arrays import Array
from replearn.images.opencv import decode_with_opencv
from replearn.images.picture import Picture, UnreadableImage, check_size
from replearn.images.pillow_files import open_with_pillow, picture_of

_HEADER, _OS2 = 40, 64  # bytes of a usual header, and of the longer one of OS/2
_PLAIN, _RUNS, _FIELDS = 0, (1, 2), (3, 6)  # compressions
# Of 16 and 32 bits without bit fields: red, green, blue, and no alpha.
_USUAL = {16: (0x7C00, 0x3E0, 0x1F, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}


def read_bmp(data: bytes) -> Picture:
    """Return the picture.

    Raises:
        UnreadableImage: it is truncated or damaged, or of a layout that is not read.
    """
    header = data[14:54]
    size = int.from_bytes(header[:4], "little")
    if len(header) == _HEADER and size >= _HEADER and size != _OS2:
        bits, compression = struct.unpack("<HI", header[14:20])
        if compression in _RUNS:
            return Picture(decode_with_opencv(data, cv2.IMREAD_COLOR, "BMP"), blue_first=True)
        if bits in _USUAL and compression in (_PLAIN, *_FIELDS):
            return _fields(data, size, bits, compression)
        if bits not in (1, 4, 8, 24) or compression != _PLAIN:
            raise UnreadableImage(
                f"a BMP of {bits} bits a pixel (compression {compression}), which is not read; "
                "convert it to PNG"
            )
    return picture_of(open_with_pillow(data, ("BMP",), "BMP"), "BMP")


def _fields(data: bytes, size: int, bits: int, compression: int) -> Picture:
    """Decode pixels of 16 or 32 bits, in which masks tell where the colours are."""
    width, height = struct.unpack("<ii", data[18:26])
    check_size(width, abs(height), bits // 8)
    start = int.from_bytes(data[10:14], "little")
    row = -(-width * bits // 32) * 4
    if len(data) < start + row * abs(height):
        raise UnreadableImage("a truncated BMP; fetch or export it again")
    rows = np.frombuffer(data, np.uint8, row * abs(height), start).reshape(-1, row)
    pixels = rows[:, : width * bits // 8].copy().view(f"<u{bits // 8}")
    masks = _USUAL[bits]
    if compression != _PLAIN:
        # Behind a short header, or in a longer one.
        count = 4 if compression == _FIELDS[1] or size >= _HEADER + 16 else 3
        masks = (*struct.unpack(f"<{count}I", data[54 : 54 + 4 * count]), 0)[:4]
    samples = np.dstack([_scaled(pixels, mask) for mask in masks if mask])
    if not all(masks[:3]):
        raise UnreadableImage("a BMP with a colour in no bits; export it again")
    if masks[3] and not samples[..., 3].any():  # nobody means a picture that cannot be seen
        samples = samples[..., :3]
    samples = samples if height < 0 else samples[::-1]  # mostly the lowest row is the first
    return Picture(samples, alpha="straight" if samples.shape[2] == 4 else None)


def _scaled(pixels: Array, mask: int) -> Array:
    """Return the bits of a mask as uint8."""
    shift = (mask & -mask).bit_length() - 1
    values = (pixels.astype(np.uint32) & np.uint32(mask)) >> np.uint32(shift)
    scaled: Array = np.rint(values * (255 / (mask >> shift))).astype(np.uint8)
    return scaled
