"""Artefacts: what identifies one, who may write it, and that it appears all at once."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replearn.artefacts.files import publish, read_json, write_json, write_result, write_text
from replearn.artefacts.identity import already_made, check_same, digest, identify
from replearn.artefacts.workspace import workspace
from replearn.errors import DataError

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner)
)

HOLDER = """
import sys
from pathlib import Path
from replearn.artefacts.workspace import workspace
with workspace(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


# Identities


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text().map("fact {}".format), json_values, min_size=1))
def test_an_identity_depends_on_the_facts_and_not_on_their_order(facts: dict[str, object]) -> None:
    turned = dict(reversed(facts.items()))
    assert identify("kind", **facts) == identify("kind", **turned)
    assert identify("other", **facts) != identify("kind", **facts)
    for key in facts:
        assert identify("kind", **(facts | {key: "another value of this key"})) != identify(
            "kind", **facts
        )


def test_an_identity_is_the_same_in_every_process(tmp_path: Path) -> None:
    script = (
        "from replearn.artefacts.files import identify as i; print(i('k', b={'y': 1, 'x': 'é'}))"
    )
    root = Path(__file__).parents[2]
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == identify("k", b={"x": "é", "y": 1})


def test_a_digest_keeps_its_chunks_apart() -> None:
    ways = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("c", "ab")]
    assert len({digest(*chunks) for chunks in ways}) == len(ways)
    assert digest("é") == digest("é".encode()) == digest(memoryview("é".encode()))


def test_contradicting_identities_are_refused_and_a_missing_one_is_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    check_same("a:1", "a:1", "the encoder of x.h5")
    assert capsys.readouterr().err == ""
    with pytest.raises(DataError, match=r"^the encoder of x\.h5: expected a:1, found a:2$"):
        check_same("a:1", "a:2", "the encoder of x.h5")
    for pair in [("a:1", None), (None, "a:1"), (None, None)]:
        check_same(*pair, "the encoder of x.h5")
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("warning: the encoder of x.h5")


def test_only_the_same_artefact_counts_as_made(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not already_made(out, None, "a:1", overwrite=False)
    out.touch()
    assert already_made(out, "a:1", "a:1", overwrite=False)
    assert "already made" in capsys.readouterr().err
    for existing, named in (("a:2", "a:2"), (None, "something else")):
        with pytest.raises(DataError, match=rf"holds {named}, not a:1; .*--overwrite"):
            already_made(out, existing, "a:1", overwrite=False)
        assert not already_made(out, existing, "a:1", overwrite=True)


# The work folder


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


# Appearing all at once


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


def test_of_several_writers_at_once_each_publishes_all_of_its_own(out: Path) -> None:
    texts = [letter * 300_000 for letter in "abcd"]
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(write_text, out, text) for _ in range(10) for text in texts]
        while not all(job.done() for job in jobs):
            assert not out.exists() or out.read_text() in texts
        for job in jobs:
            job.result()
    assert list(out.parent.iterdir()) == [out]


def test_the_same_result_is_fine_and_another_is_refused_unless_overwriting(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = out / "deeper" / "run.csv"
    write_result(path, "a\té\n", overwrite=False)
    assert path.read_bytes() == "a\té\n".encode()
    written = path.stat().st_ino
    write_result(path, "a\té\n", overwrite=False)
    assert "already made" in capsys.readouterr().err
    assert path.stat().st_ino == written, "not even written again"
    with pytest.raises(DataError, match="--overwrite"):
        write_result(path, "b\n", overwrite=False)
    assert path.read_text() == "a\té\n"
    write_result(path, "b\n", overwrite=True)
    assert path.read_text() == "b\n"
    assert list(path.parent.iterdir()) == [path]


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
