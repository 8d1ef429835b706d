"""Runs sections one after the other, each in a process of its own, within the time.

An error of a GPU spoils every later call of its process, and a lost process takes no other along.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import threadpoolctl

from benchmarks.gpu.form import Form
from benchmarks.gpu.rows import Row, failure, skipped
from benchmarks.gpu.sections import Section, Work

WHOLE = "the section"  # as the name of a row
_PATIENCE = 3  # times its estimate is the limit of a section
_DONE = "done"  # what a process sends last
_FAREWELL = 5  # seconds in which a process that is told to end may do so by itself

# Forked from a server that has imported everything and computed nothing: a fork of a process that
# has used a GPU could not use it.
_FORKING = multiprocessing.get_context("forkserver")


@dataclass(frozen=True)
class Clock:
    """The time that there is for all sections, counted from the making of this."""

    end: float

    @classmethod
    def of(cls, seconds: float) -> "Clock":
        """Start a clock with so many seconds."""
        return cls(time.monotonic() + seconds)

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.end - time.monotonic()


def import_once(modules: Sequence[str]) -> None:
    """Let the process from which those of all sections are forked import these modules."""
    _FORKING.set_forkserver_preload(list(modules))


def run(sections: Sequence[Section], form: Form, clock: Clock) -> Iterator[tuple[Section, Row]]:
    """Yield what each section reports, as soon as it does.

    A section that is not estimated to end in time is skipped.  One that is not done when the time
    is up, or after three times its estimate on a GPU, is stopped, and so is what it has started.

    Args:
        sections: in their order.
        form: of all of them, `seconds` aside.
        clock: the time for all of them.
    """
    for section in sections:
        estimate, left = form.choose(section.seconds, section.small_seconds), clock.left
        if estimate > left:
            why = f"takes about {estimate:.0f} s, and {max(left, 0):.0f} s are left"
            yield section, skipped(WHOLE, why)
            continue
        # What is worth something goes as far as the time does, and the small form runs where others
        # may use the processor too.
        patient = section.kind == "worth" or not form.full
        limit = left if patient else min(left, _PATIENCE * estimate)
        for row in rows_of(section.work, replace(form, seconds=limit)):
            yield section, row
            if section.name == "ceilings" and row.kind == "speed" and row.value is not None:
                form = replace(form, ceilings={**form.ceilings, row.name: row.value})


def rows_of(find: Callable[[], Work], form: Form) -> Iterator[Row]:
    """Yield the rows of a section, made in a process of its own within `form.seconds`.

    Args:
        find: returns, in that process, the function that does the work.
        form: of the section.
    """
    here, there = _FORKING.Pipe(duplex=False)
    process = _FORKING.Process(target=_report, args=(there, find, form))
    process.start()
    there.close()
    end = time.monotonic() + form.seconds
    try:
        while wait([here, process.sentinel], max(0.0, end - time.monotonic())):
            row = _received(here)
            if row is None:
                break
            if row == _DONE:
                process.join(_FAREWELL)
                return
            yield row
        else:
            yield failure(WHOLE, f"stopped after {form.seconds:.0f} s")
            return
        process.join()
        yield failure(WHOLE, f"its process died ({_way_of(process.exitcode)})")
    finally:
        _end(process)
        here.close()


def _received(pipe: Connection) -> Any:
    """Return what was sent; None if nothing will come any more."""
    with suppress(EOFError):
        if pipe.poll():
            return pipe.recv()
    return None


def _report(pipe: Connection, find: Callable[[], Work], form: Form) -> None:
    os.setsid()  # so that it can be ended with all that it starts
    if not form.full:  # on tiny arrays a second thread is all waiting
        os.environ["OMP_NUM_THREADS"] = "1"  # of processes that it starts
        threadpoolctl.threadpool_limits(1)
    try:
        for row in find()(form):
            pipe.send(row)
    except Exception as error:
        pipe.send(failure(WHOLE, error))
    pipe.send(_DONE)


def _way_of(status: int | None) -> str:
    if status is not None and status < 0:
        return signal.Signals(-status).name
    return f"exit status {status}"


def _end(process: BaseProcess) -> None:
    """End a process and all that it has started, gently first: torchrun then ends its own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not _is_alive(process):
            break
        try:
            os.killpg(_group(process), number)
        except ProcessLookupError:  # it has just begun, and has no group yet
            process.kill()
        deadline = time.monotonic() + _FAREWELL
        while _is_alive(process) and time.monotonic() < deadline:
            time.sleep(0.05)
    process.join()


def _is_alive(process: BaseProcess) -> bool:
    """Tell whether the process or any of its group is left."""
    if process.is_alive():
        return True
    try:
        os.killpg(_group(process), 0)
    except ProcessLookupError:
        return False
    return True


def _group(process: BaseProcess) -> int:
    assert process.pid is not None, "it has been started"
    return process.pid
