"""BMP files -> pictures: Pillow decodes them, OpenCV run lengths, whose faults Pillow overlooks."""

import cv2

from replearn.images.opencv import decode_with_opencv
from replearn.images.picture import Picture
from replearn.images.pillow_files import open_with_pillow, picture_of

_RUNS = (b"\1\0\0\0", b"\2\0\0\0")  # compressions: run lengths of bytes and of half bytes


def read_bmp(data: bytes) -> Picture:
    """Return the picture.

    Raises:
        UnreadableImage: it is truncated or damaged, or of a layout that is not read.
    """
    header = open_with_pillow(data, ("BMP",), "BMP")
    if data[30:34] in _RUNS and len(data) > 34 and data[14] >= 40:
        pixels = decode_with_opencv(data, cv2.IMREAD_COLOR, "BMP")
        return Picture(pixels, blue_first=True)
    return picture_of(header, "BMP")
