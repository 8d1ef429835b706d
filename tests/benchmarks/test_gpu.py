"""Checks and measurements on a GPU: their small form runs here; whatever happens is recorded."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import packages
from benchmarks.gpu.embeddings import largest_error
from benchmarks.gpu.form import Form
from benchmarks.gpu.inputs import new_trainer, noise
from benchmarks.gpu.resume import different
from benchmarks.gpu.roofline import LeastTime, least_seconds_of_search
from benchmarks.gpu.rows import Row, check, each, failure, number, skipped, speed, tables
from benchmarks.gpu.running import WHOLE, Clock, import_once, run
from benchmarks.gpu.search import Known, compared, distances
from benchmarks.gpu.sections import SECTIONS, Section, Work
from benchmarks.gpu.steps import not_finite
from replearn.neighbors.engine import Hits, Space

ROOT = Path(__file__).parents[2]
SMALL = Form("cpu", False, 60)

# The small form -----------------------------------------------------------------------------------


def test_each_section_runs_small_without_a_gpu(tmp_path: Path) -> None:
    # One test: with several processes of pytest, a fixture would run in each of them.
    out = tmp_path / "gpu.jsonl"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", "--out", str(out)],
        cwd=ROOT,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout[-3000:], done.stderr[-3000:])
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    kinds = {"right": "check", "fast": "speed", "worth": "number"}
    for section in SECTIONS:
        own = [row for row in rows if row["section"] == section.name]
        assert kinds[section.kind] in {row["kind"] for row in own}, section.name
    assert [row for row in rows if row["kind"] == "failure"] == []
    assert all(row["passed"] and row["value"] <= row["limit"] for row in rows if "limit" in row)
    assert_shares(rows)
    assert_printed(rows, done.stdout.splitlines())


def assert_shares(rows: list[dict[str, Any]]) -> None:
    """Speeds of work on the device have their share of the roofline."""
    shares = {(row["section"], row["name"]): row["share"] for row in rows if "share" in row}
    with_share = {"training", "extraction", "regression-speed", "search-speed"}
    assert {section for section, _ in shares} == with_share
    for model in ("aae", "vae", "bigan", "diffusion"):
        assert shares["training", f"bare loop, {model}"] > 0


def assert_printed(rows: list[dict[str, Any]], lines: list[str]) -> None:
    """Results are printed as they come, then in tables, and counted in the last line."""
    checks = sum(row["kind"] == "check" for row in rows)
    last = {"benchmark": "gpu", "device": "cpu", "checks": checks, "wrong": []}
    assert json.loads(lines[-1]) == last
    assert any(" embeddings " in line and line.endswith(": pass") for line in lines)
    for row in rows:
        if row["kind"] == "check":
            assert any(line.startswith(f"| {row['section']} | {row['name']} |") for line in lines)


# What is planned ----------------------------------------------------------------------------------


def test_the_plan_is_made_without_what_the_sections_need() -> None:
    absent = "import sys, runpy; sys.modules.update(dict.fromkeys(['torch', 'numpy', 'faiss']))"
    plan = "sys.argv = ['gpu', '--plan']; runpy.run_module('benchmarks.gpu', None, '__main__')"
    code = f"{absent}; {plan}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    kinds = {"right", "fast", "worth"}
    planned = [(cells[2], float(cells[3])) for cells in rows if kinds & set(cells[1:2])]
    assert planned == [(section.name, section.seconds) for section in SECTIONS]
    assert "pip download -d wheels faiss-gpu" in done.stdout
    assert "pip download --no-deps -d wheels pythae==0.1.2" in done.stdout


def test_the_full_form_is_planned_to_end_in_ten_minutes_what_is_to_be_right_first() -> None:
    assert sum(section.seconds for section in SECTIONS) <= 600
    order = ["right", "fast", "worth"]
    kinds = [order.index(section.kind) for section in SECTIONS]
    assert kinds == sorted(kinds)


def test_the_packages_are_those_of_the_project_and_the_optional_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("setuptools.setup", lambda **given: None)
    spec = importlib.util.spec_from_file_location("of_project", ROOT / "setup.py")
    assert spec
    assert spec.loader
    project = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(project)
    needed = {text.partition(">=")[0] for text in project.BASE + project.IMAGES}
    assert {package.names[0] for package in packages.PACKAGES if not package.without} == (
        needed - {"Jinja2", "matplotlib"}  # of reports
    )


# Running ------------------------------------------------------------------------------------------


def good(form: Form) -> Iterator[Row]:
    yield check("value", 1, 2)


def failing(form: Form) -> Iterator[Row]:
    yield check("before", 1, 2)
    raise ValueError("no\nluck")


def dying(form: Form) -> Iterator[Row]:
    yield check("before", 1, 2)
    os.kill(os.getpid(), signal.SIGKILL)


def leaving(form: Form) -> Iterator[Row]:
    os._exit(3)
    yield check("never", 1, 2)


def endless(form: Form) -> Iterator[Row]:
    started = subprocess.Popen(["sleep", "1000"])
    yield number("process", started.pid)
    time.sleep(1000)


def measuring(form: Form) -> Iterator[Row]:
    yield speed("float32", 7.0, "operations/s", None)


def told(form: Form) -> Iterator[Row]:
    yield number("float32", form.ceilings["float32"])


@dataclass(frozen=True)
class Made(Section):
    """A section whose place is a function of this file."""

    def work(self) -> Work:
        function: Work = globals()[self.place]
        return function


def made(place: str, *, name: str = "", seconds: float = 1, kind: Any = "fast") -> Made:
    return Made(name or place, kind, seconds, seconds, place, "")


def test_what_is_imported_once_for_all_sections_does_not_look_for_a_gpu() -> None:
    # After that, no process that is forked could use one.
    modules = ", ".join(section.module for section in SECTIONS)
    lookers = ["torch._dynamo", "torch._inductor", "triton", "faiss", "transformers"]
    code = (
        f"import sys, {modules}; import torch; "
        f"print(torch.cuda.is_initialized(), sorted(set({lookers}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False []\n"


@pytest.fixture
def ran() -> Callable[..., list[tuple[str, Row]]]:
    """Run sections in a form within so many seconds, and return their rows."""
    import_once([__name__])

    def run_all(
        sections: Sequence[Section], form: Form = SMALL, seconds: float = 120
    ) -> list[tuple[str, Row]]:
        return [(section.name, row) for section, row in run(sections, form, Clock.of(seconds))]

    return run_all


def test_a_section_that_fails_or_dies_is_recorded_and_the_next_one_goes_on(
    ran: Callable[..., list[tuple[str, Row]]],
) -> None:
    rows = ran([made(name) for name in ("failing", "dying", "leaving", "good")])
    before = check("before", 1, 2)
    [(_, first), (_, error), (_, second), (_, killed), (_, left), (last, passed)] = rows
    assert first == second == before
    assert (error.kind, error.name) == ("failure", WHOLE)
    assert error.text.startswith("ValueError: no (test_gpu.py:")
    assert killed == failure(WHOLE, "its process died (SIGKILL)")
    assert left == failure(WHOLE, "its process died (exit status 3)")
    assert (last, passed) == ("good", check("value", 1, 2))


def test_a_section_is_stopped_in_time_with_all_that_it_has_started(
    ran: Callable[..., list[tuple[str, Row]]],
) -> None:
    form = Form("cpu", True, 0)  # full: three times the estimate, not all that is left
    rows = ran([made("endless", seconds=1), made("good")], form)
    [(_, started), (_, stopped), (last, _)] = rows
    assert stopped == failure(WHOLE, "stopped after 3 s")
    assert last == "good"
    assert not Path(f"/proc/{started.value:.0f}").exists()


def test_a_section_that_would_not_end_in_time_is_skipped_and_named(
    ran: Callable[..., list[tuple[str, Row]]],
) -> None:
    rows = ran([made("endless", seconds=100), made("good")], seconds=60)
    why = "takes about 100 s, and 60 s are left"
    assert rows == [("endless", skipped(WHOLE, why)), ("good", check("value", 1, 2))]


def test_what_the_device_reaches_is_told_to_the_sections_after(
    ran: Callable[..., list[tuple[str, Row]]],
) -> None:
    rows = ran([made("measuring", name="ceilings"), made("told")])
    assert rows[-1] == ("told", number("float32", 7))


# Results ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "passed"), [(1.0, True), (2.0, True), (2.1, False), (float("nan"), False)]
)
def test_a_check_passes_up_to_its_limit(value: float, passed: bool) -> None:
    row = check("error", value, 2, "of the length")
    assert row.passed is passed
    assert row.line().endswith(" of the length (limit 2): " + ("pass" if passed else "FAIL"))
    assert json.loads(json.dumps(row.facts(), allow_nan=False))["passed"] is passed
    assert ("**FAIL**" in tables([{"section": "x", **row.facts()}])) is not passed


def test_only_what_is_to_be_right_decides_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = command.Record(None)
    for section, row in (
        ("training", failure("pythae", "is slow")),
        ("search", skipped("FAISS", "is not there")),
        ("search", check("distances", 1, 2)),
    ):
        record.add(section, row)
    assert record.wrong() == []
    record.add("search", check("neighbours", 3, 2))
    record.add("resume", failure(WHOLE, "stopped"))
    assert record.wrong() == ["search: neighbours", "resume: the section"]


def test_what_fails_with_one_name_does_not_end_the_others() -> None:
    def work(name: str) -> Iterator[Row]:
        yield number(name, 1)
        if name == "second":
            raise RuntimeError("CUDA error")

    rows = list(each(["first", "second", "third"], work))
    assert [(row.kind, row.name) for row in rows] == [
        ("number", "first"),
        ("number", "second"),
        ("failure", "second"),
        ("number", "third"),
    ]
    assert rows[2].text.startswith("RuntimeError: CUDA error (test_gpu.py:")


# What the checks see ------------------------------------------------------------------------------


def test_the_error_of_vectors_is_that_of_the_worst_as_a_share_of_its_length() -> None:
    expected = np.array([[3, 4], [0, 0.1], [100, 0]], np.float32)
    found = expected + np.array([[0, 0], [0, 0.001], [0.5, 0]], np.float32)
    assert largest_error(found, expected) == pytest.approx(0.01, rel=1e-4)


def test_numbers_that_are_not_finite_are_counted() -> None:
    values = [torch.tensor([1.0, float("nan")]), torch.tensor(float("inf")), torch.tensor([3])]
    assert not_finite(values) == 2


@dataclass
class Answering:
    """An engine with the rows that it answers."""

    space: Space
    rows: list[list[int]]

    def search(self, vectors: Any, k: int) -> Hits:
        every = distances(self.space.metric, vectors, VECTORS)
        rows = np.array(self.rows)
        return Hits(np.take_along_axis(every, rows, axis=1).astype(np.float32), rows)


VECTORS = np.array([[1, 0], [1, 0], [0, 1], [-1, 0.1]], np.float32)
ASKED = np.array([[1, 0.2]], np.float32)


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        ([0, 1], set()),
        ([1, 0], set()),  # equally far
        ([0, 2], {"neighbours", "distances"}),
        ([0, 0], {"found twice"}),
    ],
)
@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_neighbours_are_right_but_for_ties(metric: Any, rows: list[int], wrong: set[str]) -> None:
    known = Known.of(metric, ASKED, VECTORS, 2)
    engine: Any = Answering(known.space, [rows])
    found = list(compared("engine", engine, ASKED, known))
    assert {row.name.removeprefix("engine, ") for row in found if row.passed is False} == wrong


def test_a_training_that_ends_elsewhere_is_seen() -> None:
    pixels = noise(16, 16)
    first, second = (new_trainer("aae", pixels, SMALL) for _ in range(2))
    assert different(first, second) == 0
    second.train_step()
    assert different(first, second) > 100


# The roofline -------------------------------------------------------------------------------------

CEILINGS = {"float32": 1e6, "bfloat16": 1e7, "bandwidth": 1e5}


def test_a_matrix_product_takes_the_time_of_its_operations_or_of_its_bytes() -> None:
    least = LeastTime(CEILINGS, "cpu")
    with least:
        torch.ones(20, 300) @ torch.ones(300, 10)
    ones = 4 * (20 * 300 + 300 * 10)  # bytes that are written first
    moved = 4 * (20 * 300 + 300 * 10 + 20 * 10)
    assert least.operations == 2 * 20 * 300 * 10
    assert least.bytes == ones + moved
    assert least.seconds == pytest.approx((ones + moved) / 1e5)  # more than 0.12 s of operations
    fast = LeastTime(CEILINGS | {"bandwidth": 1e12}, "cpu")
    a, b = torch.ones(20, 300), torch.ones(300, 10)
    with fast:
        _ = a @ b
        _ = a.bfloat16() @ b.bfloat16()
    assert fast.seconds == pytest.approx(120_000 / 1e6 + 120_000 / 1e7, rel=1e-3)


def test_a_convolution_counts_forward_and_twice_as_much_backward() -> None:
    images = torch.ones(2, 3, 8, 8, requires_grad=True)
    layer = torch.nn.Conv2d(3, 5, 4, stride=2, padding=1, bias=False)
    least = LeastTime(CEILINGS, "cpu")
    with least:
        layer(images).sum().backward()
    assert least.operations == 3 * (2 * 2 * 5 * 4 * 4 * 3 * 4 * 4)


def test_views_reserved_memory_and_other_devices_take_no_time() -> None:
    values = torch.ones(4, 6)
    least = LeastTime(CEILINGS, "cpu")
    with least:
        values.view(6, 4)[3:].T.detach()
        torch.empty(1000)
        values.expand(3, 4, 6)
        torch.ones(9, device="meta") + 1
    assert least.seconds == 0


def test_an_exact_search_reads_its_vectors_once() -> None:
    form = Form("cpu", False, 0, CEILINGS)
    few, many = (least_seconds_of_search(queries, 1000, 64, form) for queries in (1, 100))
    assert few == pytest.approx(4 * 64 * 1001 / 1e5)
    assert many == pytest.approx(2 * 100 * 1000 * 64 / 1e6)
    assert least_seconds_of_search(1, 1000, 64, SMALL) is None
