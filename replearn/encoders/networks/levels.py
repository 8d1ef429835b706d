"""Depth and widths of a convolutional network for a given image size."""

from replearn.errors import UsageError

SMALLEST = 4  # side of the last feature map, as in DCGAN
_MOST = 8  # the channels stop doubling here


def widths(size: int, width: int) -> list[int]:
    """Return the channels of each level, from the pixels down to 4 x 4.

    Raises:
        UsageError: `size` is not 8, 16, 32, ...
    """
    levels = (size // SMALLEST).bit_length() - 1
    if size < 2 * SMALLEST or size != SMALLEST << levels:
        raise UsageError(f"image size {size}: these networks need 8, 16, 32, 64, 128, ...")
    return [width * min(2**level, _MOST) for level in range(levels)]
