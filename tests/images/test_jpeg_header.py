"""The header of a JPEG: what Pillow says, or nothing."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from replearn.images.jpeg_header import JpegHeader, read_jpeg_header

PIXELS = np.random.default_rng(0).integers(0, 256, (37, 50, 3)).astype(np.uint8)
EXIF = Image.Exif()
EXIF[274] = 6


def jpeg(mode: str = "RGB", **settings: Any) -> bytes:
    file = BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(file, "JPEG", **settings)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"progressive": True},
        {"optimize": True, "quality": 100, "subsampling": 0},
        {"dpi": (300, 300), "comment": b"\xff\xc0\x00\x0b of a frame, says the comment"},
        {"exif": EXIF},
        {"icc_profile": bytes(70_000)},  # in more than one segment
    ],
)
def test_size_and_exif_are_those_that_pillow_reads(mode: str, settings: dict[str, Any]) -> None:
    data = jpeg(mode, **settings)
    seen = Image.open(BytesIO(data))
    assert read_jpeg_header(data) == JpegHeader(*seen.size, seen.info.get("exif", b""))


def test_other_images_have_no_such_header() -> None:
    file = BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG")
    for data in (b"", b"\xff\xd8", b"\xff\xd8\xff\xd9", file.getvalue(), jpeg("CMYK")):
        assert read_jpeg_header(data) is None


def segment(data: bytes, marker: int) -> tuple[int, int]:
    """Return where the first segment of this marker starts and stops."""
    start = data.index(bytes([0xFF, marker]))
    return start, start + 2 + int.from_bytes(data[start + 2 : start + 4])


def test_a_camera_may_speak_after_the_frame() -> None:
    whole = jpeg(exif=EXIF)
    start, stop = segment(whole, 0xE1)
    scan, _ = segment(whole, 0xDA)
    moved = whole[:start] + whole[stop:scan] + whole[start:stop] + whole[scan:]
    seen = Image.open(BytesIO(moved))
    assert seen.getexif()[274] == 6
    assert read_jpeg_header(moved) == JpegHeader(*seen.size, seen.info["exif"])


def test_a_frame_cannot_hide_behind_a_marker_without_length() -> None:
    large, small = jpeg(), BytesIO()
    Image.fromarray(PIXELS[:8, :8]).save(small, "JPEG")
    start, stop = segment(small.getvalue(), 0xC0)
    content = small.getvalue()[start:stop] + b"\xff\xfe\x00\x02"
    comment = b"\xff\xfe" + (2 + len(content)).to_bytes(2) + content
    start, stop = segment(large, 0xC0)
    # Taken for a length, what follows the marker leads past the frame to that in the comment.
    length = (2 + stop - start + 4).to_bytes(2)
    hiding = large[:2] + b"\xff\xd0" + length + large[start:stop] + comment
    hiding += large[2:start] + large[stop:]
    assert Image.open(BytesIO(hiding)).size == (50, 37)
    assert read_jpeg_header(hiding) is None


@pytest.mark.parametrize("marker", [0xC3, 0xC9])  # lossless, arithmetic
def test_a_coding_that_is_not_huffmans_has_no_such_header(marker: int) -> None:
    assert read_jpeg_header(jpeg().replace(b"\xff\xc0", bytes([0xFF, marker]), 1)) is None


@given(st.data())
def test_a_header_that_is_cut_off_is_none(data: st.DataObject) -> None:
    whole = jpeg()
    scan, _ = segment(whole, 0xDA)
    cut = data.draw(st.integers(0, len(whole)))
    assert (read_jpeg_header(whole[:cut]) is None) == (cut < scan + 4)


@given(st.data())
def test_damage_never_breaks_the_reader(data: st.DataObject) -> None:
    whole = bytearray(jpeg(exif=EXIF))
    for place in data.draw(st.lists(st.integers(0, 700), max_size=20)):
        whole[place] = data.draw(st.integers(0, 255))
    found = read_jpeg_header(bytes(whole))
    assert found is None or min(found.width, found.height) > 0
