"""Time and memory of a piece of work: seconds, and MiB of 2^20 bytes."""

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

MIB = 2**20  # bytes


@dataclass(frozen=True)
class Duration:
    """How long something took.

    Attributes:
        seconds: that passed.
        processor: seconds of CPU time, over all threads of this process.
    """

    seconds: float
    processor: float


def timed(work: Callable[[], Result]) -> tuple[Result, Duration]:
    """Return what a call returns, and how long it took."""
    start, processor = time.perf_counter(), time.process_time()
    result = work()
    return result, Duration(time.perf_counter() - start, time.process_time() - processor)


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Return median, least and most of the ratios of the rounds of two measurements."""
    each = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return {
        "ratio": round(statistics.median(each), 3),
        "least": round(min(each), 3),
        "most": round(max(each), 3),
    }


def peak_memory() -> float:
    """Return the largest resident memory that this process has had so far, in MiB."""
    # Not by getrusage, which counts the process that started this one as well.
    return memory(os.getpid(), "VmHWM")


def memory(process: int, kind: str = "RssAnon") -> float:
    """Return the resident memory of a process, in MiB.

    Args:
        process: its id.
        kind: the line of /proc/PID/status: `RssAnon` is the process's own memory, `VmRSS` has the
            pages of the files that it maps too, and `VmHWM` is the most that this has been.
    """
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return next(
        int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(f"{kind}:")
    )


@contextmanager
def own_memory_watched() -> Iterator[Callable[[], float]]:
    """Watch this process's own memory; give a function that returns the peak so far, in MiB."""
    peak, stop = [memory(os.getpid())], threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            peak[0] = max(peak[0], memory(os.getpid()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield lambda: peak[0]
    finally:
        stop.set()
        watcher.join()
