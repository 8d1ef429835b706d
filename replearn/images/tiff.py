"""TIFF files -> pictures: Pillow decodes what it decodes rightly, tifffile all else.

Pillow takes planes of brightness and colour differences for pixels, and signed samples for
unsigned ones; most of what has more than 8 bits it misreads or does not know.
"""

from typing import Any

import numpy as np
from PIL import Image

from replearn.images.picture import Picture, UnreadableImage
from replearn.images.pillow_files import count_frames, open_with_pillow, picture_of, seek
from replearn.images.tiff_samples import read_with_tifffile

_SUBFILE, _BITS, _COMPRESSION, _PHOTOMETRIC, _PLANES = 254, 258, 259, 262, 284
_EXTRA, _FORMAT = 338, 339
# None, CCITT, LZW, JPEG, deflate, PackBits and LZMA.
_FAX = (2, 3, 4)
_PACKED_AS_USUAL = (1, *_FAX, 5, 6, 7, 8, 32773, 32946, 34925)
_REDUCED, _UNPACKED, _INKS, _YCBCR, _SEPARATE, _SIGNED, _FLOATING = 1, 1, 5, 6, 2, 2, 3


def read_tiff(data: bytes, page: int | None = None) -> Picture:
    """Return a page, counted from 0; the first if None.

    Raises:
        UnreadableImage: it is truncated or damaged, or of a kind that is not read.
    """
    try:
        header = open_with_pillow(data, ("TIFF",), "TIFF")
    except UnreadableImage:
        return read_with_tifffile(data, page or 0)
    pages = _pages(header)
    if (page or 0) >= len(pages):
        raise UnreadableImage(f"a TIFF of {len(pages)} pages, without a page {(page or 0) + 1}")
    place = pages[page or 0]
    if place:
        seek(header, place, "TIFF")
    if _is_for_pillow(header):
        return picture_of(header, "TIFF", frames=len(pages))
    return read_with_tifffile(data, place, len(pages))


def count_pages(data: bytes) -> int:
    """Return the number of pages, without those that show another one in a smaller size.

    Raises:
        UnreadableImage: it is damaged, or of a kind that is not read.
    """
    try:
        return len(_pages(open_with_pillow(data, ("TIFF",), "TIFF")))
    except UnreadableImage:
        return read_with_tifffile(data, 0).frames


def _pages(header: Image.Image) -> list[int]:
    """Return where the pages lie."""
    count = count_frames(header)
    if count == 1:
        return [0]
    found = []
    for place in range(count):
        seek(header, place, "TIFF")
        if not _tags(header).get(_SUBFILE, 0) & _REDUCED:
            found.append(place)
    seek(header, 0, "TIFF")
    return found or [0]


def _is_for_pillow(header: Image.Image) -> bool:
    tags = _tags(header)
    packing = tags.get(_COMPRESSION, _UNPACKED)
    if packing not in _PACKED_AS_USUAL:
        return False
    formats = np.atleast_1d(tags.get(_FORMAT, 1))
    is_unsigned = not np.isin(formats, (_SIGNED, _FLOATING)).any()
    return bool(np.max(tags.get(_BITS, 1)) <= 8 and is_unsigned and not _is_misread(tags, packing))


def _is_misread(tags: Any, packing: int) -> bool:
    """Tell whether Pillow takes samples of at most 8 bits for others."""
    in_planes, meaning = tags.get(_PLANES) == _SEPARATE, tags.get(_PHOTOMETRIC)
    has_more, is_packed = _EXTRA in tags, np.max(tags.get(_BITS, 1)) < 8
    if meaning == _YCBCR:
        return in_planes or packing == _UNPACKED
    if in_planes:
        return has_more or bool(is_packed and packing not in _FAX)
    return has_more and meaning == _INKS


def _tags(header: Image.Image) -> Any:
    return getattr(header, "tag_v2", {})
