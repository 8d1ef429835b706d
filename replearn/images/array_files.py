"""NumPy's `.npy` files of one image -> pictures; rows of larger arrays are given as such too."""

import io

import numpy as np

from replearn.arrays import Array
from replearn.images.picture import Picture, UnreadableImage, check_size, straight_alpha


def read_array(data: bytes) -> Picture:
    """Return the picture in an array [H, W], [H, W, C] or [C, H, W].

    C is 1 (grey), 3 (red, green, blue) or 4 (these and alpha).  Boolean samples are black and
    white; those of unsigned integers have the bits of the type at most.

    Raises:
        UnreadableImage: it is damaged, or no image.
    """
    try:
        header = np.load(io.BytesIO(data), mmap_mode=None, allow_pickle=False)
    except MemoryError:
        raise
    except Exception:  # a header is a text that is parsed
        raise UnreadableImage("a truncated or damaged NumPy array; save it again")
    if not isinstance(header, np.ndarray) or header.dtype.kind not in "biuf":
        raise UnreadableImage(f"a NumPy array of {header.dtype}, which are no pixels")
    samples = _channels_last(header)
    check_size(samples.shape[1], samples.shape[0], samples[0, 0].nbytes)
    depth = 0
    if samples.dtype == bool:
        samples, depth = samples.view(np.uint8), 1
    elif samples.dtype.kind == "u":
        depth = 8 * samples.itemsize
    return Picture(samples, depth, straight_alpha(samples))


def _channels_last(pixels: Array) -> Array:
    """Return pixels [H, W] or [H, W, C]."""
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3, 4) and pixels.shape[2] not in (1, 3, 4):
        pixels = pixels.transpose(1, 2, 0)
    is_image = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4))
    if not is_image or not pixels.size:
        raise UnreadableImage(f"a NumPy array {list(pixels.shape)}, which is no single image")
    return pixels


def write_array(pixels: Array) -> bytes:
    """Return one image of a larger array as the bytes of a file that `read_array` reads."""
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(pixels), allow_pickle=False)
    return file.getvalue()
