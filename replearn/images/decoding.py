"""Bytes of an image file -> pixels of one size: decode, composite, reduce to 8 bits, resize.

Nothing is decoded before its size and kind are known: `jpeg` reads the header of most of what
there is, Pillow any other.  OpenCV decodes, because it is fast, keeps 16 bits and refuses truncated
data.  A few kinds that OpenCV reads wrongly (TIFF with alpha or CMYK, a transparent grey) are
decoded by Pillow.

A JPEG is decoded at a half, a quarter or an eighth of its size where that is still at least twice
what is wanted, and without its colours where they are not wanted: both save most of the work.
"""

import io
import threading
from typing import Any

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from replearn.arrays import Array
from replearn.errors import DataError, brief
from replearn.images.dicom import is_dicom, read_dicom
from replearn.images.form import Fit
from replearn.images.jpeg_header import JpegHeader, read_jpeg_header

MAX_PIXELS = 100_000_000
_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
_ORIENTATION = 274  # the tag in EXIF and TIFF
_BITS_PER_SAMPLE = 258  # the tag in TIFF

_SHIFT = 0.15  # pixels of the target by which a reduced scale may move what is at an edge

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


class UnreadableImage(ValueError):  # noqa: N818 - it names the finding, as the report does
    """These bytes cannot become pixels; the text is the reason, for the report."""


def decode(data: bytes, *, size: int, channels: int, fit: Fit, frame: int | None = None) -> Array:
    """Return the image as uint8 [channels, size, size]; three channels are red, green, blue.

    Transparency is composited on white, EXIF orientation is applied, of several frames the first
    counts.  16 bits become 8 by the bit depth in use: with b the least number of bits, at least
    8, that hold the largest value, the range [0, 2^b - 1] becomes [0, 255].  DICOM is shown as
    `replearn.images.dicom` says.

    Args:
        data: the bytes of a JPEG, PNG, TIFF, BMP, WebP or DICOM file.
        size: height and width of the result.
        channels: 1 (grey) or 3.
        fit: `stretch` to the square, or keep the aspect and `pad` with black on both sides.
        frame: of a DICOM file, from 0; None for the middle one.

    Raises:
        DataError: a DICOM file, and pydicom is not installed.
        UnreadableImage: with the reason.
    """
    pixels = _dicom(data, frame) if is_dicom(data) else _picture(data, size, channels, fit)
    pixels = _to_channels(pixels, channels)
    pixels = resize(pixels, size, size) if fit == "stretch" else _pad(pixels, size)
    planes = pixels[None] if pixels.ndim == 2 else pixels[..., ::-1].transpose(2, 0, 1)
    return np.ascontiguousarray(planes)


def _dicom(data: bytes, frame: int | None) -> Array:
    try:
        return read_dicom(data, frame, MAX_PIXELS)
    except DataError:
        raise
    except ValueError as error:
        raise UnreadableImage(str(error))


def _picture(data: bytes, size: int, channels: int, fit: Fit) -> Array:
    """Decode upright 8-bit pixels without transparency, [H, W] or [H, W, 3]."""
    plain = read_jpeg_header(data)
    if plain is not None:
        _check_size(plain.width, plain.height)
        _check_end_of_jpeg(data)
        return _jpeg(data, plain, size, channels, fit)
    header = _read_header(data)
    exif = header.info.get("exif", b"")
    if header.format in ("JPEG", "MPO") and header.mode in ("L", "RGB"):
        return _jpeg(data, JpegHeader(*header.size, exif), size, channels, fit)
    if _needs_pillow(header):
        pixels = _on_white(_decode_with_pillow(header))
    else:
        pixels = _on_white(_to_eight_bits(_decode(data, cv2.IMREAD_UNCHANGED)))
    return _upright(pixels, _orientation(exif))


def _jpeg(data: bytes, header: JpegHeader, size: int, channels: int, fit: Fit) -> Array:
    """Decode an upright grey or colour JPEG, smaller where that is still enough."""
    factor = _reduction(header.width, header.height, size, fit)
    flag = (_GREY if channels == 1 else _COLOUR)[factor] | cv2.IMREAD_IGNORE_ORIENTATION
    return _upright(_decode(data, flag), _orientation(header.exif))


def _reduction(width: int, height: int, size: int, fit: Fit) -> int:
    """Return by how much a JPEG may shrink in decoding: what remains is twice the target or more.

    The decoder averages well, but a resizing by less than two would show what it left out.  A side
    that the factor does not divide is rounded up, which must not move anything by a visible share
    of a pixel of the target.
    """
    longer = max(width, height)
    wanted = [size if fit == "stretch" else size * side / longer for side in (width, height)]
    for factor in (8, 4, 2):
        pairs = zip((width, height), wanted, strict=True)
        if all(
            side // factor >= 2 * target and (-side % factor) * target <= _SHIFT * side
            for side, target in pairs
        ):
            return factor
    return 1


