"""BMP: layouts of bits, palettes, run lengths, and bytes that are no transparency."""

import struct

import numpy as np
import pytest

from replearn.images.decoding import decode
from replearn.images.picture import UnreadableImage
from tests.images.helpers import Pixels, colour


def bmp(header: bytes, body: bytes) -> bytes:
    size = (14 + len(header) + len(body)).to_bytes(4, "little")
    return b"BM" + size + bytes(4) + (14 + len(header)).to_bytes(4, "little") + header + body


def bitmap_header(bits: int, compression: int = 0, size: int = 40) -> bytes:
    fields = [(size, 4), (4, 4), (1, 4), (1, 2), (bits, 2), (compression, 4)]
    return b"".join(value.to_bytes(width, "little") for value, width in fields).ljust(40, b"\0")


MASKS: list[tuple[int, tuple[int, ...]]] = [
    (16, (0xF800, 0x7E0, 0x1F)),
    (16, (0x7C00, 0x3E0, 0x1F, 0x8000)),
    (16, (0xF00, 0xF0, 0xF, 0xF000)),
    (32, (0xFF, 0xFF00, 0xFF0000)),
    (32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
    (32, (0x3FF00000, 0xFFC00, 0x3FF)),
]


def with_masks(pixels: Pixels, bits: int, masks: tuple[int, ...], height: int = 1) -> bytes:
    """Return a bitmap with a long header, in which the masks stand."""
    header = bytearray(bitmap_header(bits, compression=3, size=108))
    header[8:12] = struct.pack("<i", height)
    fields = struct.pack(f"<{len(masks)}I", *masks)
    return bmp(bytes(header) + fields.ljust(68, b"\0"), pixels.astype(f"<u{bits // 8}").tobytes())


@pytest.mark.parametrize(("bits", "masks"), MASKS)
def test_masks_tell_where_the_colours_are_and_every_one_uses_the_whole_range(
    bits: int, masks: tuple[int, ...]
) -> None:
    opaque = masks[3] if len(masks) == 4 else 0
    pixels = np.array([masks[0] | opaque, masks[1] | opaque, masks[2] | opaque, opaque])
    found = colour(with_masks(pixels, bits, masks), 4)[1]
    assert found.tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 0]]
    half = pixels.copy()
    half[3] = 0  # transparent, if there is alpha
    found = colour(with_masks(half, bits, masks), 4)[1]
    assert found[3].tolist() == ([255] * 3 if opaque else [0] * 3)


def test_alpha_of_zero_everywhere_is_none() -> None:
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    found = colour(with_masks(np.array([0xFF0000, 0xFF00, 0xFF, 0]), 32, masks), 4)[1]
    assert found.tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 0]]


def test_rows_lie_from_below_unless_the_height_is_negative() -> None:
    pixels = np.array([[0] * 4, [0x7FFF] * 4])
    masks = (0x7C00, 0x3E0, 0x1F)
    upwards = colour(with_masks(pixels, 16, masks, 2), 4)
    downwards = colour(with_masks(pixels, 16, masks, -2), 4)
    assert upwards[0, 0, 0] == 255
    assert downwards[0, 0, 0] == 0
    with pytest.raises(UnreadableImage, match="truncated BMP"):
        colour(with_masks(pixels, 16, masks, 3), 4)


@pytest.mark.parametrize(("bits", "compression"), [(2, 0), (24, 4), (8, 5)])
def test_layouts_that_are_not_read_are_named(bits: int, compression: int) -> None:
    data = bmp(bitmap_header(bits, compression), bytes(100))
    with pytest.raises(UnreadableImage, match=f"a BMP of {bits} bits a pixel .*not read"):
        colour(data, 4)


def test_bitmaps_of_16_bits_use_the_whole_range() -> None:
    pixels = np.array([0x7FFF, 0, 0x001F, 0x7C00], "<u2")  # white, black, blue, red
    found = decode(bmp(bitmap_header(16), pixels.tobytes()), size=4, channels=3, fit="stretch")
    assert found[:, 1].T.tolist() == [[255, 255, 255], [0, 0, 0], [0, 0, 255], [255, 0, 0]]


def test_an_unused_byte_of_a_bitmap_is_no_transparency() -> None:
    pixels = np.array([[10, 20, 30, 0], [40, 50, 60, 128], [1, 2, 3, 255], [0, 0, 0, 7]], np.uint8)
    found = decode(bmp(bitmap_header(32), pixels.tobytes()), size=4, channels=3, fit="stretch")
    assert np.array_equal(found[::-1, 1].T, pixels[:, :3])


def test_run_lengths_of_a_bitmap_that_lead_outside_are_refused() -> None:
    palette = bytes(range(4)) * 256
    header = bitmap_header(8, compression=1)
    good = bmp(header + palette, b"\4\1\0\1")
    assert decode(good, size=4, channels=1, fit="stretch").shape == (1, 4, 4)
    with pytest.raises(UnreadableImage, match="damaged BMP"):
        decode(bmp(header + palette, b"\xff\1\0\1"), size=4, channels=1, fit="stretch")
