"""Decoding: pixels of every format, in their right order, range and size."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from replearn.images import jpeg
from replearn.images.decoding import decode
from replearn.images.form import Fit, Form
from replearn.images.image_set import ImageSet
from replearn.images.orientation import upright
from replearn.images.picture import UnreadableImage
from replearn.images.resizing import reduction, resize
from tests.images.helpers import (
    as_pillow,
    colour,
    encoded,
    encoded_cv2,
    gradient,
    grey,
    noise,
)

FITS: list[Fit] = ["stretch", "pad"]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 9), st.integers(0, 99))
def test_area_averaging_equals_block_means_for_integer_factors(
    down: int, across: int, size: int, seed: int
) -> None:
    shape = (size * down, size * across)
    pixels = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    means = pixels.reshape(size, down, size, across).mean((1, 3))
    assert np.abs(resize(pixels, size, size) - means).max() <= 0.5001


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 70), st.integers(0, 255))
def test_a_constant_image_stays_constant_at_any_size(
    height: int, width: int, size: int, value: int
) -> None:
    data = encoded(Image.new("L", (width, height), value), "PNG")
    assert (grey(data, size) == value).all()
    padded = grey(data, size, "pad")
    rows, columns = (np.flatnonzero((padded == value).any(axis)) for axis in (1, 0))
    inside = padded[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert (inside == value).all()
    assert max(inside.shape) == size
    assert padded.sum() == inside.astype(np.uint64).sum()


def test_the_right_size_leaves_pixels_untouched() -> None:
    pixels = noise(64, 64)
    for fit in FITS:
        assert np.array_equal(colour(encoded(Image.fromarray(pixels), "PNG"), 64, fit), pixels)


def test_an_axis_that_shrinks_does_not_alias_while_the_other_grows() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (8, 512))  # [8, 1024]: mean 127.5 everywhere
    shrunk = resize(stripes, 64, 64)
    assert shrunk.std() < 1
    assert abs(float(shrunk.mean()) - 127.5) <= 1


def test_padding_keeps_the_aspect_and_centres_on_black() -> None:
    data = encoded(Image.new("RGB", (80, 20), (200, 200, 200)), "PNG")
    padded = grey(data, 40, "pad")
    assert (padded[15:25] == 200).all()
    assert padded.sum() == 200 * 40 * 10
    thread = encoded(Image.new("L", (1000, 1), 9), "PNG")
    assert grey(thread, 40, "pad").sum() == 9 * 40


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "WEBP"])
def test_lossless_formats_give_the_same_pixels_in_the_order_red_green_blue(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(Image.fromarray(gradient(64, 64)), kind, **options)
    assert np.array_equal(colour(data, 64), gradient(64, 64))


def test_jpeg_is_near_and_grey_is_the_usual_weighting() -> None:
    pixels = gradient(64, 64)
    near = colour(encoded(Image.fromarray(pixels), "JPEG", quality=95), 64)
    assert np.abs(near.astype(int) - pixels).mean() < 3
    shade = pixels @ np.array([0.299, 0.587, 0.114])
    assert np.abs(grey(encoded(Image.fromarray(pixels), "PNG"), 64) - shade).max() <= 1


def test_a_grey_image_gives_three_equal_channels() -> None:
    data = encoded(Image.fromarray(gradient(64, 64)[..., 0]), "PNG")
    assert np.array_equal(colour(data, 64), np.repeat(gradient(64, 64)[..., :1], 3, axis=2))


@pytest.mark.parametrize(
    ("mode", "kind"),
    [(mode, kind) for mode in ("1", "P", "L") for kind in ("PNG", "TIFF", "BMP")]
    + [(mode, kind) for mode in ("CMYK", "L") for kind in ("JPEG", "TIFF")],
)
def test_palette_bilevel_and_print_colours_are_as_pillow_converts_them(
    mode: str, kind: str
) -> None:
    image = Image.fromarray(gradient(64, 64)).convert(mode)
    data = encoded(image, kind, **({"quality": 100} if kind == "JPEG" else {}))
    reference = as_pillow(Image.open(io.BytesIO(data)))
    assert np.abs(colour(data, 64) - reference).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_composited_on_white(kind: str, mode: str) -> None:
    image = Image.fromarray(gradient(64, 64)).convert(mode)
    image.putalpha(Image.fromarray(gradient(64, 64)[..., 1]))
    image = image if kind != "WEBP" else image.convert("RGBA")
    data = encoded(image, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    page = Image.new("RGBA", (64, 64), "white")
    page.alpha_composite(image.convert("RGBA"))
    assert np.abs(colour(data, 64) - as_pillow(page)).max() <= 1


def test_a_transparent_colour_of_a_palette_or_a_grey_image_is_white() -> None:
    red = Image.new("RGB", (8, 8), (200, 10, 10))
    for image in (red.quantize(2), red.convert("L")):
        data = encoded(image, "PNG", transparency=image.getpixel((0, 0)))
        assert (grey(data, 8) == 255).all(), image.mode


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bit_files_keep_their_range_by_the_bits_in_use(
    suffix: str, bits: int, channels: int
) -> None:
    levels = np.linspace(0, 2**bits - 1, 64 * 64).round().astype(np.uint16).reshape(64, 64)
    pixels = levels if channels == 1 else np.dstack([levels] * 3)
    found = grey(encoded_cv2(pixels, suffix), 64)
    assert np.abs(found - levels * (255 / (2**bits - 1))).max() <= 1


def test_transparency_of_sixteen_bits_does_not_count_as_bits_in_use() -> None:
    pixels = np.full((8, 8, 4), 4095, np.uint16)
    pixels[..., 3] = 65535
    pixels[0, 0, :3] = 0
    found = grey(encoded_cv2(pixels, ".png"), 8)
    assert found[0, 0] == 0
    assert (found.ravel()[1:] == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_orientation_is_applied(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    expected = gradient(64, 64)
    # How a camera held in this way would have stored the picture.
    inverse = {5: 5, 6: 8, 8: 6, 7: 7}.get(orientation, orientation)
    stored = upright(expected, inverse)
    options: dict[str, Any] = {"exif": exif}
    if kind == "TIFF":
        options = {"tiffinfo": {274: orientation}}
    elif kind != "PNG":
        options |= {"quality": 100} if kind == "JPEG" else {"lossless": True}
    data = encoded(Image.fromarray(stored), kind, **options)
    assert np.abs(colour(data, 64).astype(int) - expected).mean() < 2


@pytest.mark.parametrize("kind", ["TIFF", "PNG", "WEBP"])
def test_of_several_frames_the_first_counts(kind: str) -> None:
    first, second = Image.new("RGB", (8, 8), (9, 9, 9)), Image.new("RGB", (8, 8), (90, 0, 0))
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(first, kind, save_all=True, append_images=[second], **options)
    assert (grey(data, 8) == 9).all()


def photograph(mode: str = "RGB", **options: Any) -> bytes:
    """A JPEG of 600 x 500 pixels with coarse and fine structure."""
    coarse = np.random.default_rng(0).integers(64, 192, (10, 12, 3)).astype(np.uint8)
    fine = np.random.default_rng(1).normal(0, 5, (500, 600, 3))
    pixels = cv2.resize(coarse, (600, 500), interpolation=cv2.INTER_CUBIC) + fine
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert(mode)
    return encoded(image, "JPEG", quality=90, **options)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 512), st.sampled_from(FITS))
def test_a_jpeg_never_shrinks_below_twice_what_is_wanted(
    width: int, height: int, size: int, fit: Fit
) -> None:
    factor = reduction(width, height, Form(size, 1, fit))
    assert factor in (1, 2, 4, 8)
    longer, shorter = max(width, height), min(width, height)
    if factor > 1:
        assert longer // factor >= 2 * size
        assert fit == "pad" or shorter // factor >= 2 * size
        assert -longer % factor * size <= 0.15 * longer


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", [16, 64, 100])
def test_a_reduced_scale_makes_no_visible_change(
    size: int, mode: str, fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = photograph(mode)
    reduced = [decode(data, size=size, channels=c, fit=fit).astype(int) for c in (1, 3)]
    monkeypatch.setattr(jpeg, "reduction", lambda *_: 1)
    whole = [decode(data, size=size, channels=c, fit=fit).astype(int) for c in (1, 3)]
    for found, expected in zip(reduced, whole, strict=True):
        # Of 255; at the edge of a side that is rounded up more.
        assert np.abs(found - expected).mean() < 2
        assert np.abs(found - expected)[:, : size // 2, : size // 2].mean() < 1
        assert np.abs(found - expected).max() <= 12


def test_a_truncated_jpeg_is_unreadable_at_a_reduced_scale_too() -> None:
    data = photograph()
    for share in (0.1, 0.5, 0.99):
        with pytest.raises(UnreadableImage):
            decode(data[: int(len(data) * share)], size=32, channels=1, fit="stretch")


def whole_files() -> dict[str, bytes]:
    rgb = Image.fromarray(noise())
    files = {kind: encoded(rgb, kind) for kind in ("JPEG", "PNG", "TIFF", "WEBP", "BMP")}
    files["progressive JPEG"] = encoded(rgb, "JPEG", progressive=True)
    files["packed TIFF"] = encoded(rgb, "TIFF", compression="tiff_lzw")
    files["16-bit PNG"] = encoded_cv2(noise().astype(np.uint16) * 256, ".png")
    files["16-bit TIFF"] = encoded_cv2(noise().astype(np.uint16) * 256, ".tiff")
    files["grey JPEG"] = encoded(rgb.convert("L"), "JPEG")
    files["palette BMP"] = encoded(rgb.convert("P"), "BMP")
    return files


@pytest.mark.parametrize("name", list(whole_files()))
def test_truncated_files_are_unreadable(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    data = whole_files()[name]
    decode(data, size=32, channels=3, fit="stretch")
    for share in (0.001, 0.05, 0.3, 0.6, 0.95, 0.999):
        with pytest.raises(UnreadableImage):
            decode(data[: int(len(data) * share)], size=32, channels=3, fit="stretch")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["JPEG", "PNG", "packed TIFF", "grey JPEG", "16-bit PNG"])
def test_a_tail_of_zeros_is_found_where_the_format_can_tell(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    data = whole_files()[name]
    half = len(data) // 2
    with pytest.raises(UnreadableImage):
        decode(data[:half] + bytes(len(data) - half), size=32, channels=1, fit="stretch")
    assert capfd.readouterr().err == ""


def test_bytes_after_the_end_of_a_jpeg_or_png_do_no_harm() -> None:
    for name in ("JPEG", "PNG"):
        data = whole_files()[name]
        assert np.array_equal(colour(data + b"\xff\xffsome note", 32), colour(data, 32))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<html>not found</html>", "a page of HTML"),
        (b"some text", "no image of a known kind"),
        (encoded(Image.fromarray(np.ones((8, 8), np.float32)), "TIFF"), "float32 .* --range"),
        (encoded(Image.fromarray(np.ones((8, 8), np.int32)), "TIFF"), "int32 .* --range"),
    ],
)
def test_what_is_no_image_has_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImage, match=reason):
        decode(data, size=8, channels=1, fit="stretch")


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize("sides", [(10_001, 10_000), (15_000, 10_000), (200_000, 200_000)])
def test_a_header_of_too_many_pixels_is_refused_before_decoding(
    sides: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(UnreadableImage, match="100,000,000 pixels"):
        decode(png_header(*sides), size=8, channels=1, fit="stretch")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_bytes_are_decoded_or_unreadable_and_nothing_else(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(list(SMALL_FILES.values()))))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decode(bytes(content), size=8, channels=3, fit="pad")
    except UnreadableImage:
        return
    assert found.shape == (3, 8, 8)


SMALL_FILES = {
    kind: encoded(Image.fromarray(gradient(12, 9)), kind)
    for kind in ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
}


ODD = """
import sys
from pipelines.__main__ import main
status = main(["prepare", sys.argv[1], sys.argv[2], "--size", "8", "--max-errors", "1"])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
sys.exit(status)
"""


def test_every_odd_file_is_read_or_reported_once_in_little_memory(tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    picture = Image.fromarray(gradient(64, 64))
    huge = Image.new("1", (20_000, 20_000))
    good = {
        "cmyk.jpg": encoded(picture.convert("CMYK"), "JPEG"),
        "palette.png": encoded(picture.convert("P"), "PNG"),
        "alpha.png": encoded(picture.convert("RGBA"), "PNG"),
        "one-bit.tif": encoded(picture.convert("1"), "TIFF"),
        "sixteen-bit.png": encoded_cv2(gradient(64, 64).astype(np.uint16) * 257, ".png"),
        "animated.webp": encoded(picture, "WEBP", save_all=True, append_images=[picture]),
        "misnamed.jpg": encoded(picture, "PNG"),
    }
    bad = {
        "corrupt.jpg": (b"\xff\xd8\xff" + noise().tobytes(), "header"),
        "zero.png": (b"", "empty file"),
        "truncated.jpg": (photograph()[:-900], "truncated"),
        "huge.png": (encoded(huge, "PNG"), "100,000,000 pixels"),
        "huge-tiff.tif": (encoded(huge, "TIFF", compression="group4"), "100,000,000 pixels"),
        "text.png": (b"<html>", "HTML"),
    }
    for name, data in [*good.items(), *((name, data) for name, (data, _) in bad.items())]:
        (folder / name).write_bytes(data)
    command = [sys.executable, "-c", ODD, str(folder), str(tmp_path / "set.h5")]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    found = ImageSet.load(tmp_path / "set.h5")
    assert found.ids == sorted(Path(name).stem for name in good)
    reasons = dict(found.errors)
    assert len(found.errors) == len(reasons) == len(bad)
    for name, (_, reason) in bad.items():
        assert reason in reasons[Path(name).stem], name
    assert int(done.stdout.splitlines()[-1]) < 400_000  # KiB
