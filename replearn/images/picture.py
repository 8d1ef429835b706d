"""Pictures as files hold them: samples and what these mean, before they become 8-bit pixels."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from replearn.arrays import Array

MAX_PIXELS = 100_000_000
_MAX_BYTES = 8 * MAX_PIXELS  # of decoded samples: four of 16 bits for each pixel

_STRIP = 1 << 22  # samples that are computed with at a time


Alpha = Literal["straight", "premultiplied"]


class UnreadableImage(ValueError):  # noqa: N818 - it names the finding, as the report does
    """These bytes cannot become pixels; the text is the reason, for the report."""


class Picture(NamedTuple):
    """A decoded picture.

    Attributes:
        samples: [H, W], or [H, W, C] of grey and alpha, three colours, or these and alpha.
        depth: the bits that a sample has at most; 0 where samples are signed or floating-point.
        alpha: whether colours are already multiplied by it; None without alpha.
        blue_first: colours are blue, green, red, as OpenCV has them.
        white_is_zero: larger values are darker.
        orientation: as EXIF counts it, 1 to 8; 1 is upright.
        frames: how many frames or pages the file has.
    """

    samples: Array
    depth: int = 8
    alpha: Alpha | None = None
    blue_first: bool = False
    white_is_zero: bool = False
    orientation: int = 1
    frames: int = 1


def straight_alpha(samples: Array) -> Alpha | None:
    """Return how samples [H, W] or [H, W, C] have alpha if two or four of them are a pixel."""
    return "straight" if samples.ndim == 3 and samples.shape[2] in (2, 4) else None


def check_size(width: int, height: int, sample_bytes: int = 1) -> None:
    """Refuse what is too large to be decoded; `sample_bytes` are those of a pixel.

    Raises:
        UnreadableImage: it is.
    """
    if width < 1 or height < 1:
        raise UnreadableImage(f"{width} x {height} pixels: no image")
    if width * height > MAX_PIXELS:
        raise UnreadableImage(f"{width} x {height}: more than {MAX_PIXELS:,} pixels; reduce it")
    if width * height * sample_bytes > _MAX_BYTES:
        raise UnreadableImage(
            f"{width} x {height} of {sample_bytes} bytes a pixel: more than {_MAX_BYTES:,} bytes; "
            "reduce it"
        )


def strips(samples: Array) -> Iterator[slice]:
    """Yield slices of rows [H, ...] that are small enough to be computed with at once."""
    rows = len(samples)
    step = max(1, _STRIP * rows // max(1, samples.size))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))
