"""Kinds of files are told by their first bytes; names help only where they say something."""

import importlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from replearn.errors import DataError, ReplearnWarning
from replearn.images.decoding import decode, decode_image
from replearn.images.form import Form
from replearn.images.kinds import describe, image_suffix, kind_of, looks_like_image, tells_by_name
from replearn.images.opening import open_images
from replearn.images.picture import UnreadableImage
from tests.images.helpers import encoded, gradient, grey

PICTURE = Image.fromarray(gradient(16, 16))
FORMATS = ["JPEG", "PNG", "TIFF", "BMP", "WebP", "GIF", "JPEG2000", "PPM"]


@pytest.mark.parametrize("kind", FORMATS)
def test_an_image_is_read_whatever_its_name(kind: str, tmp_path: Path) -> None:
    data = encoded(PICTURE, kind)
    expected = grey(data, 16)
    assert np.abs(expected - gradient(16, 16) @ [0.299, 0.587, 0.114]).mean() < 12
    for name in ("a.dcm", "b.png", "c.jfif", "d.mpo", "e.jp2", "f.gif", "g.IMA"):
        (tmp_path / name).write_bytes(data)
    found = open_images(tmp_path, size=16)
    assert found.ids == list("abcdefg")
    assert (found.pixels == expected).all()


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind not in ("BMP", "PPM")])
def test_files_without_a_name_that_tells_are_looked_into(kind: str, tmp_path: Path) -> None:
    for name in ("IM000001", "1.2.840.113619.2.55.321", "1.2.840.113619.2.55.322", "x.unknown"):
        (tmp_path / name).write_bytes(encoded(PICTURE, kind))
    (tmp_path / "README").write_text("no image")
    (tmp_path / "notes.txt").write_bytes(encoded(PICTURE, kind))
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    with pytest.warns(ReplearnWarning, match=r"not taken for images: 1 \.txt, 2 without extension"):
        found = open_images(tmp_path, size=16)
    uids = ["1.2.840.113619.2.55.321", "1.2.840.113619.2.55.322"]
    assert found.ids == [*uids, "IM000001", "x.unknown"]


def test_a_single_file_and_a_list_of_files_may_have_any_name(tmp_path: Path) -> None:
    for name in ("1.2.321", "1.2.322"):
        (tmp_path / name).write_bytes(encoded(PICTURE, "PNG"))
    assert open_images(tmp_path / "1.2.321", size=16).ids == ["1.2.321"]
    (tmp_path / "list.txt").write_text("1.2.321\n1.2.322\n")
    assert open_images(tmp_path / "list.txt", size=16).ids == ["1.2.321", "1.2.322"]


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
def test_members_of_archives_are_looked_into_as_files_are(kind: str, tmp_path: Path) -> None:
    make_archive = importlib.import_module("shutil").make_archive
    folder = tmp_path / "x"
    folder.mkdir()
    (folder / "IM0001").write_bytes(encoded(PICTURE, "PNG"))
    (folder / "IM0002").write_bytes(encoded(PICTURE, "JPEG"))
    (folder / "README").write_text("no image")
    archive = Path(make_archive(str(tmp_path / "archive"), kind, folder))
    with pytest.warns(ReplearnWarning, match="1 without extension"):
        assert open_images(archive, size=16).ids == ["IM0001", "IM0002"]


def test_a_damaged_member_without_a_name_that_tells_is_not_taken_for_an_image(
    tmp_path: Path,
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("IM0001", encoded(PICTURE, "PNG"))
        archive.writestr("IM0002", encoded(PICTURE, "PNG"))
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[:4] = bytes(4)  # the header of the first member
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.warns(ReplearnWarning, match="1 without extension"):
        assert open_images(tmp_path / "a.zip", size=16).ids == ["IM0002"]


def test_a_folder_without_images_says_what_would_be_some(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("no image")
    with pytest.raises(DataError, match="neither a name nor the first bytes"):
        open_images(tmp_path)


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (b"", "empty file"),
        (b"8BPS", "Photoshop file .PSD., which is not read; convert it to PNG"),
        (b"%PDF-1.4", "a PDF"),
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"\0\0\0\x18ftypavif", "AVIF"),
        (b"\xff\x0a", "JPEG XL"),
        (bytes(344) + b"n+1\0", "NIfTI"),
        (b"\x1f\x8b\x08", "unpack it"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (b"\x89PNG\n\x1a\n", "copied as text"),
        (b"<!DOCTYPE html>", "HTML"),
        (b"\1\2\3\4", "begins with 01 02 03 04"),
    ],
)
def test_what_is_no_image_is_named(start: bytes, reason: str) -> None:
    assert kind_of(start) is None
    assert not looks_like_image(start)
    with pytest.raises(UnreadableImage, match=reason):
        decode_image(start, Form())
    assert describe(start)


