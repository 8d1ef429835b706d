"""TIFF of the kinds that Pillow misreads or does not know -> pictures, by tifffile.

TIFF 6.0 has samples of any number of bits, signed and floating-point ones, in pixels or in planes,
and several meanings of them.
"""

import io
import logging
import math
from typing import Any, Literal

import numpy as np
from PIL import Image

from replearn.arrays import Array
from replearn.images.optional_codecs import require
from replearn.images.picture import Picture, UnreadableImage, check_size

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _INKS, _YCBCR = 0, 1, 2, 3, 5, 6
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _INKS: 4, _YCBCR: 3}
_FORMATS = {2: "signed ", 3: "floating-point "}  # of samples
_ALPHA: dict[int, Literal["premultiplied", "straight"]] = {1: "premultiplied", 2: "straight"}
_PHOTOMETRIC, _ORIENTATION, _INK_SET = 262, 274, 332
_UNPACKED, _CMYK = 1, 1
_NOBODY = logging.NullHandler()
_DAMAGED = "a truncated or damaged TIFF; fetch or export it again"


def read_with_tifffile(data: bytes, place: int, pages: int | None = None) -> Picture:
    """Return the page at a place in the file.

    Args:
        data: the bytes of the file.
        place: from 0.
        pages: how many there are, where it is known.

    Raises:
        UnreadableImage: it is truncated or damaged, or of a kind that is not read.
    """
    tifffile = require("tifffile", "a TIFF that is not of the usual kinds")
    require("imagecodecs", "a TIFF that is not of the usual kinds")
    # Where nobody listens, what it logs of a bad file would be on stderr.
    logging.getLogger("tifffile").addHandler(_NOBODY)
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages[place]
            known = page.compression == _UNPACKED or page.compression in tifffile.TIFF.DECOMPRESSORS
            return _picture(page, len(data), known, pages or len(file.pages))
    except (UnreadableImage, MemoryError):
        raise
    # Headers and data can go wrong in as many ways as there are parsers.
    except Exception:
        raise UnreadableImage(_DAMAGED)


def _picture(page: Any, size: int, known: bool, pages: int) -> Picture:
    meaning = int(page.photometric) if _PHOTOMETRIC in page.tags else -1
    colours = _COLOURS.get(meaning, 0)
    extra = page.samplesperpixel - colours
    if not (known and colours and page.dtype and extra in (0, 1) and page.imagedepth == 1):
        raise UnreadableImage(f"{_describe(page)}, which is not read; convert it to PNG")
    if page.is_subsampled:
        raise UnreadableImage(f"{_describe(page)} and fewer of colour; convert it to PNG")
    check_size(page.imagewidth, page.imagelength, page.samplesperpixel * page.dtype.itemsize)
    _check_segments(page, size)
    planes, _, rows, columns, together = page.shaped
    samples = page.asarray(maxworkers=1).reshape(planes, rows, columns, together)
    samples = samples[0] if planes == 1 else samples[..., 0].transpose(1, 2, 0)  # [H, W, C]
    samples = samples.astype(np.uint8) if samples.dtype == bool else samples
    depth = page.bitspersample if samples.dtype.kind == "u" else 0
    alpha = _ALPHA.get(int(page.extrasamples[0])) if extra else None
    if extra and alpha is None:
        samples = samples[..., :colours]  # nobody knows what the other one is
    if meaning in (_PALETTE, _INKS, _YCBCR):
        opacity = samples[..., colours:] * (255 / max(1, 2**depth - 1))
        rgb = _as_rgb(page, meaning, samples, depth)
        samples, depth = np.dstack([rgb, np.rint(opacity).astype(np.uint8)]), 8
    return Picture(
        samples,
        depth,
        alpha,
        white_is_zero=meaning == _WHITE_IS_ZERO,
        orientation=int(page.tags.valueof(_ORIENTATION, 1)),
        frames=pages,
    )


def _check_segments(page: Any, size: int) -> None:
    """Refuse a page of which a strip or a tile is missing: its place would stay as memory was."""
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    whole = all(start and count and start + count <= size for start, count in segments)
    if not whole or len(segments) != math.prod(page.chunked):
        raise UnreadableImage(_DAMAGED)


def _as_rgb(page: Any, meaning: int, samples: Array, depth: int) -> Array:
    """Return samples that are an index, inks or brightness and differences as uint8 [H, W, 3]."""
    if meaning == _PALETTE and depth and page.colormap is not None:
        palette: Array = page.colormap.T  # [entries, 3], of 16 bits
        palette = palette >> 8 if palette.max() > 255 else palette
        colours: Array = palette.astype(np.uint8)[samples[..., 0]]
        return colours
    mode = "YCbCr" if meaning == _YCBCR else "CMYK"
    is_known = depth == 8 if meaning == _YCBCR else depth in (8, 16)
    if not is_known or page.tags.valueof(_INK_SET, _CMYK) != _CMYK:
        raise UnreadableImage(f"{_describe(page)}, which is not read; convert it to PNG")
    eight = (samples[..., : _COLOURS[meaning]] >> (depth - 8)).astype(np.uint8)
    image = Image.frombytes(mode, eight.shape[1::-1], np.ascontiguousarray(eight).tobytes())
    return np.asarray(image.convert("RGB"))


def _describe(page: Any) -> str:
    bits = f"{page.bitspersample} bits a {_FORMATS.get(int(page.sampleformat or 1), '')}sample"
    names = [
        getattr(value, "name", str(value))
        for value, usual in (
            (page.photometric, (_WHITE_IS_ZERO, _BLACK_IS_ZERO)),
            (page.compression, (_UNPACKED,)),
        )
        if value is not None and value not in usual
    ]
    more = f", {page.samplesperpixel} samples a pixel" if page.samplesperpixel > 1 else ""
    return f"a TIFF of {bits}{more}" + (f" ({', '.join(names)})" if names else "")
