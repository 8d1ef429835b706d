"""Many small objects made at once: the collector of cycles waits until they are there.

It would look through all objects made so far again and again, which for the rows of 100,000 images
takes about as long as to make them; rows hold no cycles.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep the collector of cycles from running inside; also usable as a decorator."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()
