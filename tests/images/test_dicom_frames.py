"""Compressed and unusual DICOM files: every decoder, sign, and form of a file."""

import importlib
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from replearn.errors import ReplearnWarning
from replearn.images.decoding import decode, decode_image
from replearn.images.form import Form
from replearn.images.opening import open_images
from replearn.images.picture import UnreadableImage
from tests.images.dicoms import compressed, dataset_of, dicom, written
from tests.images.helpers import Pixels, encoded, gradient, noise

pytest.importorskip("pydicom", reason="DICOM needs replearn[dicom]")
codecs = pytest.importorskip("imagecodecs")

RAMP = np.linspace(0, 4095, 256).round().astype(np.uint16).reshape(16, 16)
SIGNED = (RAMP.astype(np.int32) - 1024).astype(np.int16)
TWELVE = {"BitsStored": 12, "HighBit": 11}
COLOURS = gradient(16, 16)

EXTENDED, LOSSLESS, LOSSLESS_1 = (f"1.2.840.10008.1.2.4.{n}" for n in (51, 57, 70))
JPEG_LS, NEAR_LOSSLESS, JPEG_2000, HTJ2K = (f"1.2.840.10008.1.2.4.{n}" for n in (80, 81, 90, 201))
SPECTRAL, PROGRESSIVE = (f"1.2.840.10008.1.2.4.{n}" for n in (53, 55))


def shown(data: bytes, channels: int = 1, frame: int | None = None) -> Pixels:
    return decode(data, size=16, channels=channels, fit="stretch", frame=frame).astype(int)


def twelve(level: int = 100) -> bytes:
    return bytes(codecs.jpeg8_encode(RAMP, level=level, bitspersample=12))


@pytest.mark.parametrize("syntax", [EXTENDED, SPECTRAL, PROGRESSIVE])
def test_jpeg_of_12_bits_is_read(syntax: str) -> None:
    found = shown(compressed(RAMP, syntax, [twelve()], **TWELVE))
    assert np.abs(found - shown(dicom(RAMP))).max() <= 1


@pytest.mark.parametrize("syntax", [LOSSLESS, LOSSLESS_1])
def test_lossless_jpeg_keeps_every_value(syntax: str) -> None:
    data = codecs.jpeg8_encode(RAMP, lossless=True, bitspersample=16)
    assert np.array_equal(shown(compressed(RAMP, syntax, [data])), shown(dicom(RAMP)))


@pytest.mark.parametrize("syntax", [JPEG_LS, NEAR_LOSSLESS])
def test_jpeg_ls_keeps_every_value_signed_ones_too(syntax: str) -> None:
    data = codecs.jpegls_encode(RAMP)
    assert np.array_equal(shown(compressed(RAMP, syntax, [data])), shown(dicom(RAMP)))
    data = codecs.jpegls_encode(SIGNED.view(np.uint16))
    assert np.array_equal(shown(compressed(SIGNED, syntax, [data])), shown(dicom(SIGNED)))


def jpeg_2000(pixels: Pixels) -> bytes:
    return bytes(codecs.jpeg2k_encode(pixels, reversible=True, level=0, codecformat="j2k"))


@pytest.mark.parametrize("stored", [RAMP, SIGNED, RAMP.astype(np.uint8)])
def test_jpeg_2000_keeps_every_value(stored: Pixels) -> None:
    data = compressed(stored, JPEG_2000, [jpeg_2000(stored)])
    assert np.array_equal(shown(data), shown(dicom(stored)))


def test_the_sign_of_a_jpeg_2000_codestream_counts_where_the_header_denies_it() -> None:
    window: dict[str, Any] = {"WindowCenter": 40, "WindowWidth": 400}
    wrong = compressed(SIGNED, JPEG_2000, [jpeg_2000(SIGNED)], PixelRepresentation=0, **window)
    assert np.array_equal(shown(wrong), shown(dicom(SIGNED, **window)))


@pytest.mark.parametrize("syntax", [JPEG_2000, JPEG_LS])
def test_compressed_colours_are_read(syntax: str) -> None:
    encode = jpeg_2000 if syntax == JPEG_2000 else codecs.jpegls_encode
    data = compressed(COLOURS, syntax, [encode(COLOURS)], kind="RGB")
    assert np.array_equal(shown(data, 3).transpose(1, 2, 0), COLOURS)


