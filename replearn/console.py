"""Messages of the library to the person at the terminal; only commands show them.

The library prints nothing.  It logs progress to loggers below `replearn`, at the level INFO, it
warns by `warn`, and its progress bars are switched off.  Inside `shown` all of that is on stderr;
stdout belongs to results.
"""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from replearn.errors import ReplearnWarning

if TYPE_CHECKING:
    from tqdm import tqdm

Share = TypeVar("Share")
Result = TypeVar("Result")

_logger = logging.getLogger("replearn")
_logger.addHandler(logging.NullHandler())  # what to do with the lines is the program's to say
_is_shown = False


def say(message: str) -> None:
    """Log a line that a stage has for its user; modules of the library have their own loggers."""
    _logger.info(message)


def warn(message: str) -> None:
    """Warn of what the user should know but that stops nothing, where the library was called."""
    warnings.warn(message, ReplearnWarning, stacklevel=_level_of_caller())


def _level_of_caller() -> int:
    """Return the `stacklevel`, seen from the caller of this, of who called the library."""
    frame: FrameType | None = sys._getframe(1)
    level = found = 1
    while frame:
        level += 1
        # The last one that is found counts: `contextlib` may lie between two of the library.
        if f"{frame.f_globals.get('__name__')}.".startswith("replearn."):
            found = level
        frame = frame.f_back
    return found


def print_text(text: str) -> None:
    """Write a result to stdout, as UTF-8 whatever the terminal has."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def is_stdout(found: os.stat_result) -> bool:
    """Tell whether this is the file or the pipe that stdout goes to."""
    try:
        return os.path.samestat(found, os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError, AttributeError):  # stdout is closed, or no file
        return False


def progress(items: Iterable[Any] | None = None, **options: Any) -> "tqdm[Any]":
    """Return a progress bar, which shows itself on a terminal that `shown` has switched on.

    Args:
        items: to go through, if the bar is not updated by hand.
        options: of `tqdm`, as `total` and `unit`.
    """
    from tqdm import tqdm  # not before there is something to go through

    # None: only where stderr is a terminal.
    return tqdm(items, delay=1, disable=None if _is_shown else True, **options)


@contextmanager
def shown() -> Iterator[None]:
    """Show on stderr, as the command does: progress by lines and bars, and warnings as lines.

    Every warning is shown, each time that it is given, without the place in the code; but not what
    decoders think of a file that they do not name: what is wrong with it becomes the reason why it
    was left out.
    """
    global _is_shown
    if _is_shown:
        yield
        return
    handler, level, propagated = logging.StreamHandler(), _logger.level, _logger.propagate
    with warnings.catch_warnings():
        warnings.filterwarnings("always", category=ReplearnWarning)
        warnings.filterwarnings("ignore", module="PIL|pydicom|tifffile")
        warnings.showwarning = _show
        _logger.addHandler(handler)
        _logger.setLevel(logging.INFO)
        _logger.propagate = False  # other libraries may set up a handler that shows it once more
        _is_shown = True
        try:
            yield
        finally:
            _is_shown = False
            _logger.propagate = propagated
            _logger.setLevel(level)
            _logger.removeHandler(handler)


def _show(message: Warning | str, *_: Any, **__: Any) -> None:
    text = str(message)
    if not isinstance(message, ReplearnWarning):  # others may use several lines
        text = " ".join(text.split())
    print(f"warning: {text}", file=sys.stderr)


def as_shown_here(task: Callable[[Share], Result]) -> Callable[[Share], Result]:
    """Return the task such that in any process it shows what it would show in this one."""
    return partial(_call_shown, task) if _is_shown else task


def _call_shown(task: Callable[[Share], Result], share: Share) -> Result:
    with shown():
        return task(share)
