"""Ctrl-C and SIGTERM: noticed between two steps, or one like the other."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def noticed_interrupts() -> Iterator[Callable[[], bool]]:
    """Yield what tells whether Ctrl-C or SIGTERM came, so that no step is left half done."""
    received: list[int] = []
    try:
        before = {n: signal.signal(n, lambda number, _: received.append(number)) for n in _SIGNALS}
    except ValueError:  # not the main thread: whoever started it handles signals
        before = {}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def interrupt_on_sigterm() -> None:
    """Let SIGTERM, which stops services, work like Ctrl-C, so that no files are left behind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
