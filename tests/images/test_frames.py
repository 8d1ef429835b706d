"""Files of several frames or pages, and of many bits: what is read of them, and what is told."""

import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.__main__ import main
from replearn.encoders.encoder import load_encoder
from replearn.encoders.extraction import extract
from replearn.encoders.training.run import train
from replearn.errors import DataError, ReplearnWarning, UsageError
from replearn.features import Features
from replearn.images.decoding import decode_image
from replearn.images.form import Form
from replearn.images.ids import Selection
from replearn.images.image_set import ImageSet
from replearn.images.opening import open_images, open_reader
from replearn.images.picture import UnreadableImage
from replearn.images.preparation import prepare
from tests.images.helpers import Pixels, encoded, encoded_cv2

LEVELS = (10, 90, 170)


def several(kind: str) -> bytes:
    """A file of three pages, each of one grey."""
    pages = [Image.new("RGB", (16, 16), (level,) * 3) for level in LEVELS]
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    return encoded(pages[0], kind, save_all=True, append_images=pages[1:], **options)


SUFFIX = {"GIF": ".gif", "TIFF": ".tif", "WEBP": ".webp"}


@pytest.mark.parametrize("kind", list(SUFFIX))
def test_of_several_pages_the_first_is_read_unless_another_is_asked(kind: str) -> None:
    data = several(kind)
    for page, level in enumerate(LEVELS):
        found = decode_image(data, Form(16), page)
        assert np.abs(found.pixels.astype(int) - level).max() <= 1
        assert found.frames == 3
    assert np.abs(decode_image(data, Form(16)).pixels.astype(int) - LEVELS[0]).max() <= 1
    with pytest.raises(UnreadableImage, match=r"without a (frame or )?page 4"):
        decode_image(data, Form(16), 3)


@pytest.mark.parametrize("kind", list(SUFFIX))
def test_all_pages_become_images_of_their_own(kind: str, tmp_path: Path) -> None:
    (tmp_path / f"many{SUFFIX[kind]}").write_bytes(several(kind))
    (tmp_path / f"one{SUFFIX[kind]}").write_bytes(encoded(Image.new("L", (16, 16), 40), kind))
    (tmp_path / "photo.jpg").write_bytes(encoded(Image.new("L", (16, 16), 40), "JPEG"))
    found = open_images(tmp_path, size=16, pages="all")
    assert found.ids == ["many-0001", "many-0002", "many-0003", "one", "photo"]
    assert np.abs(found.pixels[:3, 0, 0, 0].astype(int) - LEVELS).max() <= 1
    assert open_images(tmp_path, size=16).ids == ["many", "one", "photo"]


def test_pages_that_cannot_be_counted_are_left_to_decoding(tmp_path: Path) -> None:
    (tmp_path / "bad.tif").write_bytes(several("TIFF")[:40])
    (tmp_path / "good.gif").write_bytes(several("GIF"))
    with pytest.warns(ReplearnWarning, match="left out"):
        found = open_images(tmp_path, size=16, pages="all", max_errors=0.5)
    assert len(found) == 3
    with pytest.raises(UsageError, match="pages last: first or all"):
        Selection(pages="last")  # type: ignore[arg-type]


def test_the_last_line_counts_the_files_of_which_only_a_part_was_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    (folder / "a.gif").write_bytes(several("GIF"))
    (folder / "b.tif").write_bytes(several("TIFF"))
    (folder / "c.jpg").write_bytes(encoded(Image.new("L", (16, 16)), "JPEG"))
    command = ["prepare", str(folder), str(tmp_path / "o.h5"), "--size", "16"]
    assert main(command) == 0
    last = capsys.readouterr().err.splitlines()[-1]
    assert "3 images (size 16, channels 1, fit stretch)" in last
    assert "2 of them one of several frames or pages" in last
    assert main([*command, "--pages", "all", "--overwrite"]) == 0
    last = capsys.readouterr().err.splitlines()[-1]
    assert "7 images" in last
    assert "frames or pages" not in last


def sixteen_bits(folder: Path, *largest: int) -> Path:
    folder.mkdir()
    for number, value in enumerate(largest):
        samples = np.linspace(0, value, 256).round().astype(np.uint16).reshape(16, 16)
        (folder / f"{number}.png").write_bytes(encoded_cv2(samples, ".png"))
    (folder / "photo.jpg").write_bytes(encoded(Image.new("L", (16, 16)), "JPEG"))
    return folder


