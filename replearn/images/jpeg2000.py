"""JPEG 2000 files and codestreams -> pictures: Pillow decodes 8 bits, imagecodecs more."""

import numpy as np

from replearn.images.optional_codecs import require
from replearn.images.picture import Picture, UnreadableImage, check_size, straight_alpha
from replearn.images.pillow_files import read_with_pillow

_CODESTREAM = b"\xff\x4f\xff\x51"  # its start and the marker of its size
_WHAT = "a JPEG 2000 image"


def read_jpeg2000(data: bytes) -> Picture:
    """Return the picture.

    Raises:
        UnreadableImage: it is truncated or damaged, or of a kind that is not read.
    """
    start = data.find(_CODESTREAM)
    # ITU-T T.800, A.5.1: length, capabilities, eight numbers of size, then the components.
    header = data[start + 4 : start + 44]
    if start < 0 or len(header) < 39:
        raise UnreadableImage(f"{_WHAT} with a damaged header; fetch or export it again")
    width, height, left, top = (
        int.from_bytes(header[place : place + 4]) for place in (4, 8, 12, 16)
    )
    components, precision = int.from_bytes(header[36:38]), header[38]
    bits, is_signed = (precision & 0x7F) + 1, precision > 0x7F
    check_size(width - left, height - top, components * (1 + (bits > 8)))
    if bits <= 8 and not is_signed:
        return read_with_pillow(data, ("JPEG2000",), "JPEG 2000 image")
    codecs = require("imagecodecs", f"{_WHAT} of {bits} bits a sample")
    try:
        samples = np.asarray(codecs.jpeg2k_decode(data))
    except MemoryError:
        raise
    except Exception:  # OpenJPEG has errors of its own
        raise UnreadableImage(f"{_WHAT}, truncated or damaged; fetch or export it again")
    if samples.ndim == 3 and samples.shape[2] > 4:
        raise UnreadableImage(f"{_WHAT} of {samples.shape[2]} samples a pixel; convert it to PNG")
    return Picture(samples, 0 if is_signed else bits, straight_alpha(samples))
