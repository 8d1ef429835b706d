"""Work in shards: whatever ends a run costs only the shards being made, and never shows later."""

import json
import logging
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.__main__ import main
from replearn.artefacts import shards
from replearn.artefacts.error_budget import ErrorBudget, TooManyErrors
from replearn.artefacts.identity import digest
from replearn.artefacts.shard_jobs import ShardResult, collect
from replearn.artefacts.shards import (
    Ledger,
    Shard,
    ShardContent,
    publish_shards,
    size_of_shards,
    write_shard,
)
from replearn.artefacts.throughput import Throughput
from replearn.encoders import extraction
from replearn.errors import DataError
from replearn.features import Features
from replearn.images.image_set import ImageSet
from replearn.images.preparation import prepare

ROOT = Path(__file__).parents[2]
COUNT, ROWS = 60, 4

# A stage as a process of its own, with small shards, that says when it begins to work.
STAGE = """
import resource, sys, time
from replearn.artefacts import shards
shards.ROWS = {rows}
if {limit}:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
def slow(work):
    def slowly(*what):
        time.sleep({delay})
        return work(*what)
    return slowly
if {delay}:
    from replearn.encoders import extraction
    from replearn.images import preparation as preparing
    extraction.write_shard = preparing.write_shard = slow(shards.write_shard)
    shards.Ledger.add = slow(shards.Ledger.add)
from pipelines.__main__ import main
print("begins", flush=True)
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""


def stage(words: str, *, delay: float = 0.0, limit: int = 0) -> "subprocess.Popen[str]":
    script = STAGE.format(rows=ROWS, delay=delay, limit=limit)
    return subprocess.Popen(
        [sys.executable, "-c", script, *words.split()],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "ROWS", ROWS)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    (folder / "images").mkdir()
    generator = np.random.default_rng(0)
    for number in range(COUNT):
        pixels = generator.integers(0, 256, (14, 11)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number:02}.png")
    (folder / "images" / "17.png").write_bytes(b"")
    (folder / "encoder.yaml").write_text("model: raw\n")
    small = f"{folder}/few.h5 --size 8"
    assert main(f"prepare {folder}/images {small} --max-errors 0.1".split()) == 0
    assert main(f"train {folder}/encoder.yaml {folder}/few.h5 {folder}/encoder".split()) == 0
    return folder


def manifest_of(out: Path) -> list[str]:
    """Return the lines of the manifest of an unfinished run."""
    manifests = list((out.parent / f".{out.name}.work").glob("shards-*.jsonl"))
    return manifests[0].read_text().splitlines() if manifests else []


def content(out: Path) -> dict[str, bytes]:
    """Return the bytes of an artefact, by the name of each of its files."""
    files = sorted(out.iterdir()) if out.is_dir() else [out]
    return {path.name if out.is_dir() else "": path.read_bytes() for path in files}


# What a manifest says, and what is taken from it


def write_some(folder: Path, *, plan: str = "plan:1", upto: int = 3) -> Ledger:
    ledger = Ledger(folder, plan, "vectors", 10, 4)
    for wanted in ledger.missing()[:upto]:
        ids = [f"é{number}" for number in wanted]
        rows = np.array([[number] for number in wanted], np.float32)
        ledger.add(
            write_shard(ledger.folder, "vectors", wanted, ShardContent(rows, ids, [], {}), "aae:1")
        )
    return ledger


def test_a_shard_is_entered_with_range_rows_ids_and_maker(tmp_path: Path) -> None:
    ledger = write_some(tmp_path)
    assert [(shard.start, shard.stop) for shard in ledger.finished()] == [(0, 4), (4, 8), (8, 10)]
    last = ledger.finished()[-1]
    assert (last.rows, last.ids, last.made_by) == (2, digest("é8", "é9"), "aae:1")
    assert (ledger.folder / last.file).stat().st_size == last.size
    assert ledger.missing() == []


def test_finished_shards_are_found_again_and_others_are_missing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    write_some(tmp_path, upto=2)
    assert Ledger(tmp_path, "plan:1", "vectors", 10, 4).missing() == [range(8, 10)]
    assert "going on after 2 of 3 shards" in caplog.text


@pytest.mark.parametrize("damage", ["cut", "gone", "other ids", "half a line", "nonsense"])
def test_a_shard_that_is_not_as_its_line_says_is_made_again(damage: str, tmp_path: Path) -> None:
    ledger = write_some(tmp_path)
    path = ledger.folder / ledger.finished()[1].file
    (lines,) = tmp_path.glob("*.jsonl")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-5])
    elif damage == "gone":
        path.unlink()
    elif damage == "other ids":
        path.write_bytes((ledger.folder / ledger.finished()[0].file).read_bytes())
    else:
        first, second, third = lines.read_text().splitlines()
        broken = second[:40] if damage == "half a line" else '{"file": 3}'
        lines.write_text("\n".join([first, broken, third]))
    again = Ledger(tmp_path, "plan:1", "vectors", 10, 4)
    assert again.missing() == [range(4, 8)]


def test_shards_of_another_plan_are_thrown_away(tmp_path: Path) -> None:
    old = write_some(tmp_path)
    assert len(write_some(tmp_path, plan="plan:2", upto=0).missing()) == 3
    assert not old.folder.exists()


def test_files_that_a_killed_process_was_writing_are_removed(tmp_path: Path) -> None:
    ledger = write_some(tmp_path)
    (ledger.folder / ".shard-000000000000.h5.99.tmp").write_bytes(b"half")
    again = Ledger(tmp_path, "plan:1", "vectors", 10, 4)
    assert len(list(again.folder.iterdir())) == 3


def test_a_folder_and_a_file_hold_the_same(tmp_path: Path) -> None:
    for name in ("one.h5", "many"):
        facts = {"identity": "features:1"}
        (tmp_path / "work").mkdir()
        ledger = write_some(tmp_path / "work")
        publish_shards(ledger, "vectors", tmp_path / name, facts, [("x", "gone")])
        shutil.rmtree(tmp_path / "work")
    one, many = Features.load(tmp_path / "one.h5"), Features.load(tmp_path / "many")
    assert one.ids == many.ids == [f"é{number}" for number in range(10)]
    assert np.array_equal(one.vectors, many.vectors)
    assert (one.errors, one.identity) == (many.errors, many.identity)
    manifest = json.loads((tmp_path / "many" / "manifest.json").read_text())
    assert [shard["rows"] for shard in manifest["shards"]] == [4, 4, 2]
    alone = Features.load(tmp_path / "many" / manifest["shards"][1]["file"])
    assert alone.ids == many.ids[4:8]


@pytest.mark.parametrize("lost", ["shard-000000000004.h5", "manifest.json"])
def test_a_folder_that_lost_a_file_is_refused_by_its_name(lost: str, tmp_path: Path) -> None:
    out = tmp_path / "many"
    (tmp_path / "work").mkdir()
    publish_shards(write_some(tmp_path / "work"), "vectors", out, {"identity": "features:1"})
    (out / lost).unlink()
    with pytest.raises(DataError, match=lost):
        Features.load(out)


def test_shards_grow_with_the_work_and_shrink_with_the_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    assert size_of_shards(1000, 64 * 64) == size_of_shards(224_000, 64 * 64)
    assert size_of_shards(10**9, 64 * 64) > size_of_shards(10**6, 64 * 64)
    assert 10**8 / size_of_shards(10**8, 64 * 64) <= 4096
    assert size_of_shards(10**6, 3 * 1000**2) * 3 * 1000**2 <= 1 << 28


# The same bytes, whoever does the work


@pytest.mark.parametrize("name", ["set.h5", "set"])
def test_preparing_gives_the_same_bytes_whatever_the_processes_and_the_order(
    name: str, work: Path, tmp_path: Path
) -> None:
    listing = [f"{work}/images/{number:02}.png" for number in range(COUNT)]
    random.Random(0).shuffle(listing)
    (tmp_path / "list.txt").write_text("\n".join(listing))
    made: list[dict[str, bytes]] = []
    for number, (source, jobs) in enumerate(
        [(work / "images", 1), (work / "images", 2), (tmp_path / "list.txt", 1)]
    ):
        out = tmp_path / str(number) / name
        prepare(source, out, size=8, jobs=jobs)
        made.append(content(out))
    # Where the images lay is a hint that the last one has another of.
    assert made[0] == made[1]
    first, last = (ImageSet.load(tmp_path / number / name) for number in "02")
    assert first.identity == last.identity
    assert first.ids == last.ids
    assert first.errors == last.errors == [("17", "empty file")]


def test_extracting_gives_the_same_bytes_from_one_process_and_from_two(
    work: Path, tmp_path: Path
) -> None:
    for jobs in (1, 2):
        out = tmp_path / f"{jobs}" / "features.h5"
        words = f"extract {work}/encoder {work}/images {out} --jobs {jobs}"
        assert main(words.split()) == 0
    assert content(tmp_path / "1" / "features.h5") == content(tmp_path / "2" / "features.h5")


def test_features_of_files_are_those_of_the_prepared_images(work: Path, tmp_path: Path) -> None:
    for source, name in ((work / "images", "files"), (work / "few.h5", "prepared")):
        assert main(f"extract {work}/encoder {source} {tmp_path}/{name}.h5".split()) == 0
    files, prepared = (Features.load(tmp_path / f"{name}.h5") for name in ("files", "prepared"))
    assert files.identity == prepared.identity
    assert files.ids == prepared.ids
    assert files.errors == prepared.errors
    np.testing.assert_allclose(files.vectors, prepared.vectors, rtol=1e-6)


def test_too_many_missing_images_are_told_before_anything_is_encoded(
    work: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "ids.txt").write_text("00\n" + "".join(f"none{number}\n" for number in range(9)))
    monkeypatch.setattr(extraction, "_vectors", None)
    words = f"extract {work}/encoder {work}/images {tmp_path}/features --ids {tmp_path}/ids.txt"
    assert main(words.split()) == 1
    assert "9 of 10 images cannot be used" in capsys.readouterr().err


def test_a_run_that_had_nothing_to_do_tells_no_speed(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"extract {work}/encoder {work}/few.h5 {tmp_path}/features".split()
    assert main(words) == 0
    assert "59 x 64 features, 1 left out" in capsys.readouterr().err
    assert main(words) == 0
    told = capsys.readouterr().err
    assert "nothing to do" in told
    assert "images/s" not in told


# Ends that nobody wished for


def killed_and_finished(words: str, out: Path, kills: int, generator: random.Random) -> int:
    """Kill a stage at random moments, then let it finish; return how often it was at work."""
    at_work = 0
    for _ in range(kills):
        with stage(words, delay=0.05) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "begins\n"
            time.sleep(generator.uniform(0, 1.0))
            at_work += child.poll() is None
            child.send_signal(signal.SIGKILL)
    assert main(words.split()) == 0
    return at_work


def extraction_survives(kills: int, work: Path, tmp_path: Path, seed: int) -> None:
    words = f"extract {work}/encoder {work}/images {{}}/features --jobs 1"
    assert main(words.format(tmp_path / "calm").split()) == 0
    out = tmp_path / "killed" / "features"
    assert killed_and_finished(words.format(out.parent), out, kills, random.Random(seed)) > 0
    assert content(out) == content(tmp_path / "calm" / "features")
    assert list(out.parent.iterdir()) == [out]


def test_extraction_killed_three_times_ends_byte_identical(work: Path, tmp_path: Path) -> None:
    extraction_survives(3, work, tmp_path, seed=time.time_ns())


@pytest.mark.slow
def test_extraction_killed_twenty_times_ends_byte_identical(work: Path, tmp_path: Path) -> None:
    for number in range(4):
        extraction_survives(5, work, tmp_path / str(number), seed=time.time_ns())


def children_of(process: int) -> list[int]:
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(word) for word in text.split()]


def running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until(true: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert true()


def test_workers_end_with_the_process_that_is_killed(work: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    with stage(f"prepare {work}/images {out} --size 8 --jobs 2", delay=1) as child:
        wait_until(lambda: len(manifest_of(out)) >= 1)
        workers = children_of(child.pid)
        child.send_signal(signal.SIGKILL)
    wait_until(lambda: not any(map(running, workers)), 10)
    kept = len(manifest_of(out))
    prepare(work / "images", out, size=8)
    prepare(work / "images", tmp_path / "calm", size=8)
    assert kept >= 1
    assert content(out) == content(tmp_path / "calm")


def test_a_killed_worker_ends_the_run_in_one_line_and_keeps_what_is_finished(
    work: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "set"
    words = ["prepare", str(work / "images"), str(out), "--size", "8", "--jobs", "2"]
    before = children_of(os.getpid())
    add = Ledger.add

    def add_and_kill(ledger: Ledger, shard: Shard) -> None:
        add(ledger, shard)
        workers = {child.pid or 0 for child in multiprocessing.active_children()}.difference(before)
        for worker in list(workers)[:1]:
            os.kill(worker, signal.SIGKILL)
        wait_until(lambda: not any(map(running, workers)))  # the other is ended, as the pool broke

    with monkeypatch.context() as killing:
        killing.setattr(Ledger, "add", add_and_kill)
        assert main(words) == 1
    told = capsys.readouterr().err
    assert "a worker process died" in told.splitlines()[-1]
    assert "run the same again" in told.splitlines()[-1]
    kept = len(manifest_of(out))
    assert 1 <= kept < COUNT / ROWS
    assert main(words) == 0
    assert f"going on after {kept} of 15 shards" in capsys.readouterr().err
    prepare(work / "images", tmp_path / "calm", size=8)
    assert content(out) == content(tmp_path / "calm")


def test_nobody_makes_shards_any_more_when_they_are_thrown_away(tmp_path: Path) -> None:
    ledger = write_some(tmp_path, upto=1)
    (shard,) = ledger.finished()
    there: list[bool] = []

    def results() -> Generator[ShardResult, None, None]:
        try:
            yield ShardResult(shard, [("x", "empty file")], {})
        finally:
            there.append(ledger.folder.exists())

    with pytest.raises(TooManyErrors):
        collect(results(), ledger, ErrorBudget(tmp_path, 10, 0.0), Throughput())
    assert there == [True]
    assert not ledger.folder.exists()


@pytest.mark.parametrize(("name", "limit"), [("set.h5", 12_000), ("set", 2_000)])
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_full_disk_is_named_and_costs_only_what_is_not_finished(
    name: str, limit: int, jobs: int, work: Path, tmp_path: Path
) -> None:
    out = tmp_path / "full" / name
    words = f"prepare {work}/images {out} --size 16 --jobs {jobs}"
    with stage(words, limit=limit) as child:
        _, told = child.communicate(timeout=100)
    assert child.returncode == 1
    line = told.splitlines()[-1]
    assert "cannot be written (file too large)" in line
    assert ".h5" in line
    assert not out.exists()
    kept = len(manifest_of(out))
    assert kept == (COUNT / ROWS if name == "set.h5" else 0)
    assert main(words.split()) == 0
    prepare(work / "images", tmp_path / "calm" / name, size=16)
    assert content(out) == content(tmp_path / "calm" / name)


def test_of_two_simultaneous_runs_the_second_is_refused(work: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    words = f"prepare {work}/images {out} --size 8 --jobs 1"
    with stage(words, delay=5.0) as first:
        wait_until(lambda: (out.parent / ".set.work" / "lock").exists())
        with stage(words) as second:
            _, told = second.communicate(timeout=100)
        first.kill()
    assert second.returncode == 1
    assert "another process is writing it now" in told.splitlines()[-1]
    prepare(work / "images", out, size=8)
    prepare(work / "images", tmp_path / "calm", size=8)
    assert content(out) == content(tmp_path / "calm")
