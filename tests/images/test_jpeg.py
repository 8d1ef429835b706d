"""JPEG: damaged scans are refused, stray bytes are not, and rare codings are read."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from replearn.errors import ReplearnWarning
from replearn.images.decoding import decode, decode_image
from replearn.images.form import Form
from replearn.images.jpeg_header import CutOff, find_frame, only_needed
from replearn.images.opening import open_images
from replearn.images.picture import UnreadableImage
from tests.images.helpers import Pixels, colour, encoded, gradient, grey, noise

imagecodecs = pytest.importorskip("imagecodecs")

END = b"\xff\xd9"


def photograph(**options: object) -> bytes:
    options = {"quality": 90} | options
    return encoded(Image.fromarray(noise(200, 160)), "JPEG", **options)


def cut(data: bytes, share: float) -> bytes:
    """Leave the last part out of the entropy-coded data, but not the end marker."""
    kept = data[: int(len(data) * share)]
    return kept.rstrip(b"\xff") + END


KINDS = {
    "colour": photograph(),
    "subsampled": photograph(subsampling=2),
    "progressive": photograph(progressive=True),
    "grey": encoded(Image.fromarray(noise(200, 160)[..., 0]), "JPEG"),
    "restarts": photograph(restart_marker_blocks=4),
    "print colours": encoded(Image.fromarray(noise(200, 160)).convert("CMYK"), "JPEG"),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 100])
@pytest.mark.parametrize("name", list(KINDS))
def test_data_that_end_early_before_an_end_marker_are_refused(
    name: str, size: int, channels: int, capfd: pytest.CaptureFixture[str]
) -> None:
    data = KINDS[name]
    assert decode_image(data, Form(size, channels)).remark == ""
    for share in (0.3, 0.6, 0.9):
        with pytest.raises(UnreadableImage, match="damaged JPEG"):
            decode_image(cut(data, share), Form(size, channels))
    assert capfd.readouterr().err == ""


def test_a_restart_that_is_missing_is_refused() -> None:
    data = KINDS["restarts"]
    first, second = data.index(b"\xff\xd0"), data.index(b"\xff\xd1")
    with pytest.raises(UnreadableImage, match="damaged JPEG"):
        grey(data[:first] + data[second:], 64)


def with_stray_bytes(data: bytes) -> bytes:
    """Put bytes that belong to nothing between two segments, as some programs do."""
    place = data.index(b"\xff\xdb")
    return data[:place] + b"\x11\x22\x33" + data[place:]


def test_stray_bytes_between_segments_do_no_harm_and_are_told_with_the_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stray = with_stray_bytes(photograph())
    found = decode_image(stray, Form(64, 3))
    assert np.array_equal(found.pixels, decode(photograph(), size=64, channels=3, fit="stretch"))
    assert "3 extraneous bytes before marker" in found.remark
    (tmp_path / "a.jpg").write_bytes(stray)
    (tmp_path / "b.jpg").write_bytes(photograph())
    with pytest.warns(ReplearnWarning, match=r"1 image was read with complaints: a \(.*extraneous"):
        assert open_images(tmp_path, size=8).ids == ["a", "b"]
    assert capfd.readouterr().err == ""


def test_stray_bytes_do_not_hide_that_data_end_early() -> None:
    with pytest.raises(UnreadableImage, match="damaged JPEG"):
        grey(cut(with_stray_bytes(photograph()), 0.6), 64)


def test_a_segment_that_is_longer_than_the_file_is_refused() -> None:
    data = photograph()
    longer = data[: len(data) // 2].rstrip(b"\xff") + b"\xff\xdc\xff\xf0" + data[-200:]
    with pytest.raises(UnreadableImage, match=r"damaged JPEG|truncated JPEG"):
        grey(longer, 64)


def test_only_what_decoding_takes_is_kept_and_decodes_the_same() -> None:
    exif = Image.Exif()
    exif[270] = "a note"
    data = photograph(exif=exif, comment=b"another")
    plain = only_needed(with_stray_bytes(data) + b"what follows the end")
    assert b"a note" not in plain
    assert b"another" not in plain
    assert np.array_equal(
        np.asarray(Image.open(io.BytesIO(plain))), np.asarray(Image.open(io.BytesIO(data)))
    )
    with pytest.raises(CutOff):
        only_needed(data[:-2])


RAMP = np.linspace(0, 4095, 64 * 64).round().astype(np.uint16).reshape(64, 64)


def test_a_jpeg_of_12_bits_is_read_by_its_bits_in_use() -> None:
    data = imagecodecs.jpeg8_encode(RAMP, level=100, bitspersample=12)
    assert find_frame(data) == (0xC1, 12, 64, 64, 1)
    assert np.abs(grey(data, 64) - RAMP * (255 / 4095)).max() <= 1
    assert decode_image(data, Form(64)).bits == 12


@pytest.mark.parametrize("channels", [1, 3])
def test_a_lossless_jpeg_keeps_every_value_for_any_number_of_channels(channels: int) -> None:
    pixels = gradient(64, 64) if channels == 3 else gradient(64, 64)[..., 0]
    data = imagecodecs.jpeg8_encode(
        np.ascontiguousarray(pixels), lossless=True, outcolorspace="RGB"
    )
    expected = pixels if channels == 3 else np.repeat(pixels[..., None], 3, axis=2)
    assert np.array_equal(colour(data, 64), expected)
    assert np.abs(grey(data, 64) - expected @ [0.299, 0.587, 0.114]).max() <= 1


@pytest.mark.parametrize("pixels", [gradient(64, 64), gradient(64, 64)[..., 1]])
def test_jpeg_ls_is_read(pixels: Pixels) -> None:
    data = imagecodecs.jpegls_encode(np.ascontiguousarray(pixels))
    expected = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    assert np.array_equal(colour(data, 64), expected)


def test_codings_that_nobody_reads_are_named() -> None:
    data = bytearray(photograph())
    place = data.index(b"\xff\xc0")
    data[place + 1] = 0xC5
    with pytest.raises(UnreadableImage, match="hierarchical JPEG"):
        grey(bytes(data), 64)
