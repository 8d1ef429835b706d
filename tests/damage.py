"""What can happen to the files of an artefact, for tests of its refusal."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Harm = Callable[[Path], object]  # what is done to the folder of an artefact


def without_file(name: str) -> Harm:
    """Return what removes a file."""
    return lambda folder: (folder / name).unlink()


def cut(name: str, size: int) -> Harm:
    """Return what leaves the first bytes of a file; all but some, if `size` is negative."""
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def write(name: str, content: bytes) -> Harm:
    """Return what replaces the content of a file."""
    return lambda folder: (folder / name).write_bytes(content)


def change(name: str, /, **facts: Any) -> Harm:
    """Return what overwrites facts in a JSON file; `...` removes one."""

    def harm(folder: Path) -> None:
        path = folder / name
        changed = json.loads(path.read_text()) | facts
        path.write_text(json.dumps({k: v for k, v in changed.items() if v is not ...}))

    return harm