def test_images_that_use_different_bits_are_told_and_one_number_makes_them_comparable(
    tmp_path: Path,
) -> None:
    folder = sixteen_bits(tmp_path / "x", 4000, 4095, 1000)
    told = r"the 3 images .* use different numbers of bits \(10 bits 1, 12 bits 2\).*--bits 12 "
    with pytest.warns(ReplearnWarning, match=told):
        prepare(folder, tmp_path / "each.h5", size=16)
    with pytest.warns(ReplearnWarning, match="1 of 3 images .* fewer than 12 .the least 10."):
        made = prepare(folder, tmp_path / "all.h5", size=16, bits=12)
    largest = made.pixels[:3].max(axis=(1, 2, 3)).tolist()
    assert largest == [round(value * 255 / 4095) for value in (4000, 4095, 1000)]
    assert made.form == Form(16, bits=12)
    assert ImageSet.load(tmp_path / "all.h5").form == Form(16, bits=12)


@pytest.mark.filterwarnings("error::replearn.errors.ReplearnWarning")
def test_nothing_is_told_where_all_use_the_same_bits(tmp_path: Path) -> None:
    folder = sixteen_bits(tmp_path / "x", 4000, 4095)
    usual = prepare(folder, tmp_path / "a.h5", size=16)
    stated = prepare(folder, tmp_path / "b.h5", size=16, bits=12)
    assert usual.identity == stated.identity  # of the pixels, which are the same


def test_the_command_keeps_bits_and_range_in_the_set_and_refuses_what_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sixteen_bits(tmp_path / "x", 4000, 4095)
    file = io.BytesIO()
    np.save(file, np.linspace(-1, 1, 256, dtype=np.float32).reshape(16, 16))
    (folder / "scan.dcm").write_bytes(file.getvalue())
    out = tmp_path / "o.h5"
    command = ["prepare", str(folder), str(out), "--size", "16", "--bits", "12"]
    assert main([*command, "--range=-1,1"]) == 0
    assert "bits 12, range -1,1)" in capsys.readouterr().err
    assert ImageSet.load(out).form == Form(16, bits=12, value_range=(-1.0, 1.0))
    for wrong, reason in (("1", "two numbers"), ("1,0", "smaller one first"), ("a,b", "two")):
        assert main([*command, f"--range={wrong}"]) == 2
        assert reason in capsys.readouterr().err
    assert main(["prepare", str(folder), str(out), "--bits", "40"]) == 2
    assert "8 to 32 bits" in capsys.readouterr().err


def test_a_run_that_is_gone_on_with_counts_what_was_read_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replearn.artefacts.shards.ROWS", 1)
    caplog.set_level(logging.INFO)
    folder = tmp_path / "x"
    folder.mkdir()
    for name in "ab":
        (folder / f"{name}.gif").write_bytes(several("GIF"))

    def broken(*_: object) -> Pixels:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        real = decode_image
        calls: list[int] = []

        def once(data: bytes, *more: Any) -> Any:
            calls.append(1)
            return real(data, *more) if len(calls) == 1 else broken()

        patch.setattr("replearn.images.file_reader.decode_image", once)
        with pytest.raises(KeyboardInterrupt):
            prepare(folder, tmp_path / "o.h5", size=16)
    prepare(folder, tmp_path / "o.h5", size=16)
    assert "2 of them one of several frames or pages" in caplog.text


def test_the_bits_of_a_set_reach_the_encoder_and_what_it_is_given_next(tmp_path: Path) -> None:
    folder = sixteen_bits(tmp_path / "x", 4000, 4095, 1000, 2000)
    with pytest.warns(ReplearnWarning, match="fewer than 12"):
        images = prepare(folder, tmp_path / "a.h5", size=16, bits=12)
    train("pca", images, tmp_path / "encoder", arguments={"latent_dim": 2})
    encoder = load_encoder(tmp_path / "encoder")
    assert encoder.description.form == Form(16, bits=12)
    for number, source in enumerate((tmp_path / "a.h5", folder)):
        with open_reader(source, encoder.description.form, Selection()) as reader:
            extract(encoder, reader, tmp_path / f"{number}.h5")
    both = [Features.load(tmp_path / f"{number}.h5") for number in range(2)]
    assert both[0].ids == both[1].ids
    assert np.array_equal(both[0].vectors, both[1].vectors)
    with pytest.raises(DataError, match=r"bits 12, where .* is asked"):
        open_images(tmp_path / "a.h5", size=16)
