"""Decoding, resizing and finding images; what an image set is."""

import io
import os
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from replearn.errors import DataError, UsageError
from replearn.images import decoding, opening
from replearn.images.decoding import UnreadableImage, decode, resize
from replearn.images.form import Fit
from replearn.images.ids import MISSING
from replearn.images.image_set import ImageSet
from replearn.images.opening import open_images
from replearn.images.preparation import prepare

# The library silences Pillow's remarks on bad files; pytest undoes that for each test.
pytestmark = pytest.mark.filterwarnings("ignore:::PIL")

Pixels = np.ndarray[Any, Any]
FITS: list[Fit] = ["stretch", "pad"]


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def encoded_cv2(pixels: Pixels, suffix: str) -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


def gradient(height: int = 48, width: int = 64) -> Pixels:
    """A smooth coloured picture whose corners all differ, uint8 [H, W, 3], red green blue."""
    y, x = np.mgrid[:height, :width]
    red, green = x * 255 // (width - 1), y * 255 // (height - 1)
    return np.asarray(np.stack([red, green, (red + green) // 2], axis=-1), np.uint8)


def noise(height: int = 96, width: int = 96) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def grey(data: bytes, size: int, fit: Fit = "stretch") -> Pixels:
    return decode(data, size=size, channels=1, fit=fit).reshape(size, size)


def colour(data: bytes, size: int, fit: Fit = "stretch") -> Pixels:
    return decode(data, size=size, channels=3, fit=fit).transpose(1, 2, 0)


def as_pillow(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("RGB")).astype(int)


# Resizing


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


# Kinds of files


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
    upright = gradient(64, 64)
    # How a camera held in this way would have stored the picture.
    inverse = {5: 5, 6: 8, 8: 6, 7: 7}.get(orientation, orientation)
    stored = decoding._upright(upright, inverse)
    options: dict[str, Any] = {"exif": exif}
    if kind == "TIFF":
        options = {"tiffinfo": {274: orientation}}
    elif kind != "PNG":
        options |= {"quality": 100} if kind == "JPEG" else {"lossless": True}
    data = encoded(Image.fromarray(stored), kind, **options)
    assert np.abs(colour(data, 64).astype(int) - upright).mean() < 2


@pytest.mark.parametrize("kind", ["TIFF", "PNG", "WEBP"])
def test_of_several_frames_the_first_counts(kind: str) -> None:
    first, second = Image.new("RGB", (8, 8), (9, 9, 9)), Image.new("RGB", (8, 8), (90, 0, 0))
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(first, kind, save_all=True, append_images=[second], **options)
    assert (grey(data, 8) == 9).all()


# Decoding at a reduced scale


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
    factor = decoding._reduction(width, height, size, fit)
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
    monkeypatch.setattr(decoding, "_reduction", lambda *_: 1)
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


# Unreadable files


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
        (b"<html>not found</html>", "no JPEG"),
        (encoded(Image.new("RGB", (8, 8)), "GIF"), "no JPEG"),
        (encoded(Image.fromarray(np.ones((8, 8), np.float32)), "TIFF"), "floating"),
        (encoded(Image.fromarray(np.ones((8, 8), np.int32)), "TIFF"), "32-bit"),
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
        "text.png": (b"<html>", "no JPEG"),
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


# Sources


def write_images(folder: Path, names: list[str], size: int = 8) -> None:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (size, size), 10 + number).save(path)


NAMES = ["b.png", "a.png", "deep/er/c.tif", "d.v2.jpg", "ü.bmp", "E.PNG"]
IDS = ["E", "a", "b", "c", "d.v2", "ü"]


def opened(source: Path, **options: Any) -> ImageSet:
    settings: dict[str, Any] = {"size": 8, "channels": 1, "fit": "stretch"}
    return open_images(source, **(settings | options))


def as_zip(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*"), reverse=True):
            archive.write(file, file.relative_to(folder))
    return path


def as_tar(folder: Path, path: Path) -> Path:
    modes: dict[str, Any] = {".tar": "w:", ".gz": "w:gz", ".tgz": "w:gz", ".xz": "w:xz"}
    with tarfile.open(path, mode=modes.get(path.suffix, "w:bz2")) as archive:
        archive.add(folder, ".")
    return path


def as_list(folder: Path, path: Path) -> Path:
    files = [file for file in folder.rglob("*") if file.is_file()]
    path.write_text("".join(f"{os.path.relpath(file, path.parent)}\n" for file in files))
    return path


def as_table(folder: Path, path: Path) -> Path:
    rows = [f"{file}\tC1;C2" for file in folder.rglob("*") if file.is_file()]
    path.write_text("\n".join(["path\tconcepts", *rows]), encoding="utf-8-sig")
    return path


PACKINGS: dict[str, Callable[[Path, Path], Path]] = {
    "x.zip": as_zip,
    "x.tar": as_tar,
    "x.tar.gz": as_tar,
    "x.tgz": as_tar,
    "x.tar.xz": as_tar,
    "x.tar.bz2": as_tar,
    "x.txt": as_list,
    "x.tsv": as_table,
}


@pytest.mark.parametrize("name", list(PACKINGS))
def test_every_source_of_the_same_images_gives_the_same_set(name: str, tmp_path: Path) -> None:
    write_images(tmp_path / "images", NAMES)
    folder = opened(tmp_path / "images")
    packed = opened(PACKINGS[name](tmp_path / "images", tmp_path / name))
    assert folder.ids == packed.ids == IDS
    assert np.array_equal(folder.pixels, packed.pixels)
    assert folder.identity == packed.identity


def test_a_single_image_is_a_set_of_one(tmp_path: Path) -> None:
    write_images(tmp_path, ["one.png", "two.png"])
    assert opened(tmp_path / "two.png").ids == ["two"]


def test_the_result_does_not_depend_on_threads_or_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path, [f"{number}.png" for number in range(25)])
    whole = opened(tmp_path)
    monkeypatch.setattr(opening, "_PART_BYTES", 7 * 64)
    in_parts = opened(tmp_path)
    one_by_one = [grey((tmp_path / f"{id_}.png").read_bytes(), 8) for id_ in whole.ids]
    assert np.array_equal(whole.pixels[:, 0], one_by_one)
    assert np.array_equal(in_parts.pixels[:, 0], one_by_one)
    assert in_parts.identity == whole.identity


def test_the_identity_depends_on_ids_pixels_and_fit(tmp_path: Path) -> None:
    write_images(tmp_path / "one", ["a.png", "b.png"])
    write_images(tmp_path / "two", ["a.png", "c.png"])
    write_images(tmp_path / "three", ["b.png", "a.png"])
    folders = [tmp_path / name for name in ("one", "two", "three")]
    identities = [opened(folder).identity for folder in folders]
    identities += [opened(folders[0], fit="pad").identity]
    identities += [opened(folders[0], ids=["b", "a"]).identity]
    assert len(set(identities)) == 5


def test_what_is_no_image_is_counted_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(tmp_path, ["a.png"])
    for name in ("notes.txt", "more.txt", ".hidden.png", "README"):
        (tmp_path / name).write_text("x")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "b.png").write_text("x")
    (tmp_path / "again").symlink_to(tmp_path)
    assert opened(tmp_path).ids == ["a"]
    told = capsys.readouterr().err
    for count in ("2 .txt", "2 hidden", "1 without extension", "1 linked folders"):
        assert count in told
    assert len(told.splitlines()) == 1


def test_two_files_of_one_id_are_refused_with_both_and_the_remedy(tmp_path: Path) -> None:
    write_images(tmp_path, ["one/a.png", "two/a.jpg", "one/b.png"])
    with pytest.raises(DataError, match=r"one/a\.png and two/a\.jpg.*--ids-from path"):
        opened(tmp_path)
    assert opened(tmp_path, ids_from="path").ids == ["one/a", "one/b", "two/a"]
    assert opened(tmp_path, ids=["b"]).ids == ["b"]
    write_images(tmp_path, ["one/a.jpg"])
    with pytest.raises(DataError, match="rename"):
        opened(tmp_path, ids_from="path")


def test_wanted_ids_give_the_selection_and_the_order(tmp_path: Path) -> None:
    write_images(tmp_path, [f"{number}.png" for number in range(30)])
    wanted = ["9", "21", "missing", *map(str, range(10, 20)), "3", *map(str, range(22, 30))]
    found = opened(tmp_path, ids=wanted)
    assert found.ids == [id_ for id_ in wanted if id_ != "missing"]
    assert found.errors == [("missing", MISSING)]
    with pytest.raises(DataError, match="'9' is asked for 2 times"):
        opened(tmp_path, ids=["9", "9"])


def test_unreadable_files_are_kept_as_errors_up_to_the_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(tmp_path, [f"{number:02}.png" for number in range(19)])
    (tmp_path / "empty.png").touch()
    found = opened(tmp_path)
    assert found.errors == [("empty", "empty file")]
    assert len(found) == 19
    assert "1 of 20 images left out: empty (empty file)" in capsys.readouterr().err
    (tmp_path / "page.jpg").write_text("<html>")
    with pytest.raises(DataError, match=r"2 of 21 .*5 %.*empty file.*page.*--max-errors"):
        opened(tmp_path)
    assert len(opened(tmp_path, max_errors=0.1).errors) == 2


def test_odd_things_in_place_of_a_file_are_errors_not_the_end(tmp_path: Path) -> None:
    write_images(tmp_path, ["a.png"])
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "linked.png").symlink_to(tmp_path / "a.png")
    found = opened(tmp_path, max_errors=1)
    assert found.ids == ["a", "linked"]
    assert dict(found.errors) == {
        "dangling": "no such file or directory",
        "pipe": "not a regular file",
    }


