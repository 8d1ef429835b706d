"""Pillow's decoders: they know many kinds, alpha, palettes, print colours, frames and pages."""

import io

import numpy as np
from PIL import Image

from replearn.arrays import Array
from replearn.images.orientation import orientation_of
from replearn.images.picture import Picture, UnreadableImage, check_size, straight_alpha, strips

_ALPHA = ("LA", "PA", "RGBA", "La", "RGBa")
_STRAIGHT = {"La": "LA", "RGBa": "RGBA"}  # of colours that are multiplied by alpha
_DEEP = ("I", "I;16", "I;16B", "I;16L")  # samples of 16 bits


def open_with_pillow(data: bytes, formats: tuple[str, ...], what: str) -> Image.Image:
    """Return a file whose header is read, and whose size is known to be small enough.

    Args:
        data: the bytes of the file.
        formats: that it may have, by Pillow's names.
        what: it is, for messages.

    Raises:
        UnreadableImage: the header is damaged, or names too large a size.
    """
    try:
        header = Image.open(io.BytesIO(data), formats=formats)
    except Image.DecompressionBombError:
        raise UnreadableImage(f"a {what} of far more pixels than are read; reduce it")
    except MemoryError:
        raise
    # A header can go wrong in as many ways as there are parsers for it.
    except Exception:
        raise UnreadableImage(f"a {what} with a damaged header; fetch or export it again")
    check_size(*header.size, sample_bytes=len(header.getbands()))
    return header


def read_with_pillow(
    data: bytes, formats: tuple[str, ...], what: str, frame: int | None = None
) -> Picture:
    """Return a picture; of several frames this one, counted from 0, or the first.

    Raises:
        UnreadableImage: it is truncated or damaged, or has no such frame.
    """
    header = open_with_pillow(data, formats, what)
    orientation = orientation_of(header.info.get("exif", b""))
    frames = count_frames(header)
    if frame:
        seek(header, frame, what)
    return picture_of(header, what, orientation, frames)


def count_frames(header: Image.Image) -> int:
    """Return how many frames or pages a file has, as far as they can be found."""
    try:
        return max(1, int(getattr(header, "n_frames", 1)))
    except Exception:  # those after the first are damaged
        return 1


def seek(header: Image.Image, frame: int, what: str) -> None:
    """Turn to a frame or page, counted from 0.

    Raises:
        UnreadableImage: there is no such one.
    """
    try:
        header.seek(frame)
    except Exception:
        raise UnreadableImage(f"a {what} without a frame or page {frame + 1}, or a damaged one")


def picture_of(image: Image.Image, what: str, orientation: int = 1, frames: int = 1) -> Picture:
    """Decode what was opened.

    Args:
        image: the frame or page that it is turned to.
        what: it is, for messages.
        orientation: that Pillow does not apply itself.
        frames: how many there are.

    Raises:
        UnreadableImage: it is truncated or damaged.
    """
    try:
        if image.mode in _DEEP:
            samples = np.asarray(image).astype(np.uint16)
            return Picture(samples, 16, orientation=orientation, frames=frames)
        samples = _samples(image)
    except MemoryError:
        raise
    # Each decoder has its own ways to fail.
    except Exception:
        raise UnreadableImage(f"a truncated or damaged {what}; fetch or export it again")
    alpha = straight_alpha(samples)
    return Picture(samples, alpha=alpha, orientation=orientation, frames=frames)


def _samples(image: Image.Image) -> Array:
    """Return uint8 [H, W], or [H, W, 2, 3 or 4]; in strips, as there may be little room."""
    image.load()
    has_alpha = image.mode in _ALPHA or "transparency" in image.info
    is_grey = image.mode in ("1", "L", "LA", "La")
    mode = ("LA" if has_alpha else "L") if is_grey else ("RGBA" if has_alpha else "RGB")
    bands = len(mode)
    samples = np.empty((image.height, image.width, bands), np.uint8)
    for rows in strips(samples):
        strip = image.crop((0, rows.start, image.width, rows.stop))
        if strip.mode in _STRAIGHT:
            strip = strip.convert(_STRAIGHT[strip.mode])
        samples[rows] = np.asarray(strip.convert(mode)).reshape(-1, image.width, bands)
    return samples[..., 0] if bands == 1 else samples
