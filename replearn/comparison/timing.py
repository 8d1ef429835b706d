"""Seconds that each step of a comparison took, kept beside what it made for later runs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from replearn.artefacts.files import read_json, write_json

_NAME = "seconds.json"


@contextmanager
def timing(folder: Path, step: str, artefact: Path) -> Iterator[None]:
    """Record how long a step takes, unless it leaves its artefact as it was.

    Args:
        folder: where the seconds are kept.
        step: name of the step.
        artefact: the file that the step writes; if it was there before and stays, so do the
            seconds that were recorded for it.
    """
    before, start = _modified(artefact), time.perf_counter()
    yield
    if _modified(artefact) != before:
        seconds = {step: round(time.perf_counter() - start, 2)}
        write_json(folder / _NAME, _read(folder) | seconds)


def recorded_seconds(folder: Path, *steps: str) -> float:
    """Return the seconds of these steps together; a step without a record counts 0."""
    seconds = _read(folder)
    return sum(seconds.get(step, 0.0) for step in steps)


def _read(folder: Path) -> dict[str, float]:
    path = folder / _NAME
    seconds: dict[str, float] = read_json(path) if path.exists() else {}
    return seconds


def _modified(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.exists() else None
