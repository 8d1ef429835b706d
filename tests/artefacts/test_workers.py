"""Shares of work in other processes, and what becomes of them when somebody stops the run."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from replearn.artefacts.workers import cores

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
