"""The stage `prepare`: the file it writes, and what happens when it is run again."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from pipelines.__main__ import main
from replearn.artefacts import shards
from replearn.artefacts.workspace import workspace
from replearn.errors import DataError, UsageError
from replearn.images import file_reader
from replearn.images.decoding import Decoded, decode_image
from replearn.images.ids import Selection
from replearn.images.image_set import ImageSet
from replearn.images.opening import open_images
from replearn.images.preparation import prepare

COUNT = 24
SMALL_SHARDS = 4  # images

SLOW_PREPARE = """
import sys, time
from pathlib import Path
from replearn.images.preparation import prepare
from replearn.artefacts import shards
from replearn.images import file_reader
shards.ROWS = {rows}
decode = file_reader.decode_image
def slowly(*data, **form):
    time.sleep(0.3)
    return decode(*data, **form)
file_reader.decode_image = slowly
prepare(Path(sys.argv[1]), Path(sys.argv[2]), size=8)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    random = np.random.default_rng(0)
    for number in range(COUNT):
        pixels = random.integers(0, 256, (12, 9)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number:02}.png")
    return tmp_path / "images"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "set.h5"


def test_the_file_holds_pixels_ids_errors_and_hints(folder: Path, out: Path) -> None:
    (folder / "empty.png").touch()
    made = prepare(folder, out, size=8, channels=3, fit="pad")
    assert made.pixels.shape == (COUNT, 3, 8, 8)
    assert (made.size, made.channels, made.fit, len(made)) == (8, 3, "pad", COUNT)
    assert made.errors == [("empty", "empty file")]
    with h5py.File(out) as file:
        assert file["pixels"].chunks is None
        assert file["paths"][:2].tolist() == [b"00.png", b"01.png"]
        assert file.attrs["folder"] == "images"
    assert [path.name for path in out.parent.iterdir() if path.name.startswith(".")] == []


def test_a_prepared_set_equals_one_opened_in_memory(folder: Path, out: Path) -> None:
    prepared = prepare(folder, out, size=8, selection=Selection(["07", "03"]))
    in_memory = open_images(folder, size=8, channels=1, fit="stretch", ids=["07", "03"])
    assert prepared.ids == in_memory.ids
    assert np.array_equal(prepared.pixels, in_memory.pixels)
    assert prepared.identity == in_memory.identity
    assert isinstance(prepared.pixels, np.memmap)


def test_an_identity_does_not_depend_on_the_place(folder: Path, tmp_path: Path) -> None:
    first = prepare(folder, tmp_path / "one.h5", size=8)
    folder.rename(tmp_path / "renamed")
    second = prepare(tmp_path / "renamed", tmp_path / "deeper" / "two.h5", size=8)
    assert first.identity == second.identity


