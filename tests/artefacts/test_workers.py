"""Work of other processes and threads, and what becomes of it when a run is stopped."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from replearn.artefacts.workers import cores, prefetch

ROOT = Path(__file__).parents[2]

# Each share says that it began, and is saved when it is stopped.
WORK = """
import signal, time

def work(path):
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    path.touch()
    try:
        time.sleep(60)
    finally:
        path.with_suffix(".saved").touch()
"""

# As people write it: without `if __name__ == "__main__":`.
RUN = """
import signal, sys
from pathlib import Path
from work import work
from replearn.artefacts.workers import run

print("the script runs")
for number in (signal.SIGTERM, signal.SIGINT):  # which a shell may have ignored
    signal.signal(number, signal.default_int_handler)
list(run(work, [Path(sys.argv[1]) / str(share) for share in range(9)], jobs=2))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_stops_its_workers_and_begins_nothing_more(
    number: signal.Signals, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(RUN, encoding="utf-8")
    (tmp_path / "work.py").write_text(WORK, encoding="utf-8")
    made = tmp_path / "made"
    made.mkdir()
    with subprocess.Popen(
        [sys.executable, str(script), str(made)], cwd=ROOT, stderr=subprocess.PIPE
    ) as child:
        deadline = time.monotonic() + 60
        while len(list(made.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        child.send_signal(number)  # to this process alone
        child.communicate(timeout=30)
    assert child.returncode != 0
    assert sorted(path.name for path in made.iterdir()) == ["0", "0.saved", "1", "1.saved"]


def test_workers_do_not_run_the_script_again_that_starts_them(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(RUN.replace("import work\n", "import tell as work\n"), encoding="utf-8")
    (tmp_path / "work.py").write_text("def tell(path):\n    path.touch()\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "the script runs\n"
    assert done.stderr == ""
    assert {str(share) for share in range(9)} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.filterwarnings("ignore:Failed to inspect CPU affinity")
def test_cores_are_counted_where_the_system_tells_no_affinity(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert cores() >= 1


def test_no_more_cores_are_counted_than_this_process_may_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert cores() <= len(os.sched_getaffinity(0))
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")  # as a container's quota would
    assert cores() == 1


def test_items_are_made_ahead_in_another_thread_and_come_in_order() -> None:
    makers: list[threading.Thread] = []

    def items() -> Iterator[int]:
        for number in range(5):
            makers.append(threading.current_thread())
            yield number

    with prefetch(items(), waiting=3) as coming:
        assert next(coming) == 0
        deadline = time.monotonic() + 30
        while len(makers) < 3 and time.monotonic() < deadline:
            time.sleep(0.001)
        assert len(makers) == 3
        assert list(coming) == [1, 2, 3, 4]
    assert len(set(makers)) == 1
    assert makers[0] is not threading.current_thread()


def test_what_was_made_ahead_ends_with_the_block_that_wanted_it() -> None:
    ended: list[threading.Thread] = []

    def items() -> Iterator[int]:
        try:
            yield from range(9)
        finally:
            ended.append(threading.current_thread())

    threads = threading.active_count()
    with pytest.raises(KeyError), prefetch(items()) as coming:
        raise KeyError(next(coming))
    assert ended == [threading.current_thread()]
    assert threading.active_count() == threads


def test_what_fails_ahead_fails_where_it_is_wanted() -> None:
    with prefetch(1 / number for number in (1, 0)) as coming:
        assert next(coming) == 1
        with pytest.raises(ZeroDivisionError):
            next(coming)
