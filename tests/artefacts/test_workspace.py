"""Work folders: who holds one, and what is left of it when a run ends or is killed."""

import logging
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from replearn.artefacts.files import publish, read_json, write_json, write_text
from replearn.artefacts.workspace import FolderKind, creating, workspace
from replearn.errors import DataError
from tests.artefacts.test_files import holds, put_folder


def refuse_incomplete(folder: Path) -> None:
    if not (folder / "new").exists():
        raise DataError(f"{folder}: new is missing")


MADE = FolderKind("a thing", r"facts\.json|new", facts="facts.json", check=refuse_incomplete)

HOLDER = """
import sys
from pathlib import Path
from replearn.artefacts.workspace import workspace
with workspace(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_second_holder_is_refused_and_disturbs_nothing(out: Path) -> None:
    with workspace(out) as work:
        (work / "half").touch()
        for keep in (True, False):
            with (
                pytest.raises(DataError, match="another process is writing it"),
                workspace(out, keep=keep),
            ):
                pytest.fail("two hold the same place")
        assert (work / "half").exists()
        with workspace(out.with_name("elsewhere")):
            pass
    with workspace(out):
        pass


def test_another_process_is_refused_until_the_holder_ends_or_is_killed(out: Path) -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(out)],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(DataError, match="another process"), workspace(out):
            pass
        holder.kill()
    with workspace(out) as work:
        assert [path.name for path in work.iterdir()] == ["lock"]


@pytest.mark.parametrize("keep", [True, False])
def test_an_interrupted_work_folder_is_found_again_only_with_keep(out: Path, keep: bool) -> None:
    def interrupted() -> None:
        with workspace(out, keep=keep) as work:
            (work / "part").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (out.parent / ".out.work").exists() == keep
    with workspace(out, keep=keep) as work:
        assert (work / "part").exists() == keep


def test_a_run_that_made_nothing_leaves_nothing(out: Path) -> None:
    with pytest.raises(KeyboardInterrupt), workspace(out, keep=True):
        raise KeyboardInterrupt
    assert list(out.parent.iterdir()) == []


def test_without_keep_what_a_killed_run_left_is_emptied(out: Path) -> None:
    work = out.parent / ".out.work"
    (work / "folder" / "deep").mkdir(parents=True)
    (work / "file").touch()
    with workspace(out) as found:
        assert found == work
        assert [path.name for path in work.iterdir()] == ["lock"]


@pytest.mark.parametrize("keep", [True, False])
def test_the_work_folder_is_removed_at_the_end(out: Path, keep: bool) -> None:
    with workspace(out, keep=keep) as work:
        (work / "part").touch()
        write_text(out, "made")
    assert list(out.parent.iterdir()) == [out]


def test_a_place_that_cannot_be_written_is_refused_by_name(out: Path) -> None:
    out.touch()
    with pytest.raises(DataError, match="cannot be written"), workspace(out / "x.h5"):
        pass


@pytest.mark.parametrize("keep", [True, False])
def test_what_was_there_comes_back_if_the_new_one_does_not_take_its_place(
    keep: bool, out: Path
) -> None:
    def taken_away() -> None:
        put_folder(work / "made", "new")
        out.rename(work / "replaced")

    put_folder(out, "old")
    with suppress(KeyboardInterrupt), workspace(out, keep=keep) as work:
        taken_away()
        raise KeyboardInterrupt
    assert holds(out) == ["old"]
    with workspace(out, keep=True) as work:  # and after a kill, when the next one begins
        pass
    work.mkdir()
    taken_away()
    with workspace(out, keep=keep):
        assert holds(out) == ["old"]


def test_publish_replaces_a_folder_where_a_killed_run_left_what_it_replaced(out: Path) -> None:
    put_folder(out, "old")
    with workspace(out) as work:
        put_folder(work / "replaced", "older")
        put_folder(work / "made", "new")
        publish(work / "made", out)
    assert holds(out) == ["new"]


def test_a_created_folder_appears_when_it_is_full_and_is_made_once(tmp_path: Path) -> None:
    out = tmp_path / "detector"

    def create(identity: str, *, overwrite: bool = False) -> bool:
        with creating(out, identity, MADE, overwrite=overwrite) as folder:
            if folder is None:
                return False
            assert not (out / "new").exists()
            write_json(folder / "facts.json", {"identity": identity})
            (folder / "new").touch()
        return True

    assert create("x:1")
    assert sorted(path.name for path in out.iterdir()) == ["facts.json", "new"]
    assert not create("x:1")
    with pytest.raises(DataError, match="holds x:1, not x:2"):
        create("x:2")
    (out / "new").unlink()
    with pytest.raises(DataError, match="new is missing"):
        create("x:1")
    assert create("x:2", overwrite=True)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"holds other files \(notes\.txt\)"):
        create("x:1", overwrite=True)
    assert (out / "notes.txt").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [out]


def test_what_is_overwritten_is_made_anew_and_never_called_made_already(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    out = tmp_path / "thing"
    for number in range(2):
        with creating(out, "x:1", MADE, overwrite=True) as folder:
            assert folder is not None
            write_json(folder / "facts.json", {"identity": "x:1"})
            (folder / "new").write_text(str(number))
    assert (out / "new").read_text() == "1"
    assert "already" not in caplog.text


def test_a_folder_of_another_kind_under_the_same_names_is_not_replaced(tmp_path: Path) -> None:
    write_json(tmp_path / "facts.json", {"identity": "y:1"})
    with (
        pytest.raises(DataError, match=r"is not a thing, .*choose another place"),
        creating(tmp_path, "x:1", MADE, overwrite=True),
    ):
        pytest.fail("it may not be replaced")
    assert read_json(tmp_path / "facts.json") == {"identity": "y:1"}


def test_a_creation_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "detector"
    out.mkdir()
    write_json(out / "facts.json", {"identity": "x:1"})
    with pytest.raises(KeyboardInterrupt), creating(out, "x:2", MADE, overwrite=True):
        raise KeyboardInterrupt
    assert [path.name for path in out.iterdir()] == ["facts.json"]
    assert list(tmp_path.iterdir()) == [out]
