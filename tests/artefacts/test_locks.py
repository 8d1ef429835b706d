"""Locks: one holder at a time, and work that goes on where files cannot be locked."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from replearn.artefacts import locks
from replearn.artefacts.files import write_text
from replearn.artefacts.locks import is_at, lock, locked_folder
from replearn.artefacts.workspace import workspace
from replearn.errors import ReplearnWarning
from replearn.images.sources import open_source

ROOT = Path(__file__).parents[2]

WITHOUT_FCNTL = """
import sys
sys.modules["fcntl"] = None  # as where there is none
from pathlib import Path
from pipelines.__main__ import main
sys.exit(main(["split", sys.argv[1], sys.argv[2], "--valid", "0.5"]))
"""


def test_a_lock_has_one_holder_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("w") as first, path.open("w") as second:
        assert lock(first.fileno())
        assert not lock(second.fileno())
    with path.open("w") as third:
        assert lock(third.fileno())


def test_a_shared_lock_is_held_by_several_and_keeps_out_who_wants_it_alone(tmp_path: Path) -> None:
    with locked_folder(tmp_path, shared=True) as one, locked_folder(tmp_path, shared=True) as two:
        assert one
        assert two
        with locked_folder(tmp_path) as alone:
            assert not alone
    with locked_folder(tmp_path) as alone:
        assert alone


def test_a_file_that_took_the_name_of_an_open_one_is_another(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("w") as opened:
        assert is_at(opened.fileno(), path)
        path.unlink()
        assert not is_at(opened.fileno(), path)
        path.touch()
        assert not is_at(opened.fileno(), path)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_files_cannot_be_locked_work_goes_on_with_one_warning(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "no locks here")

    locks._warn_once.cache_clear()
    monkeypatch.setattr("fcntl.flock", refuse)
    expected = pytest.warns(ReplearnWarning, match="files cannot be locked here")
    with expected as given, workspace(tmp_path / "out"):
        write_text(tmp_path / "text", "content")
    assert (tmp_path / "text").read_text() == "content"
    assert len(given) == 1


def test_where_folders_cannot_be_locked_nobody_takes_one_for_unused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks here")

    monkeypatch.setattr("fcntl.flock", refuse)
    other = tmp_path / ".unpacked-other"
    other.mkdir()
    (tmp_path / "images").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "images/one.png")
    with locked_folder(other) as held, open_source(tmp_path / "images", tmp_path):
        assert not held
    assert other.exists()  # another process may be reading it


def test_another_error_of_the_system_is_not_taken_for_a_missing_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "broken disk")

    monkeypatch.setattr("fcntl.flock", refuse)
    with (tmp_path / "lock").open("w") as file, pytest.raises(OSError, match="broken disk"):
        lock(file.fileno())


def test_a_stage_runs_where_there_is_no_fcntl(tmp_path: Path) -> None:
    concepts = tmp_path / "concepts.tsv"
    concepts.write_text("".join(f"image-{number}\tC1\n" for number in range(4)))
    words = [sys.executable, "-c", WITHOUT_FCNTL, str(concepts), str(tmp_path / "lists")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "lists/valid-concepts.tsv").exists()
