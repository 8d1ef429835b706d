"""Tests work on tiny arrays, for which a second thread is all waiting."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# Before torch is imported, here and in the commands that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes says more about what else the machine does than about the code.
# The same examples each time: what passed once lands; `make test-all` looks for new ones.
settings.register_profile("same examples", deadline=None, derandomize=True)
settings.register_profile("new examples", deadline=None)
settings.load_profile("same examples")


@pytest.fixture
def lines(tmp_path: Path) -> Callable[..., Path]:
    """Write lines into a file of this name and return its path."""

    def write(name: str, *content: str) -> Path:
        path = tmp_path / name
        path.write_bytes("".join(f"{line}\n" for line in content).encode())
        return path

    return write
