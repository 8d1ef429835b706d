"""Outputs: what is written where, and what no stage takes away."""

import logging
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from replearn.artefacts.hints import folder_of, hint_to
from replearn.artefacts.outputs import (
    FileKind,
    Kind,
    Result,
    already_made,
    is_free,
    is_stream,
    place_of,
    refuse_inputs,
    write_results,
)
from replearn.errors import DataError, UsageError

ROOT = Path(__file__).parents[2]
PAIRS = FileKind.of_lines("a list of pairs", r"\w+\t\w+", r"\w+,\w+")
THING = Kind("a thing", r"part-\d\.h5|facts\.json")


def pairs(text: str = "a\tb\n") -> Result:
    return Result(text, PAIRS)


def test_the_same_result_is_left_alone_and_another_one_replaced_only_when_overwriting(
    out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = out / "deeper" / "pairs.tsv"
    write_results({path: pairs()}, overwrite=False)
    written = path.stat().st_ino
    write_results({path: pairs()}, overwrite=False)
    assert path.stat().st_ino == written
    assert "already made" in caplog.text
    caplog.clear()
    with pytest.raises(DataError, match=r"holds another one; .*--overwrite"):
        write_results({path: pairs("c\td\n")}, overwrite=False)
    assert path.read_text() == "a\tb\n"
    write_results({path: pairs("c\td\n")}, overwrite=True)
    write_results({path: pairs("c\td\n")}, overwrite=True)
    assert path.read_text() == "c\td\n"
    assert "already" not in caplog.text
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"a\tb\tc\n", b"a\tb", b"a\tb\nc,d\n", b"\x89PNG\r\n", b"x\n"])
def test_a_file_that_does_not_parse_as_what_is_written_is_never_replaced(
    content: bytes, out: Path
) -> None:
    out.write_bytes(content)
    for overwrite in (False, True):
        with pytest.raises(DataError, match=r"is not a list of pairs .* is not replaced"):
            write_results({out: pairs()}, overwrite=overwrite)
    assert out.read_bytes() == content


def test_another_layout_of_the_same_kind_is_replaced_and_an_empty_file_without_asking(
    out: Path,
) -> None:
    out.touch()
    write_results({out: pairs("a,b\n")}, overwrite=False)
    write_results({out: pairs()}, overwrite=True)
    assert out.read_text() == "a\tb\n"


def test_of_files_that_belong_together_none_is_written_unless_all_may_be(out: Path) -> None:
    out.mkdir()
    (out / "second").write_text("mine")
    with pytest.raises(DataError, match="second"):
        write_results({out / "first": pairs(), out / "second": pairs()}, overwrite=True)
    assert not (out / "first").exists()


def test_two_outputs_in_one_place_are_refused_by_whatever_name(out: Path) -> None:
    out.mkdir()
    (out / "link").symlink_to(out / "first")
    with pytest.raises(UsageError, match="a file of its own"):
        write_results({out / "first": pairs(), out / "link": pairs()}, overwrite=True)
    assert not (out / "first").exists()