def test_jpeg_whose_data_end_early_is_refused_in_dicom_too() -> None:
    data = encoded(Image.fromarray(noise(200, 160)[..., 0]), "JPEG")
    stored = noise(200, 160)[..., 0]
    whole = compressed(stored, "1.2.840.10008.1.2.4.50", [data])
    assert np.abs(shown(whole) - shown(dicom(stored))).max() <= 6
    cut = data[: len(data) // 2] + b"\xff\xd9"
    with pytest.raises(UnreadableImage, match="damaged JPEG"):
        shown(compressed(stored, "1.2.840.10008.1.2.4.50", [cut]))


def test_the_frame_that_is_meant_is_decoded() -> None:
    frames = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]])
    parts = [codecs.jpegls_encode(np.ascontiguousarray(frame)) for frame in frames]
    data = compressed(frames, JPEG_LS, parts)
    for number in range(3):
        assert np.array_equal(shown(data, frame=number), shown(dicom(frames), frame=number))
    assert decode_image(data, Form(16)).frames == 3


def test_a_deflated_file_is_read() -> None:
    file = dataset_of(RAMP)
    uid = importlib.import_module("pydicom.uid")
    file.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    assert np.array_equal(shown(written(file)), shown(dicom(RAMP)))
    assert zlib  # which deflates it


def without_preamble(data: bytes) -> bytes:
    return data[132:]


def without_meta(data: bytes) -> bytes:
    """Return the dataset alone, as some archives keep it."""
    length = int.from_bytes(data[140:144], "little")
    return data[144 + length :]


@pytest.mark.parametrize("cut", [without_preamble, without_meta])
def test_a_file_without_a_preamble_is_read_whatever_its_name(cut: Any, tmp_path: Path) -> None:
    data = cut(dicom(RAMP))
    assert np.array_equal(shown(data), shown(dicom(RAMP)))
    (tmp_path / "1.2.840.1").write_bytes(data)
    assert open_images(tmp_path, size=16).ids == ["1.2.840.1"]


def test_a_preamble_may_be_the_head_of_another_kind() -> None:
    data = dicom(RAMP)
    assert np.array_equal(shown(b"II*\0" + data[4:]), shown(data))


@pytest.mark.filterwarnings("ignore:Invalid value:UserWarning")
def test_a_number_of_frames_that_is_none_is_the_reason_of_its_file() -> None:
    file = dataset_of(np.stack([RAMP, RAMP]))
    data = written(file).replace(b"IS\x02\x002 ", b"IS\x02\x001A")
    with pytest.raises(UnreadableImage, match="NumberOfFrames is '1A', no number"):
        shown(data)


def test_a_file_without_an_image_says_what_it_is() -> None:
    file = dataset_of(RAMP, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")
    del file.Rows, file.Columns, file.PixelData
    file.file_meta.MediaStorageSOPClassUID = file.SOPClassUID
    with pytest.raises(UnreadableImage, match=r"without an image \(Basic Text SR Storage\)"):
        shown(written(file))


@pytest.mark.parametrize("syntax", [EXTENDED, LOSSLESS_1, JPEG_LS, JPEG_2000, HTJ2K])
def test_frames_that_are_cut_off_say_of_what_kind_they_are(syntax: str) -> None:
    data = compressed(RAMP, syntax, [bytes(100)], **TWELVE)
    with pytest.raises(UnreadableImage, match=r"whose pixels are .*JPEG.*cut off or damaged"):
        shown(data)


def test_a_syntax_that_nobody_decodes_is_named() -> None:
    video = compressed(RAMP, "1.2.840.10008.1.2.4.102", [bytes(100)])
    with pytest.raises(UnreadableImage, match=r"MPEG-4.*not read; export it uncompressed"):
        shown(video)


def test_what_is_not_installed_is_the_reason_of_a_file_and_ends_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.dcm").write_bytes(compressed(RAMP, JPEG_LS, [codecs.jpegls_encode(RAMP)]))
    (tmp_path / "b.dcm").write_bytes(dicom(RAMP))
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.warns(ReplearnWarning, match="left out"):
        found = open_images(tmp_path, size=16, max_errors=0.5)
    assert found.ids == ["b"]
    assert found.errors[0][1].endswith("reading it needs pip install 'replearn[dicom]'")
    assert "JPEG-LS" in found.errors[0][1]
    data = dicom(RAMP)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(UnreadableImage, match=r"a DICOM file: .*pip install 'replearn\[dicom\]'"):
        shown(data)
