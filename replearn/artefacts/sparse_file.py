"""An HDF5 file in memory with holes where its rows go, so that HDF5 itself never writes to a disk.

Where a disk fills up, HDF5 leaves a file half open and ends the process with a segmentation fault
(seen in 2.0).  What it writes beside the rows is small, and goes to the disk by ordinary means.
"""

import io
from typing import IO


class SparseFile(io.RawIOBase):
    """A file object for h5py that keeps what is written, and nothing for what is not."""

    def __init__(self) -> None:
        self._pieces: list[tuple[int, bytes]] = []  # (offset, content) in the order of writing
        self._position = 0
        self._length = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._length}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """Return the place."""
        return self._position

    def truncate(self, size: int | None = None) -> int:
        """Give the file this length."""
        self._length = self._position if size is None else size
        return self._length

    def write(self, content: bytes) -> int:  # type: ignore[override]
        """Keep what is written here."""
        piece = bytes(content)
        self._pieces.append((self._position, piece))
        self._position += len(piece)
        self._length = max(self._length, self._position)
        return len(piece)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read back what was written; a hole reads as zeros."""
        start, stop = self._position, min(self._position + len(buffer), self._length)
        buffer[:] = bytes(len(buffer))
        for offset, piece in self._pieces:
            first, last = max(start, offset), min(stop, offset + len(piece))
            if first < last:
                buffer[first - start : last - start] = piece[first - offset : last - offset]
        self._position = max(start, stop)
        return max(0, stop - start)

    def save(self, out: IO[bytes]) -> None:
        """Write all of it to a file on a disk; the holes stay holes."""
        for offset, piece in self._pieces:
            out.seek(offset)
            out.write(piece)
        out.truncate(self._length)
