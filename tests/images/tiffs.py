"""TIFF files of any kind, written by hand: no library writes all that there is."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
OFFSETS, ORIENTATION, SAMPLES, ROWS, COUNTS, PLANES = 273, 274, 277, 278, 279, 284
COLORMAP, EXTRA, FORMAT, SUBFILE, SUBSAMPLING = 320, 338, 339, 254, 530
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, INKS, YCBCR = 0, 1, 2, 3, 5, 6
SIGNED, FLOATING = 2, 3

Pixels = np.ndarray[Any, Any]


def tiff(
    width: int, height: int, strips: Sequence[bytes], tags: Mapping[int, int | Sequence[int]]
) -> bytes:
    """Return a little-endian TIFF of one page: strips of packed samples, and more tags."""
    head = b"II*\0" + struct.pack("<I", 8 + sum(map(len, strips)))
    starts = [8 + sum(map(len, strips[:number])) for number in range(len(strips))]
    entries: dict[int, int | Sequence[int]] = {
        WIDTH: width,
        HEIGHT: height,
        COMPRESSION: 1,
        OFFSETS: starts,
        ROWS: height,
        COUNTS: list(map(len, strips)),
        **tags,
    }
    body, more = b"", b""
    after = len(head) + sum(map(len, strips)) + 2 + 12 * len(entries) + 4
    for tag, value in sorted(entries.items()):
        values = [value] if isinstance(value, int) else list(value)
        size, code = (4, "I") if tag in (OFFSETS, COUNTS) else (2, "H")
        packed = struct.pack(f"<{len(values)}{code}", *values)
        if len(packed) > 4:
            place, more = after + len(more), more + packed
            packed = struct.pack("<I", place)
        body += struct.pack("<HHI", tag, {4: 4, 2: 3}[size], len(values)) + packed.ljust(4, b"\0")
    return head + b"".join(strips) + struct.pack("<H", len(entries)) + body + bytes(4) + more


def packed(samples: Pixels, bits: int) -> bytes:
    """Return samples [H, N] with so many bits each, every row filled up to whole bytes."""
    shifts = np.arange(bits - 1, -1, -1)
    ones = (samples.astype(np.uint64)[..., None] >> shifts.astype(np.uint64)) & 1
    return np.packbits(ones.reshape(len(samples), -1).astype(np.uint8), axis=1).tobytes()


def image(samples: Pixels, bits: int, photometric: int, **more: Any) -> bytes:
    """Return a TIFF of samples [H, W] or [H, W, C] in pixels; `planes=True` puts C into planes."""
    in_planes = more.pop("planes", False)
    tags = {getattr_tag(name): value for name, value in more.items()}
    height, width = samples.shape[:2]
    count = samples.shape[2] if samples.ndim == 3 else 1
    if in_planes:
        parts = [samples[..., number] for number in range(count)]
    else:
        parts = [samples.reshape(height, -1)]
    if samples.dtype.kind in "if" or bits in (8, 16, 32, 64):
        strips = [np.ascontiguousarray(part).tobytes() for part in parts]
    else:
        strips = [packed(part, bits) for part in parts]
    tags |= {
        BITS: [bits] * count,
        PHOTOMETRIC: photometric,
        SAMPLES: count,
        PLANES: 2 if in_planes else 1,
    }
    return tiff(width, height, strips, tags)


def getattr_tag(name: str) -> int:
    """Return the tag of a name in lower case."""
    return int(globals()[name.upper()])