@pytest.mark.parametrize("way", ["itself", "link", "hard link", "through a linked folder"])
def test_an_input_is_refused_as_an_output_by_whatever_name(way: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    read = tmp_path / "folder" / "list.tsv"
    read.write_text("a\tb\n")
    out = {
        "itself": read,
        "link": tmp_path / "link",
        "hard link": tmp_path / "hard",
        "through a linked folder": tmp_path / "linked" / "list.tsv",
    }[way]
    (tmp_path / "link").symlink_to(read)
    (tmp_path / "hard").hardlink_to(read)
    (tmp_path / "linked").symlink_to("folder")
    with pytest.raises(DataError, match="which is read here"):
        write_results({out: pairs("c\td\n")}, overwrite=True, inputs=[None, read])
    assert read.read_text() == "a\tb\n"


def test_a_folder_that_holds_an_input_is_refused_and_one_beside_it_is_not(tmp_path: Path) -> None:
    read = tmp_path / "index" / "deep" / "list.tsv"
    read.parent.mkdir(parents=True)
    read.touch()
    for holder in (tmp_path, tmp_path / "index"):
        with pytest.raises(DataError, match=rf"holds {read}"):
            refuse_inputs(holder, [read])
    (tmp_path / "other").mkdir()
    refuse_inputs(tmp_path / "other", [read, tmp_path / "absent", None])
    refuse_inputs(tmp_path / "new", [tmp_path / "new"])


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    link = tmp_path / "pairs.tsv"
    link.symlink_to("big/pairs.tsv")
    assert place_of(link) == (tmp_path / "big" / "pairs.tsv").resolve()
    for text in ("a\tb\n", "c\td\n"):
        write_results({link: pairs(text)}, overwrite=True)
        assert link.is_symlink()
        assert (tmp_path / "big" / "pairs.tsv").read_text() == text
    link.unlink()
    link.symlink_to("pairs.tsv")
    with pytest.raises(DataError, match="cannot be written"):
        place_of(link)


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    assert is_stream(pipe)
    write_results({pipe: pairs()}, overwrite=False)
    reader.join(10)
    assert read == [b"a\tb\n"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    with pytest.raises(DataError, match="is a device or a pipe"):
        place_of(pipe)


@pytest.mark.parametrize("name", ["null", "full"])
def test_a_device_is_written_to_and_stays_a_device(name: str, tmp_path: Path) -> None:
    device = Path("/dev") / name
    if not device.is_char_device():
        pytest.skip(f"the system has no {device}")
    link = tmp_path / name
    link.symlink_to(device)  # should the test fail, it is the link that is lost
    if name == "full":
        with pytest.raises(DataError, match=r"full: cannot be written .no space left"):
            write_results({link: pairs()}, overwrite=True)
    else:
        write_results({link: pairs()}, overwrite=True)
        assert link.read_bytes() == b""
    assert link.is_symlink()
    assert device.is_char_device()


WRITER = """
import sys
from pathlib import Path
from tests.artefacts.test_outputs import pairs
from replearn.artefacts.outputs import write_results
print("before", flush=True)
write_results({Path(sys.argv[1]): pairs("é\\tb\\n")}, overwrite=False)
print("after")
"""


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
@pytest.mark.parametrize("into", ["a pipe", "a file"])
def test_text_goes_to_stdout_between_what_else_is_printed(
    name: str, into: str, tmp_path: Path
) -> None:
    with (tmp_path / "printed").open("wb") as file:
        done = subprocess.run(
            [sys.executable, "-c", WRITER, name],
            cwd=ROOT,
            stdout=file if into == "a file" else subprocess.PIPE,
            check=True,
        )
    printed = (tmp_path / "printed").read_bytes() if into == "a file" else done.stdout
    assert printed.decode() == "before\né\tb\nafter\n"


def test_what_is_no_text_does_not_go_to_stdout(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="only text"):
        write_results({Path("-"): Result(b"\0", PAIRS)}, overwrite=False)
    with pytest.raises(UsageError, match="only text"):
        place_of(Path("-"))


def empty_folders(path: Path) -> None:
    (path / "a" / "b").mkdir(parents=True)


@pytest.mark.parametrize("put", [Path.touch, Path.mkdir, empty_folders])
def test_what_holds_nothing_is_free(put: Callable[[Path], None], out: Path) -> None:
    assert is_free(out)
    put(out)
    assert is_free(out)
    assert not already_made(out, THING, None, "a:1", overwrite=False)


def test_an_artefact_is_replaced_by_its_own_kind_alone(
    out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    out.mkdir()
    (out / "facts.json").write_text("{}")
    assert already_made(out, THING, "a:1", "a:1", overwrite=False)
    assert "already made" in caplog.text
    caplog.clear()
    assert not already_made(out, THING, "a:1", "a:1", overwrite=True), "it is made anew"
    assert "already" not in caplog.text
    with pytest.raises(DataError, match=r"holds a:2, not a:1; .*--overwrite"):
        already_made(out, THING, "a:2", "a:1", overwrite=False)
    assert not already_made(out, THING, "a:2", "a:1", overwrite=True)
    for overwrite in (False, True):
        with pytest.raises(DataError, match="is not a thing, or a damaged one, and is not repl"):
            already_made(out, THING, None, "a:1", overwrite=overwrite)
    (out / ".part-0.h5.77.tmp").touch()  # what a killed run left
    assert not already_made(out, THING, "a:2", "a:1", overwrite=True)
    (out / "link").symlink_to("/")
    for overwrite in (False, True):
        with pytest.raises(DataError, match=r"holds other files \(link\)"):
            already_made(out, THING, "a:2", "a:1", overwrite=overwrite)


def test_a_hint_leads_from_where_the_artefact_lies_not_from_a_link_to_it(tmp_path: Path) -> None:
    (tmp_path / "disk" / "deep").mkdir(parents=True)
    (tmp_path / "here").symlink_to(tmp_path / "disk" / "deep")
    (tmp_path / "images").mkdir()
    made = tmp_path / "disk" / "deep" / "features.h5"
    made.touch()
    (tmp_path / "features.h5").symlink_to(made)
    hint = hint_to(tmp_path / "images", tmp_path / "here")
    for path in (made, tmp_path / "here" / "features.h5", tmp_path / "features.h5"):
        assert (folder_of(path) / hint).samefile(tmp_path / "images")
