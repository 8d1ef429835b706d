"""The benchmarks run, in their tiniest form; what they measure is not tested."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.turns import Options, Training, elsewhere, take_turns
from replearn.detection.decisions.rules import RULES

ROOT = Path(__file__).parents[2]


def last_line(module: str, *words: object) -> dict[str, Any]:
    """Return what a benchmark printed last."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert last["benchmark"] == module
    return last


@pytest.mark.parametrize(
    ("module", "words", "status", "said"),
    [
        ("neighbors", "--rows 0 --approximate-rows 100 --factories nonsense", 2, "'nonsense'"),
        ("training", "--models nonsense", 2, "--models nonsense: unknown; known: aae"),
        ("training", "--device nonsense", 1, "device 'nonsense': not usable here"),
        ("gpu", "--sections nonsense", 2, "--sections nonsense: unknown; known: embeddings"),
        ("model_sheets", "missing missing missing", 1, "missing"),
    ],
)
def test_bad_input_ends_a_benchmark_with_one_line_and_the_status_of_a_stage(
    module: str, words: str, status: int, said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *words.split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status
    [line] = done.stderr.splitlines()
    assert line.startswith(f"benchmarks.{module}: ")
    assert said in line


def test_training_ends_with_the_ratios_to_each_baseline() -> None:
    tiny = "--size 16 --width 4 --batch 8 --rounds 1 --seconds 0.01 --workers 1 --device cpu"
    last = last_line("training", "--models", "vae,combined", *tiny.split())
    assert set(last["bare"]) == {"vae", "combined"}
    assert (last["pythae"] is None) == (find_spec("pythae") is None)
    measured = [*last["bare"].values(), last["files"], last["pythae"]]
    for facts in filter(None, measured):
        assert 0 < facts["low"] <= facts["ratio"] <= facts["high"]
        assert facts["replearn"] > 0
        assert facts["baseline"] > 0


@contextlib.contextmanager
def telling_where(facts: list[Callable[[], int]]) -> Iterator[Training]:
    """Give a training that returns the fact of this number, about where it is."""
    yield lambda number: facts[number]()


def test_a_training_with_a_process_of_its_own_has_as_many_threads_there() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(3)  # not what a new process would have
    try:
        with elsewhere(telling_where, [os.getpid, torch.get_num_threads]) as training:
            assert training(0) != os.getpid()
            assert training(1) == 3
    finally:
        torch.set_num_threads(threads)


def test_two_trainings_change_places_and_a_chance_round_moves_no_quartile() -> None:
    options = Options(
        models=[],
        size=16,
        batch=64,
        width=4,
        rounds=5,
        seconds=0.001,
        workers=0,
        device=torch.device("cpu"),
        precision="auto",
    )
    trained: list[str] = []
    speeds = iter([1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 90.0])

    def ours(steps: int) -> float:
        trained.append("ours")
        return next(speeds)

    def baseline(steps: int) -> float:
        trained.append("baseline")
        return 1.0

    facts = take_turns(ours, baseline, options).facts()
    rounds = trained[4:]
    assert rounds[:4] == ["ours", "baseline", "baseline", "ours"]
    assert (facts["low"], facts["ratio"], facts["high"]) == (2.0, 2.0, 2.0)


def test_decisions_are_timed_and_the_two_ways_to_a_threshold_agree() -> None:
    tiny = "--images 300 --decided 40 --width 20 --rounds 1"
    last = last_line("decisions", *tiny.split())
    rows = {row["task"]: row for row in last["rows"]}
    assert last["ratio"] > 0
    assert all(row["seconds"] <= row["most"] for row in rows.values())
    ours, plain = rows["threshold"], rows["threshold, one sort of all"]
    assert abs(ours["result"] - plain["result"]) < 1e-9


def test_all_rules_are_compared_on_phantoms_and_on_a_file(tmp_path: Path) -> None:
    lists = "".join(f"image{n}\tA;{'BCDE'[n % 4]};rare{n % 20}\n" for n in range(60))
    (tmp_path / "concepts.tsv").write_text(lists)
    tiny = ["--quality", "--phantoms", 60, "--seeds", 1]
    rows = last_line("decisions", *tiny, "--concepts", tmp_path / "concepts.tsv")["quality"]
    assert {(row["data"], row["detector"], row["rule"]) for row in rows} == {
        (data, detector, rule)
        for data in ("phantoms", "even", "uneven")
        for detector in ("linear", "knn-vote")
        for rule in RULES
    }
    assert all(row["interval"][0] <= row["f1"] <= row["interval"][1] for row in rows)


def test_logistic_ends_with_ratios_excesses_and_growth() -> None:
    tiny = "--rows 600 --width 8 --labels 6 --exact 2 --rounds 2 --scale 0.01 --growth-width 8"
    last = last_line("logistic", *tiny.split(), "--growth-labels", 8)
    for labels in "ab":
        assert 0 < last[labels]["least"] <= last[labels]["ratio"] <= last[labels]["most"]
        assert abs(last[labels]["excess"]) < 1e-6
    assert len(last["growth"]["by_rows"]) == len(last["growth"]["by_labels"]) == 3


def test_neighbors_ends_with_ratios_recalls_and_memory() -> None:
    tiny = "--rows 500 --width 8 --queries 40 -k 5 --rounds 2 --approximate-rows 2000"
    more = ("--approximate-width", 8, "--approximate-queries", 50, "--factories", "IVF16,Flat")
    last = last_line("neighbors", *tiny.split(), *more, "--tuned", 60, "--concepts", 12)
    assert 0 < last["exact"]["least"] <= last["exact"]["ratio"] <= last["exact"]["most"]
    assert last["memory"]["mib"] > last["memory"]["matrix_mib"] > 0
    assert 0 < last["one_query"]["seconds"] < last["one_query"]["command"]
    (row,) = last["approximate"]
    assert row["recall_at_10"] > 0.8
    assert row["build_seconds"] > 0
    assert last["tuning"]["neighbours"] == 60
    assert all(last["tuning"][part]["seconds"] > 0 for part in ("vote", "rule"))


def test_run_files_score_as_plain_sets_do() -> None:
    last = last_line("imageclef", "--images", 50, "--seeds", 2)
    assert last["difference"] < 1e-12
    assert last["read_validate_score"]["seconds"].keys() == {"50"}


def test_extraction_ends_with_ratios_and_with_growth() -> None:
    tiny = "--images 24 --size 16 --width 4 --jobs 1 --rounds 1"
    last = last_line("extraction", *tiny.split())
    for name in ("prepare_over_pillow", "extract_over_slower_core_each", "sharded_over_plain"):
        assert 0 < last[name]["least"] <= last[name]["ratio"] <= last[name]["most"]
    assert [row["images"] for row in last["plans"]] == [10**6, 10**8, 10**9]
    growth = "--flat 40 --size 16 --width 4"
    last = last_line("extraction", *growth.split())
    assert set(last["bytes_each"]) == {"prepare", "extract"}
    rows = last["flat"]
    assert [row["images"] for row in rows] == [10, 20, 40]
    for row in rows:
        assert all(row[f"{stage} s"] > 0 for stage in ("prepare", "extract"))
        assert all(row[f"{stage} peak MiB"] > 0 for stage in ("prepare", "extract"))


def test_an_automatic_device_that_is_a_processor_has_plans_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    tiny = "--images 24 --size 16 --width 4 --jobs 1 --rounds 1 --device auto"
    assert len(last_line("extraction", *tiny.split())["plans"]) == 3


@pytest.mark.slow
@pytest.mark.skipif(find_spec("gradio") is None, reason="gradio: make setup EXTRAS=cpu,app")
def test_serving_ends_with_waits_errors_and_memory() -> None:
    last = last_line("serving", "--rows", 500, "--width", 8, "--clients", 3, "--seconds", 6)
    assert last["together"]["users"] == 3
    for row in (last["alone"], last["together"]):
        assert row["errors"] == 0
        assert 0 < row["median"] <= row["p99"] <= row["slowest"]
    assert 0 < last["memory_after"]["own"] <= last["memory_after"]["all"]
