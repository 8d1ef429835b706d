"""Lines for the person at the terminal, on stderr; stdout belongs to results."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def warn(message: str) -> None:
    """Print one line to stderr that the user should know but that stops nothing."""
    print(f"warning: {message}", file=sys.stderr)


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Print what libraries warn of as `warn` does, without the place in their code."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        warn(" ".join(str(message).split()))

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def say(message: str) -> None:
    """Print one line of progress to stderr; stdout belongs to results."""
    print(message, file=sys.stderr)
