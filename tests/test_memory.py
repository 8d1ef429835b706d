"""Memory is had and given back in a way that costs little."""

import gc
import subprocess
import sys

import pytest

from replearn.memory import no_garbage_collection

# As of a network's feature maps: many of 2 MB, all free before the next ones.
ROUNDS = """
import resource
import numpy as np
from replearn.memory import keep_freed_memory

def new_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    maps = [np.ones(2**18) for _ in range(64)]
    del maps
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

usual = [new_pages() for _ in range(4)]
keep_freed_memory()
kept = [new_pages() for _ in range(4)]
print(usual[-1], kept[-1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
def test_memory_that_was_freed_is_not_asked_for_anew() -> None:
    done = subprocess.run([sys.executable, "-c", ROUNDS], capture_output=True, check=True)
    usual, kept = map(int, done.stdout.split())
    assert usual > 10_000  # of 32,768, and if not there is nothing to keep
    assert kept < 100


@pytest.mark.parametrize("running", [True, False])
def test_the_collector_waits_and_then_is_as_before(running: bool) -> None:
    (gc.enable if running else gc.disable)()
    try:
        with no_garbage_collection():
            assert not gc.isenabled()
        assert gc.isenabled() is running
    finally:
        gc.enable()
