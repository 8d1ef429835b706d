"""Files: each appears all at once, whoever else writes it and whatever ends the run."""

import errno
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from replearn.artefacts.files import (
    publish,
    read_json,
    replacing,
    write_json,
    write_text,
)
from replearn.artefacts.workspace import workspace
from replearn.errors import DataError


def put_file(path: Path, text: str) -> None:
    path.write_text(text)


def put_folder(path: Path, text: str) -> None:
    (path / "deep").mkdir(parents=True)
    (path / "deep" / text).write_text(text)


def holds(path: Path) -> list[str]:
    return [path.read_text()] if path.is_file() else [p.name for p in (path / "deep").iterdir()]


@pytest.mark.parametrize("put", [put_file, put_folder])
@pytest.mark.parametrize("replaced", [True, False])
def test_publish_moves_and_replaces_files_and_folders(
    put: Callable[[Path, str], None], replaced: bool, out: Path
) -> None:
    if replaced:
        put(out, "old")
    with workspace(out) as work:
        put(work / "made", "new")
        publish(work / "made", out)
        assert not (work / "made").exists()
    assert holds(out) == ["new"]
    assert list(out.parent.iterdir()) == [out]


def test_publish_replaces_a_file_by_a_folder_and_a_folder_by_a_file(out: Path) -> None:
    put_file(out, "old")
    for put in (put_folder, put_file):
        with workspace(out) as work:
            put(work / "made", "new")
            publish(work / "made", out)
        assert holds(out) == ["new"]


def test_of_several_writers_at_once_each_publishes_all_of_its_own(out: Path) -> None:
    texts = [letter * 300_000 for letter in "abcd"]
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(write_text, out, text) for _ in range(10) for text in texts]
        while not all(job.done() for job in jobs):
            assert not out.exists() or out.read_text() in texts
        for job in jobs:
            job.result()
    assert list(out.parent.iterdir()) == [out]


def test_json_comes_back_and_what_is_not_json_is_refused_by_name(out: Path) -> None:
    write_json(out, {"name": "é", "numbers": [1, 0.1, None]})
    assert read_json(out) == {"name": "é", "numbers": [1, 0.1, None]}
    assert "é" in out.read_text(encoding="utf-8")
    for content in (b"", b'{"a": ', b"\xff"):
        out.write_bytes(content)
        with pytest.raises(DataError) as caught:
            read_json(out)
        assert str(caught.value).startswith(f"{out}: not readable as JSON")
    with pytest.raises(DataError, match="not found"):
        read_json(out.with_name("none.json"))


def test_what_is_being_replaced_stays_until_the_new_file_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with replacing(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.read_bytes() == b""
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("tag", ["", ".7"])
def test_a_replacement_that_fails_leaves_the_old_file_and_nothing_else(
    tag: str, tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")

    def stopped(temporary: Path) -> None:
        temporary.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), replacing(path, tag=tag) as temporary:
        stopped(temporary)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_is_full_is_named_by_the_file_that_was_to_be_written(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    message = rf"{path}: cannot be written \(no space left"
    with pytest.raises(DataError, match=message), replacing(path):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_writers_with_tags_of_their_own_do_not_wait_for_each_other(tmp_path: Path) -> None:
    path = tmp_path / "shard.h5"
    with replacing(path, tag=".1") as first, replacing(path, tag=".2") as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # the one that ended last
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_never_takes_the_place_of_a_folder(tmp_path: Path) -> None:
    for name in ("photos", "replaced", "removed"):
        put_folder(tmp_path / name, "kept")
    with pytest.raises(DataError, match="photos: is a folder; give the name of a file"):
        write_text(tmp_path / "photos", "text")
    kept = {path.parent.parent.name for path in tmp_path.rglob("kept")}
    assert kept == {"photos", "replaced", "removed"}
