"""Long work cut into parts, so that a kill loses only the part being made.

Each finished part is a small `.npz` in a work folder.  A later run with the same plan finds the
parts there and makes only the missing ones; with another plan it starts anew.
"""

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from replearn.artefacts import publish, say, write_text

Part = dict[str, np.ndarray[Any, Any]]


def make_parts(
    folder: Path, plan: str, count: int, size: int, make: Callable[[int, int], Part]
) -> Iterator[Part]:
    """Yield the parts of `count` items in order, each made once and kept on disk.

    Args:
        folder: where the parts of this work lie, nothing else.
        plan: identity of what is being made; parts of another plan are thrown away.
        count: number of items.
        size: items in a part.
        make: returns the arrays of the items from start to stop.
    """
    _begin(folder, [plan, count, size])
    starts = range(0, count, size)
    kept = sum(_path(folder, start).exists() for start in starts)
    if kept:
        say(f"going on after {kept} of {len(starts)} parts that an earlier run finished")
    # A plain counter: tqdm shows a bar only on a terminal and only for work over a second.
    with tqdm(total=count, unit="image", delay=1, disable=None) as bar:
        for start in starts:
            stop = min(start + size, count)
            yield _load(_path(folder, start)) or _make(_path(folder, start), make, start, stop)
            bar.update(stop - start)


def read_parts(folder: Path) -> Iterator[Part]:
    """Yield the finished parts that `make_parts` left in this folder, in order."""
    for path in sorted(folder.glob("*[0-9].npz")):
        with np.load(path, allow_pickle=False) as arrays:
            yield dict(arrays)


def _begin(folder: Path, plan: list[Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "plan.json"
    if note.exists() and json.loads(note.read_text()) == plan:
        return
    for path in folder.iterdir():
        path.unlink()
    write_text(note, json.dumps(plan))


def _path(folder: Path, start: int) -> Path:
    return folder / f"{start:012d}.npz"


def _load(path: Path) -> Part | None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (FileNotFoundError, EOFError, zipfile.BadZipFile, ValueError):
        return None


def _make(path: Path, make: Callable[[int, int], Part], start: int, stop: int) -> Part:
    part = make(start, stop)
    temporary = path.with_suffix(".tmp.npz")
    np.savez(temporary, allow_pickle=False, **part)
    publish(temporary, path)
    return part
