"""Memory management where the usual way takes as long as the work itself."""

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT = 2**30  # bytes
_RETURNED = 2**27  # what takes more at once is given back as ever


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Keep the collector of cycles from running inside; also usable as a decorator.

    It would look through all objects made so far again and again, which for the rows of 100,000
    images takes about as long as to make them; rows hold no cycles.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, where the C library is glibc.

    It would give the feature maps of each batch back to the system, and the next batch would wait
    for as many new pages to be cleared: thousands in a step of a small network on a CPU.
    """
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if library and hasattr(library, "mallopt"):
        library.mallopt(_TRIM_THRESHOLD, _KEPT)
        library.mallopt(_MMAP_THRESHOLD, _RETURNED)