def test_running_again_says_so_and_decodes_nothing(
    folder: Path, out: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    prepare(folder, out, size=8)
    monkeypatch.setattr(file_reader, "decode_image", None)
    prepare(folder, out, size=8)
    assert "already made" in caplog.text


def put_pictures(source: Path, kind: str, seed: int) -> None:
    """Write pictures whose files have the same size whatever is on them.

    What an archive says of the time of its members is the same too.
    """
    random, folder = np.random.default_rng(seed), source.with_suffix("")
    folder.mkdir(exist_ok=True)
    time = 400_000_000 if source.suffix else seed
    for number in range(3):
        pixels = random.integers(0, 256, (12, 9)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.{kind}", compress_level=0)
        os.utime(folder / f"{number}.{kind}", (time, time))
    if source.suffix:
        shutil.make_archive(str(folder), source.suffix[1:], folder)
        os.utime(source, (seed, seed))


@pytest.mark.parametrize("kind", ["bmp", "png"])
@pytest.mark.parametrize("name", ["pictures", "pictures.zip", "pictures.tar"])
def test_other_pictures_in_files_of_the_same_size_are_noticed(
    name: str, kind: str, tmp_path: Path, out: Path
) -> None:
    source = tmp_path / name
    put_pictures(source, kind, 400_000_000)
    first = np.array(prepare(source, out, size=8).pixels)
    put_pictures(source, kind, 500_000_000)
    with pytest.raises(DataError, match="choose another place or give --overwrite"):
        prepare(source, out, size=8)
    assert not np.array_equal(prepare(source, out, size=8, overwrite=True).pixels, first)


def test_a_set_is_made_anew_when_overwriting_and_keeps_its_identity(
    folder: Path, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first = prepare(folder, out, size=8)
    os.utime(out, (0, 0))
    again = prepare(folder, out, size=8, overwrite=True)
    assert out.stat().st_mtime > 0
    assert "already made" not in caplog.text
    assert again.identity == first.identity


def test_a_copy_of_the_source_with_other_times_gives_the_same_identity(
    folder: Path, out: Path, tmp_path: Path
) -> None:
    first = prepare(folder, out, size=8).identity
    shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile)
    assert prepare(tmp_path / "copy", out, size=8, overwrite=True).identity == first


@pytest.mark.parametrize(
    "other", [{"size": 9}, {"fit": "pad"}, {"channels": 3}, {"selection": Selection(["01", "02"])}]
)
def test_other_arguments_are_refused_unless_overwriting(
    other: dict[str, Any], folder: Path, out: Path
) -> None:
    first = prepare(folder, out, size=8).identity
    with pytest.raises(DataError, match="--overwrite"):
        prepare(folder, out, **({"size": 8} | other))
    assert ImageSet.load(out).identity == first
    assert prepare(folder, out, **({"size": 8} | other), overwrite=True).identity != first


def test_another_image_in_the_source_is_refused_unless_overwriting(folder: Path, out: Path) -> None:
    prepare(folder, out, size=8)
    Image.new("L", (8, 8)).save(folder / "new.png")
    with pytest.raises(DataError, match="--overwrite"):
        prepare(folder, out, size=8)
    assert len(prepare(folder, out, size=8, overwrite=True)) == COUNT + 1


def test_a_name_of_another_format_makes_no_image_set(folder: Path, tmp_path: Path) -> None:
    for name in ("set.npz", "set.zip", "set.parquet"):
        with pytest.raises(UsageError, match=rf"{name}: is written as HDF5; name it set.h5"):
            prepare(folder, tmp_path / name, size=8)
        assert not (tmp_path / name).exists()


def test_what_is_no_image_set_is_not_replaced(folder: Path, out: Path) -> None:
    out.write_text("my notes")
    for overwrite in (False, True):
        with pytest.raises(DataError, match="is not an image set"):
            prepare(folder, out, size=8, overwrite=overwrite)
        assert out.read_text() == "my notes"
        with pytest.raises(DataError, match=rf"{out.parent}: (is not an image set|holds {folder})"):
            prepare(folder, out.parent, size=8, overwrite=overwrite)
        assert out.read_text() == "my notes"


def test_too_many_errors_leave_no_file_and_are_looked_at_again(folder: Path, out: Path) -> None:
    whole = (folder / "00.png").read_bytes()
    for name in ("00.png", "01.png"):
        (folder / name).write_bytes(bytes(len(whole)))
    with pytest.raises(DataError, match=r"2 of 24 .*00 .*01 .*--max-errors"):
        prepare(folder, out, size=8)
    assert not out.exists()
    (folder / "00.png").write_bytes(whole)
    made = prepare(folder, out, size=8)
    assert [id_ for id_, _ in made.errors] == ["01"]
    with pytest.raises(DataError, match="1 of 24"):
        prepare(folder, out, size=8, selection=Selection(max_errors=0))


def test_nothing_readable_is_an_error_whatever_is_allowed(folder: Path, out: Path) -> None:
    for path in folder.iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match="not one image"):
        prepare(folder, out, size=8, selection=Selection(max_errors=1))
    assert not out.exists()


def shards_of(out: Path) -> list[str]:
    """Return the lines of the manifest of an unfinished run."""
    manifests = list((out.parent / f".{out.name}.work").glob("shards-*.jsonl"))
    return manifests[0].read_text().splitlines() if manifests else []


def test_a_killed_run_is_gone_on_with_and_ends_the_same(
    folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "ROWS", SMALL_SHARDS)
    script = SLOW_PREPARE.format(rows=SMALL_SHARDS)
    root = Path(__file__).parents[2]
    child = subprocess.Popen([sys.executable, "-c", script, str(folder), str(out)], cwd=root)
    deadline = time.monotonic() + 60
    while len(shards_of(out)) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    with pytest.raises(DataError, match="another process"):
        prepare(folder, out, size=8)
    child.send_signal(signal.SIGKILL)
    child.wait()
    kept = len(shards_of(out))
    assert not out.exists()
    assert 2 <= kept < COUNT // 4

    decoded: list[bytes] = []

    def counting(data: bytes, *more: Any) -> Decoded:
        decoded.append(data)
        return decode_image(data, *more)

    monkeypatch.setattr(file_reader, "decode_image", counting)
    prepare(folder, out, size=8)
    assert len(decoded) == COUNT - 4 * kept
    undisturbed = out.with_name("undisturbed.h5")
    prepare(folder, undisturbed, size=8)
    assert out.read_bytes() == undisturbed.read_bytes()


def test_two_runs_at_once_are_refused(folder: Path, out: Path) -> None:
    with (
        workspace(out, keep=True),
        pytest.raises(DataError, match="another process is writing it"),
    ):
        prepare(folder, out, size=8)


# Opening what was prepared


def test_a_prepared_set_of_another_form_is_refused(folder: Path, out: Path) -> None:
    prepare(folder, out, size=8)
    asked: dict[str, Any] = {"size": 8, "channels": 1, "fit": "stretch"}
    assert len(open_images(out, **asked)) == COUNT
    for other in ({"size": 16}, {"channels": 3}, {"fit": "pad"}):
        with pytest.raises(DataError, match=r"prepared with size 8, channels 1, fit stretch"):
            open_images(out, **(asked | other))
    with pytest.raises(DataError, match="prepared already"):
        prepare(out, out.with_name("again.h5"))


def test_selecting_from_a_prepared_set_does_not_count_accepted_errors_again(
    folder: Path, out: Path
) -> None:
    (folder / "00.png").write_bytes(b"")
    prepare(folder, out, size=8)
    asked: dict[str, Any] = {"size": 8, "channels": 1, "fit": "stretch"}
    chosen = open_images(out, **asked, ids=["00", "02", "01"])
    assert chosen.ids == ["02", "01"]
    assert chosen.errors == [("00", "empty file")]
    with pytest.raises(DataError, match=r"1 of 3 .*nobody \(no image with this id\)"):
        open_images(out, **asked, ids=["nobody", "02", "01"])


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(999)])
def test_a_damaged_set_is_refused_in_one_line(content: bytes, out: Path) -> None:
    out.write_bytes(content)
    with pytest.raises(DataError, match=r"set\.h5"):
        ImageSet.load(out)


