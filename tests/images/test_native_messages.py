"""What C libraries write on stderr is told apart by the file, and nothing of others is lost."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from replearn.images.native_messages import listen, listening


def complaint(text: str) -> int:
    """Do as a C library does."""
    os.write(2, f"{text}\n".encode())
    return len(text)


def test_what_is_written_meanwhile_is_told_and_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    assert listen(lambda: complaint("libfoo: bad\nat byte 7")) == (21, "libfoo: bad at byte 7")
    assert listen(lambda: 5) == (5, "")
    assert capfd.readouterr().err == ""
    complaint("afterwards")
    assert capfd.readouterr().err == "afterwards\n"


def test_what_is_written_by_work_that_fails_is_dropped(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        complaint("libfoo: bad")
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        listen(fail)
    assert capfd.readouterr().err == ""


def test_threads_hear_only_what_their_own_work_writes(capfd: pytest.CaptureFixture[str]) -> None:
    together = Barrier(8, timeout=20)
    met: set[int] = set()

    def work(number: int) -> int:
        if number not in met:  # the first time, all write at once
            met.add(number)
            together.wait()
        return complaint(f"number {number}") if number % 2 else 0

    with ThreadPoolExecutor(8) as pool, listening():
        heard = list(pool.map(lambda number: listen(lambda: work(number))[1], range(8)))
    assert heard == [f"number {number}" if number % 2 else "" for number in range(8)]
    assert capfd.readouterr().err == ""


def test_what_others_write_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    with listening():
        complaint("of somebody else")
        assert listen(lambda: complaint("ours"))[1] == "ours"
    assert capfd.readouterr().err == "of somebody else\n"


def test_where_there_is_no_stderr_work_is_done_all_the_same() -> None:
    code = (
        "import os; os.close(2); from replearn.images.native_messages import listen; "
        "print(listen(lambda: 5))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "(5, '')\n"
