"""Locks on files and folders: held by one process until it closes them or ends.

Some file systems have no locks (Lustre without `flock`, NFS without its daemon), nor has Windows
those of POSIX.  There nothing is locked, and a warning says so once.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from replearn.console import warn

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}


def lock(handle: int, *, shared: bool = False, wait: bool = False) -> bool | None:
    """Lock an open file until it is closed.

    Args:
        handle: the descriptor of the open file or folder.
        shared: others may hold the lock too, if they share it.
        wait: until whoever holds it lets go.

    Returns:
        Whether this process holds the lock now; None where files cannot be locked at all.
    """
    if fcntl is None:
        _warn_once()
        return None
    how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    try:
        fcntl.flock(handle, how)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        _warn_once()
        return None
    return True


@cache
def _warn_once() -> None:
    warn("files cannot be locked here; let no two commands write the same output at a time")


@contextmanager
def locked_folder(folder: Path, *, shared: bool = False) -> Iterator[bool]:
    """Yield whether this process holds the lock of a folder, which it does until the end.

    Where folders cannot be locked the answer is no: another process may be using it.
    """
    if os.name == "nt":  # a folder cannot be opened there
        yield False
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        yield lock(handle, shared=shared) is True
    finally:
        os.close(handle)


def is_at(handle: int, path: Path) -> bool:
    """Tell whether the file that is open is the one of this name now."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