def test_other_arrays_are_no_image_set(out: Path) -> None:
    with h5py.File(out, "w") as file:
        file["ids"] = ["a", "b"]
        file["pixels"] = np.zeros((2, 8, 8), np.float32)
    with pytest.raises(DataError, match="prepare the images again"):
        ImageSet.load(out)


# The command


def test_the_command_prepares_and_reports_on_stderr(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder.parent / "ids.txt").write_text("05\n03\n")
    ids = str(folder.parent / "ids.txt")
    options = ["--ids", ids, "--size", "8", "--channels", "3", "--fit", "pad"]
    assert main(["prepare", str(folder), str(out), *options]) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert "2 images (size 8, channels 3, fit pad), 0 left out" in told.err
    assert ImageSet.load(out).ids == ["05", "03"]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (["--size", "0"], 2),
        (["--channels", "2"], 2),
        (["--fit", "crop"], 2),
        (["--ids-from", "hash"], 2),
        (["--max-errors", "5"], 2),
        (["--ids", "missing.txt"], 1),
    ],
)
def test_bad_values_end_in_one_line(
    options: list[str], status: int, folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", str(folder), str(out), *options]) == status
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    assert options[1] in told


def test_bad_files_bring_no_chatter_of_the_decoders(folder: Path, out: Path) -> None:
    for kind in ("TIFF", "PNG", "JPEG", "BMP", "WEBP"):
        path = folder / f"{kind}.{kind.lower()}"
        options: dict[str, Any] = {"compression": "tiff_lzw"} if kind == "TIFF" else {}
        Image.fromarray(np.zeros((64, 64), np.uint8)).save(path, kind, **options)
        os.truncate(path, path.stat().st_size * 2 // 3)
    command = [sys.executable, "-m", "pipelines", "prepare", str(folder), str(out)]
    command += ["--max-errors", "1", "--size", "8"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    first, last = done.stderr.splitlines()
    assert first.startswith("warning: ")
    assert "5 of 29 images left out" in first
    assert "5 left out" in last
    assert len(ImageSet.load(out)) == COUNT


def test_images_keep_their_ids_whatever_the_names_in_a_list(folder: Path, out: Path) -> None:
    prepare(folder, out, size=8)
    known = open_images(out, size=8, ids=["02", "01"])
    assert known.ids == ["02", "01"]
    for source in (folder, out):
        for names in (["02.png", "01.PNG"], ["old/x/02.jpg", "old/x/01"]):
            found = open_images(source, size=8, ids=names)
            assert found.ids == known.ids
            assert found.identity == known.identity
    with pytest.raises(DataError, match=r"'02.png' and '02.jpg' mean the same image, '02'"):
        open_images(folder, size=8, ids=["02.png", "02.jpg"])
    missing = open_images(out, size=8, ids=["02.png", "none.png"], max_errors=0.5)
    assert missing.errors == [("none.png", "no image with this id")]