def _read_header(data: bytes) -> Image.Image:
    if not data:
        raise UnreadableImage("empty file")
    try:
        header = Image.open(io.BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError:
        raise UnreadableImage("no JPEG, PNG, TIFF, BMP, WebP or DICOM image that can be read")
    except Image.DecompressionBombError:
        raise UnreadableImage(f"more than {MAX_PIXELS:,} pixels")
    # A header can go wrong in as many ways as there are parsers for it.
    except Exception as error:
        raise UnreadableImage(f"damaged header ({brief(error)})")
    _check_size(*header.size)
    if header.mode in ("F", "I"):
        raise UnreadableImage("signed, 32-bit or floating-point pixels: their range is not known")
    _check_end(header, data)
    return header


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise UnreadableImage(f"{width} x {height}: more than {MAX_PIXELS:,} pixels")


def _check_end(header: Image.Image, data: bytes) -> None:
    """Refuse what was cut off and filled up again with zeros, where the format can tell."""
    if header.format == "PNG":
        try:
            Image.open(io.BytesIO(data), formats=("PNG",)).verify()  # the checksums
        except Exception as error:
            raise UnreadableImage(f"truncated or damaged ({brief(error)})")
    elif header.format in ("JPEG", "MPO"):
        _check_end_of_jpeg(data)


def _check_end_of_jpeg(data: bytes) -> None:
    """Refuse a JPEG whose last scan no end marker follows (a thumbnail before has its own)."""
    ended = data.endswith(b"\xff\xd9") or data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")
    if not ended:
        raise UnreadableImage("truncated (no end marker)")


def _needs_pillow(header: Image.Image) -> bool:
    if header.format == "TIFF":
        tags: Any = getattr(header, "tag_v2", {})
        return bool(np.max(tags.get(_BITS_PER_SAMPLE, 1)) <= 8)
    return header.mode in ("1", "L") and "transparency" in header.info


def _decode_with_pillow(header: Image.Image) -> Array:
    has_alpha = header.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in header.info
    try:
        pixels = np.asarray(header.convert("RGBA" if has_alpha else "RGB"))
    except Exception as error:
        raise UnreadableImage(f"truncated or damaged ({brief(error)})")
    return cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA if has_alpha else cv2.COLOR_RGB2BGR)


def _decode(data: bytes, flag: int) -> Array:
    try:
        pixels = imdecode(data, flag)
    except cv2.error as error:
        raise UnreadableImage(f"not decodable ({brief(error)})")
    if pixels is None:
        raise UnreadableImage("truncated or damaged")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise UnreadableImage(f"{pixels.dtype} pixels: their range is not known")
    return pixels


class _Silence:
    """While a thread is inside, OpenCV logs nothing; its log level is one for all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._level = 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                silent = cv2.utils.logging.LOG_LEVEL_SILENT
                self._level = cv2.utils.logging.setLogLevel(silent)  # it returns the one before
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                cv2.utils.logging.setLogLevel(self._level)


_silence = _Silence()


def imdecode(data: bytes, flag: int) -> Array | None:
    """Return what `cv2.imdecode` returns; what it would log of a bad file is for the caller to say.

    Silence is kept here and not on import, for the log level is the user's; it takes a microsecond.
    """
    with _silence:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flag)


def _to_eight_bits(pixels: Array) -> Array:
    if pixels.dtype == np.uint8:
        return pixels
    colour, alpha = (pixels[..., :3], pixels[..., 3:]) if _has_alpha(pixels) else (pixels, None)
    largest = (1 << max(8, int(colour.max()).bit_length())) - 1
    scaled = np.rint(colour * np.float32(255 / largest)).astype(np.uint8)
    return scaled if alpha is None else np.dstack([scaled, (alpha >> 8).astype(np.uint8)])


def _has_alpha(pixels: Array) -> bool:
    return pixels.ndim == 3 and pixels.shape[2] == 4


def _on_white(pixels: Array) -> Array:
    if not _has_alpha(pixels):
        return pixels
    opacity = pixels[..., 3:].astype(np.float32) / 255
    return np.rint(pixels[..., :3] * opacity + 255 * (1 - opacity)).astype(np.uint8)


def _orientation(exif: bytes) -> int:
    """Return the EXIF orientation 1..8; without one, as of a TIFF, which decoders turn, 1."""
    if not exif:
        return 1
    try:
        found = Image.Exif()
        found.load(exif)
        return int(found.get(_ORIENTATION, 1))
    except Exception:  # a damaged note about the image says nothing against the image
        return 1


def _upright(pixels: Array, orientation: int) -> Array:
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _to_channels(pixels: Array, channels: int) -> Array:
    if pixels.ndim == 3 and channels == 1:
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    if pixels.ndim == 2 and channels == 3:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    return pixels


def resize(pixels: Array, height: int, width: int) -> Array:
    """Resize [H, W] or [H, W, C]: area averaging where an axis shrinks, linear where it grows.

    One axis at a time of need: OpenCV's area averaging falls back to interpolation, which
    aliases, as soon as one of the two axes grows.
    """
    rows, columns = pixels.shape[:2]
    smaller = (min(columns, width), min(rows, height))
    if smaller != (columns, rows):
        pixels = cv2.resize(pixels, smaller, interpolation=cv2.INTER_AREA)
    if smaller != (width, height):
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    return pixels


def _pad(pixels: Array, size: int) -> Array:
    rows, columns = pixels.shape[:2]
    longer = max(rows, columns)
    height, width = (max(1, round(side * size / longer)) for side in (rows, columns))
    canvas = np.zeros((size, size, *pixels.shape[2:]), np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    canvas[top : top + height, left : left + width] = resize(pixels, height, width)
    return canvas