def test_a_damaged_member_of_an_archive_is_an_error(tmp_path: Path) -> None:
    write_images(tmp_path / "images", ["a.png", "b.png"])
    path = as_zip(tmp_path / "images", tmp_path / "x.zip")
    content = bytearray(path.read_bytes())
    content[content.index(b"a.png") + 20] ^= 0xFF
    path.write_bytes(content)
    found = opened(path, max_errors=0.5)
    assert found.ids == ["b"]
    assert found.errors[0][0] == "a"


def test_a_list_reports_what_is_missing_wherever_it_stands(tmp_path: Path) -> None:
    write_images(tmp_path, ["a.png"])
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "x.txt").write_text("../gone.png\n\n../a.png\r\n")
    found = opened(tmp_path / "lists" / "x.txt", max_errors=0.5)
    assert found.ids == ["a"]
    assert found.errors == [("gone", "no such file or directory")]


def test_paths_in_archives_are_cleaned(tmp_path: Path) -> None:
    write_images(tmp_path, ["a.png"])
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(tmp_path / "a.png", "./one/a.png")
        archive.write(tmp_path / "a.png", "two\\a.png")
    assert opened(tmp_path / "x.zip", ids_from="path").ids == ["one/a", "two/a"]


def test_a_tar_that_ends_in_a_zip_is_still_a_tar(tmp_path: Path) -> None:
    write_images(tmp_path / "images", ["a.png"])
    as_zip(tmp_path / "images", tmp_path / "images" / "z.zip")
    assert opened(as_tar(tmp_path / "images", tmp_path / "x.tar")).ids == ["a"]