def test_a_name_tells_only_what_it_is_known_for() -> None:
    assert image_suffix("a/b.c/scan.JPG") == ".JPG"
    assert image_suffix("1.2.840.321") == ""
    assert tells_by_name("a/scan.tiff") is True
    assert tells_by_name("a/labels.csv") is False
    assert tells_by_name("a/IM0001") is None


def test_a_decoder_that_runs_out_of_memory_costs_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.gif", "c.png"):
        (tmp_path / name).write_bytes(encoded(PICTURE, "GIF" if name[0] == "b" else "PNG"))

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("replearn.images.pillow_files.picture_of", fail)
    with pytest.warns(ReplearnWarning, match="left out"):
        found = open_images(tmp_path, size=16, max_errors=0.5)
    assert found.ids == ["a", "c"]
    assert found.errors == [("b", "a GIF file for which there is not enough memory; reduce it")]


def test_whatever_a_decoder_raises_costs_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.gif"):
        (tmp_path / name).write_bytes(encoded(PICTURE, "GIF" if name[0] == "b" else "PNG"))

    def fail(*_: object) -> None:
        raise RecursionError("a word of Python")

    monkeypatch.setattr("replearn.images.pillow_files.picture_of", fail)
    with pytest.warns(ReplearnWarning, match="left out"):
        found = open_images(tmp_path, size=16, max_errors=0.5)
    assert found.errors == [("b", "a GIF file that is damaged, or of a kind that is not read")]


def test_grey_maps_of_any_depth_are_read() -> None:
    samples = np.linspace(0, 1000, 256).round().astype(">u2").reshape(16, 16)
    deep = b"P5\n16 16\n1000\n" + samples.tobytes()
    assert np.abs(grey(deep, 16) - samples * 0.255).max() <= 1
    with pytest.raises(UnreadableImage, match="truncated or damaged PGM"):
        grey(deep[:-100], 16)


def test_jpeg_2000_of_more_than_8_bits_is_read_by_its_bits_in_use() -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    samples = np.linspace(0, 4095, 4096).round().astype(np.uint16).reshape(64, 64)
    data = imagecodecs.jpeg2k_encode(samples, reversible=True, bitspersample=12, level=0)
    assert decode_image(data, Form(64)).bits == 12
    assert np.abs(grey(data, 64) - samples * (255 / 4095)).max() <= 1
    signed = imagecodecs.jpeg2k_encode((samples - 2048).astype(np.int16), reversible=True, level=0)
    with pytest.raises(UnreadableImage, match="--range"):
        grey(signed, 64)
    found = decode(signed, size=64, channels=1, fit="stretch", value_range=(-2048, 2047))[0]
    assert np.abs(found - samples * (255 / 4095)).max() <= 1
    with pytest.raises(UnreadableImage, match="truncated or damaged"):
        grey(data[: len(data) // 2], 64)


def test_arrays_of_one_image_are_read_as_files() -> None:
    for pixels in (gradient(16, 16), gradient(16, 16).transpose(2, 0, 1), gradient(16, 16)[..., 0]):
        file = io.BytesIO()
        np.save(file, pixels)
        expected = decode(encoded(PICTURE, "PNG"), size=16, channels=3, fit="stretch")
        found = decode(file.getvalue(), size=16, channels=3, fit="stretch")
        assert np.array_equal(found, expected if pixels.ndim == 3 else np.stack([pixels] * 3))
    for wrong in (np.zeros((2, 3, 4, 5)), np.array(["text"]), np.array([{}], dtype=object)):
        file = io.BytesIO()
        np.save(file, wrong, allow_pickle=True)
        with pytest.raises(UnreadableImage, match="NumPy array"):
            grey(file.getvalue(), 16)
