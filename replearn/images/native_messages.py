"""What C libraries write on stderr, told apart by the file that they were decoding.

libjpeg, libpng and libtiff know no other place for their complaints than the stderr of the
process, where nobody can tell which of many files is meant.  So stderr leads into a file while
something is decoded.  Where that grows, the same is decoded once more, alone, and what is written
then is about it.  What others wrote meanwhile is passed on afterwards: nothing is lost.
"""

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Condition
from typing import TypeVar

Result = TypeVar("Result")

_STDERR = 2
_MOST = 1 << 16  # bytes of messages that are read


def listen(work: Callable[[], Result]) -> tuple[Result, str]:
    """Call `work`, perhaps twice; return what it returns, and what C libraries wrote meanwhile.

    Raises:
        Exception: whatever `work` raises; what was written then is dropped.
    """
    _capture.enter()
    try:
        said = ""
        before = _capture.size
        result, error = _attempt(work)
        if _capture.measure() > before:
            with _capture.alone():
                before = _capture.measure()
                result, error = _attempt(work)
                said = _capture.read(before)
    finally:
        _capture.leave()
    if error is not None:
        raise error
    return result, said  # type: ignore[return-value]


@contextmanager
def listening() -> Iterator[None]:
    """Keep stderr caught between many calls of `listen`, which then take less time."""
    _capture.enter(is_working=False)
    try:
        yield
    finally:
        _capture.leave(is_working=False)


def _attempt(work: Callable[[], Result]) -> tuple[Result | None, Exception | None]:
    try:
        return work(), None
    except Exception as error:
        return None, error


class _Capture:
    """The stderr of the process, which leads into a file while anybody is inside.

    Attributes:
        size: bytes that were written when it was last measured.
    """

    def __init__(self) -> None:
        self.size = 0
        self._changed = Condition()
        self._inside = 0  # those who entered
        self._working = 0  # those of them who decode, unless one is alone
        self._is_alone = False
        self._waiting = 0  # to be alone
        self._stderr: int | None = None  # where it really leads, while anybody is inside
        self._file = self._owner = -1  # its descriptor and process
        self._known: set[bytes] = set()  # lines whose cause is known

    def enter(self, *, is_working: bool = True) -> None:
        """Come inside, beside others; wait while one of them is alone."""
        with self._changed:
            while self._is_alone:
                self._changed.wait()
            if not self._inside:
                self._redirect()
            self._inside += 1
            self._working += is_working

    def leave(self, *, is_working: bool = True) -> None:
        """Go; whoever is the last gives stderr back, and passes on what nobody inside wrote."""
        with self._changed:
            self._working -= is_working
            self._inside -= 1
            if not self._inside:
                self._restore()
            if self._waiting:
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let one who is inside work while no other does."""
        with self._changed:
            self._working -= 1
            self._waiting += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._working and not self._is_alone)
            self._waiting -= 1
            self._is_alone = True
        try:
            yield
        finally:
            with self._changed:
                self._is_alone = False
                self._working += 1
                self._changed.notify_all()

    def measure(self) -> int:
        """Return how many bytes were written by now."""
        if self._stderr is not None:
            self.size = os.fstat(self._file).st_size
        return self.size

    def read(self, start: int) -> str:
        """Return what was written from there on, in one line; its cause is known then."""
        if self._stderr is None:
            return ""
        written = os.pread(self._file, _MOST, start)
        self._known.update(map(_without_numbers, written.splitlines()))
        return " ".join(written.decode("utf-8", "replace").split())

    def _redirect(self) -> None:
        with suppress(OSError):  # without stderr nothing is written, without a disk nothing caught
            if self._owner != os.getpid():  # the file of a parent is its own
                with tempfile.TemporaryFile() as file:
                    self._file, self._owner = os.dup(file.fileno()), os.getpid()
            real = os.dup(_STDERR)
            os.dup2(self._file, _STDERR)
            self._stderr = real

    def _restore(self) -> None:
        if self._stderr is None:
            return
        size, self.size = self.measure(), 0
        os.dup2(self._stderr, _STDERR)
        os.close(self._stderr)
        self._stderr = None
        if size:
            written = os.pread(self._file, size, 0)
            os.ftruncate(self._file, 0)
            os.lseek(self._file, 0, os.SEEK_SET)
            others = [
                line
                for line in written.splitlines(keepends=True)
                if _without_numbers(line.rstrip()) not in self._known
            ]
            with suppress(OSError):
                os.write(_STDERR, b"".join(others))
        self._known.clear()


def _without_numbers(line: bytes) -> bytes:
    """Return what is the same when the same is said again, at another time or place."""
    return re.sub(rb"[0-9.]+", b"", line)


_capture = _Capture()