def test_a_name_that_is_not_utf8_gives_an_id_that_is(tmp_path: Path) -> None:
    write_images(tmp_path, ["a.png"])
    (tmp_path / "a.png").rename(tmp_path / os.fsdecode(b"\xe9t\xe9.png"))
    assert prepare(tmp_path, tmp_path / "x.h5", size=8).ids == [r"\xe9t\xe9"]


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz", "x.tar.xz"])
@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_a_truncated_archive_is_refused(name: str, share: float, tmp_path: Path) -> None:
    write_images(tmp_path / "images", NAMES)
    path = PACKINGS[name](tmp_path / "images", tmp_path / name)
    content = path.read_bytes()
    used = len(content.rstrip(b"\0")) if name == "x.tar" else len(content)
    path.write_bytes(content[: int(used * share)])
    with pytest.raises(DataError, match=r"damaged|no images in it"):
        opened(path)


def test_what_is_no_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder or file"):
        opened(tmp_path / "nothing")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="no images in it"):
        opened(tmp_path / "folder")
    (tmp_path / "x.bin").write_bytes(bytes(range(256)))
    with pytest.raises(DataError, match="neither a folder"):
        opened(tmp_path / "x.bin")


@pytest.mark.parametrize("wrong", [{"size": 0}, {"channels": 2}, {"fit": "crop"}])
def test_impossible_forms_are_wrong_usage(wrong: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=str(next(iter(wrong.values())))):
        opened(tmp_path, **wrong)


# The set


def small_set() -> ImageSet:
    pixels = np.arange(5 * 4, dtype=np.uint8).reshape(5, 1, 2, 2)
    return ImageSet(list("abcde"), pixels, "stretch", [("x", "truncated")], "images:0")


def test_selecting_keeps_order_and_reasons() -> None:
    chosen = small_set().select(["d", "x", "a", "y"])
    assert chosen.ids == ["d", "a"]
    assert np.array_equal(chosen.pixels, small_set().pixels[[3, 0]])
    assert chosen.errors == [("x", "truncated"), ("y", MISSING)]
    assert chosen.identity != small_set().identity


def test_selecting_neighbours_or_everything_copies_nothing() -> None:
    whole = small_set()
    assert whole.select(list("abcde")).identity == whole.identity
    assert np.shares_memory(whole.select(list("bcd")).pixels, whole.pixels)
    with pytest.raises(DataError, match="'a' is asked for 2 times"):
        whole.select(["a", "a"])
