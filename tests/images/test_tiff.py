"""TIFF: every depth, sign, order and meaning of samples is read rightly, or named."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from replearn.images.decoding import decode, decode_image
from replearn.images.form import Form
from replearn.images.picture import UnreadableImage
from tests.images import tiffs
from tests.images.helpers import Pixels, colour, encoded, gradient, grey
from tests.images.tiffs import BLACK_IS_ZERO, INKS, PALETTE, RGB, WHITE_IS_ZERO, YCBCR, image

tifffile = pytest.importorskip("tifffile")

PICTURE = gradient(64, 64)


def deep(bits: int) -> Pixels:
    """The picture in so many bits, using all of them."""
    dtype = np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32
    return np.asarray((PICTURE / 255 * (2**bits - 1)).round().astype(dtype))


@pytest.mark.parametrize("planes", [False, True])
@pytest.mark.parametrize("bits", [2, 4, 8, 10, 12, 14, 16, 32])
def test_colours_of_any_depth_are_read_from_pixels_and_from_planes(bits: int, planes: bool) -> None:
    found = colour(image(deep(bits), bits, RGB, planes=planes), 64)
    tolerance = 1 if bits >= 8 else 255 / (2**bits - 1) / 2 + 0.51
    assert np.abs(found.astype(int) - PICTURE).max() <= tolerance


@pytest.mark.parametrize("compression", ["zlib", "lzw", "packbits"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_planes_of_16_bits_are_read_however_they_lie(compression: str, tile: Any) -> None:
    file = io.BytesIO()
    planes = np.ascontiguousarray(deep(16).transpose(2, 0, 1))
    options = {"photometric": "rgb", "planarconfig": "separate", "compression": compression}
    tifffile.imwrite(file, planes, tile=tile, rowsperstrip=None if tile else 16, **options)
    assert np.abs(colour(file.getvalue(), 64).astype(int) - PICTURE).max() <= 1


@pytest.mark.parametrize("bits", [1, 3, 4, 5, 6, 7, 8, 12, 16])
@pytest.mark.parametrize("meaning", [WHITE_IS_ZERO, BLACK_IS_ZERO])
def test_grey_of_any_depth_is_bright_where_the_file_says_so(bits: int, meaning: int) -> None:
    samples = deep(bits)[..., 0]
    stored = samples if meaning == BLACK_IS_ZERO else (2**bits - 1 - samples).astype(samples.dtype)
    expected = samples.astype(int) * (255 / (2**bits - 1))
    assert np.abs(grey(image(stored, bits, meaning), 64) - expected).max() <= 1


def test_bits_in_use_are_counted_in_what_was_packed() -> None:
    dark = PICTURE[..., 0].astype(np.uint16) * 2  # 9 bits of 12
    data = image(dark, 12, BLACK_IS_ZERO)
    assert decode_image(data, Form(64)).bits == 9
    assert np.abs(grey(data, 64) - dark * (255 / 511)).max() <= 1
    in_sixteen = image(dark, 16, BLACK_IS_ZERO)
    assert np.array_equal(grey(data, 64), grey(in_sixteen, 64))


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32])
def test_signed_samples_are_refused_unless_their_range_is_stated(dtype: Any) -> None:
    samples = (PICTURE[..., 0].astype(int) - 128).astype(dtype)
    data = image(samples, 8 * samples.itemsize, BLACK_IS_ZERO, format=tiffs.SIGNED)
    with pytest.raises(UnreadableImage, match=f"{np.dtype(dtype)} samples.*--range"):
        grey(data, 64)
    stated: dict[str, Any] = {
        "size": 64,
        "channels": 1,
        "fit": "stretch",
        "value_range": (-128, 127),
    }
    assert np.array_equal(decode(data, **stated)[0], PICTURE[..., 0])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floating_point_samples_are_read_where_their_range_is_stated(dtype: Any) -> None:
    samples = (PICTURE / 255).astype(dtype)
    data = image(samples, 8 * samples.itemsize, RGB, format=[tiffs.FLOATING] * 3)
    with pytest.raises(UnreadableImage, match="--range 0,1"):
        grey(data, 64)
    found = decode(data, size=64, channels=3, fit="stretch", value_range=(0, 1))
    assert np.abs(found.transpose(1, 2, 0).astype(int) - PICTURE).max() <= 1


@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize("kind", [1, 2])
def test_transparency_shows_the_page_whether_colours_are_multiplied_or_not(
    bits: int, kind: int
) -> None:
    colours = deep(bits).astype(float)
    opacity = np.linspace(0, 1, 64)[:, None, None]
    alpha = np.broadcast_to((opacity * (2**bits - 1)).round(), (64, 64, 1))
    stored = colours * alpha / (2**bits - 1) if kind == 1 else colours
    samples = np.concatenate([stored.round(), alpha], axis=2).astype(deep(bits).dtype)
    expected = colours / (2**bits - 1) * 255 * opacity + 255 * (1 - opacity)
    found = colour(image(samples, bits, RGB, extra=kind), 64)
    assert np.abs(found - expected).mean() <= (1 if bits >= 8 else 5)


def test_a_sample_of_unknown_meaning_beside_grey_is_no_transparency() -> None:
    samples = np.dstack([PICTURE[..., 0], PICTURE[..., 1]])
    assert np.array_equal(grey(image(samples, 8, BLACK_IS_ZERO, extra=0), 64), PICTURE[..., 0])
    many = np.dstack([PICTURE, PICTURE])
    with pytest.raises(UnreadableImage, match="6 samples a pixel, which is not read"):
        grey(image(many, 16 // 2, BLACK_IS_ZERO, extra=[0] * 5), 64)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_palette_of_any_size_gives_its_colours(bits: int) -> None:
    random = np.random.default_rng(0)
    palette = random.integers(0, 65536, (3, 2**bits))
    index = random.integers(0, 2**bits, (16, 16)).astype(np.uint8 if bits == 8 else np.uint16)
    data = image(index, bits, PALETTE, colormap=palette.ravel().tolist())
    assert np.abs(colour(data, 16) - (palette[:, index].transpose(1, 2, 0) >> 8)).max() <= 1


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planes", [False, True])
def test_inks_of_any_depth_become_colours(bits: int, planes: bool) -> None:
    inks = Image.fromarray(PICTURE).convert("CMYK")
    samples = np.asarray(inks).astype(deep(bits).dtype) * (1 if bits == 8 else 257)
    expected = np.asarray(inks.convert("RGB")).astype(int)
    found = colour(image(samples, bits, INKS, planes=planes), 64)
    assert np.abs(found - expected).max() <= 1


def test_planes_of_brightness_and_colour_differences_become_colours() -> None:
    pixels = Image.fromarray(PICTURE).convert("YCbCr")
    for planes in (False, True):
        found = colour(image(np.asarray(pixels), 8, YCBCR, planes=planes, subsampling=[1, 1]), 64)
        assert np.abs(found - np.asarray(pixels.convert("RGB")).astype(int)).max() <= 1


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_both_orders_of_bytes_and_large_files_are_read(order: str, bigtiff: bool) -> None:
    for bits in (8, 16):
        file = io.BytesIO()
        tifffile.imwrite(file, deep(bits), photometric="rgb", byteorder=order, bigtiff=bigtiff)
        assert np.abs(colour(file.getvalue(), 64).astype(int) - PICTURE).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_at_16_bits_too(orientation: int) -> None:
    eight = image(PICTURE, 8, RGB, orientation=orientation)
    sixteen = image(deep(16), 16, RGB, orientation=orientation)
    assert np.abs(colour(eight, 64).astype(int) - colour(sixteen, 64)).max() <= 1


def test_memory_that_was_never_set_does_not_come_out() -> None:
    height = 64
    whole = image(deep(16), 16, RGB, planes=True)
    strip = len(deep(16)[..., 0].tobytes())
    # Strips of the second and third plane that are said to lie nowhere.
    for counts, offsets in (([strip, 0, 0], [8, 0, 0]), ([strip], [8])):
        tags: dict[int, Any] = {
            258: [16] * 3,
            262: RGB,
            277: 3,
            284: 2,
            273: offsets,
            279: counts,
            278: height,
        }
        data = tiffs.tiff(64, height, [deep(16)[..., 0].tobytes()], tags)
        with pytest.raises(UnreadableImage, match="truncated or damaged TIFF"):
            grey(data, 64)
    assert np.array_equal(grey(whole, 64), grey(whole, 64))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_planes_that_are_cut_off_are_refused(share: float) -> None:
    data = image(deep(16), 16, RGB, planes=True)
    directory = struct.unpack("<I", data[4:8])[0]
    shorter = data[: int(directory * share)]
    cut = shorter[:4] + struct.pack("<I", len(shorter)) + shorter[8:] + data[directory:]
    with pytest.raises(UnreadableImage, match="damaged"):
        grey(cut, 64)


def test_what_is_not_read_is_named() -> None:
    cases = {
        "32844": image(deep(16), 16, 32844),  # LogL
        "THUNDERSCAN": image(deep(4)[..., 0], 4, BLACK_IS_ZERO, compression=32809),
        "does not exist": image(deep(16)[..., 0], 16, BLACK_IS_ZERO, compression=99),
    }
    reasons = {}
    for name, data in cases.items():
        with pytest.raises(UnreadableImage, match=r"which is not read|damaged") as caught:
            grey(data, 64)
        reasons[name] = str(caught.value)
    assert "a TIFF of 16 bits a sample, 3 samples a pixel" in reasons["32844"]
    assert "a TIFF of 4 bits a sample (THUNDERSCAN), which is not read" in reasons["THUNDERSCAN"]


def test_pages_in_a_smaller_size_are_no_pages() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(PICTURE[::4, ::4], photometric="rgb", subfiletype=1)
        writer.write(PICTURE, photometric="rgb")
        writer.write(255 - PICTURE, photometric="rgb")
    found = decode_image(file.getvalue(), Form(64, 3))
    assert found.frames == 2
    assert np.array_equal(found.pixels.transpose(1, 2, 0), PICTURE)
    second = decode_image(file.getvalue(), Form(64, 3), frame=1)
    assert np.array_equal(second.pixels.transpose(1, 2, 0), 255 - PICTURE)
    with pytest.raises(UnreadableImage, match="2 pages, without a page 3"):
        decode_image(file.getvalue(), Form(64, 3), frame=2)


def test_without_the_package_that_reads_them_they_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tifffile", None)
    with pytest.raises(UnreadableImage, match=r"pip install 'replearn\[cpu\]'"):
        grey(image(deep(16), 16, RGB), 64)
    assert grey(encoded(Image.fromarray(PICTURE), "TIFF"), 64).shape == (64, 64)


@pytest.mark.parametrize("planes", [False, True])
@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize("meaning", [BLACK_IS_ZERO, RGB, PALETTE, INKS])
def test_one_more_sample_is_transparency_where_the_file_says_so(
    meaning: int, bits: int, planes: bool
) -> None:
    bits = 8 if meaning == INKS and bits == 4 else bits  # nobody prints with 4
    white, random = 2**bits - 1, np.random.default_rng(0)
    count = {BLACK_IS_ZERO: 1, PALETTE: 1, RGB: 3, INKS: 4}[meaning]
    samples = random.integers(0, white + 1, (16, 16, count + 1)).astype(deep(bits).dtype)
    samples[..., count] = white
    samples[:8, :, count] = 0
    more: dict[str, Any] = {"planes": planes}
    if meaning == PALETTE:
        more["colormap"] = random.integers(0, 65536, 3 * 2**bits).tolist()
    opaque = colour(image(samples[..., :count], bits, meaning, **more), 16)
    for extra, top in ((2, 255), (0, None)):
        found = colour(image(samples, bits, meaning, extra=extra, **more), 16)
        assert np.abs(found[8:].astype(int) - opaque[8:]).max() <= 1
        expected = opaque[:8] if top is None else np.full_like(opaque[:8], top)
        assert np.abs(found[:8].astype(int) - expected).max() <= 1
