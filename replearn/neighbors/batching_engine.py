"""An engine for many threads: requests that wait at the same time are searched in one batch.

An exact search reads all vectors from memory, for one query or for many.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Lock
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Vectors
from replearn.neighbors.engine import Engine, Hits, ReadOnlyEngine, Space

MAX_BATCH = 16  # requests at a time, so that none waits long for those that came later


@dataclass(frozen=True, eq=False)
class _Request:
    vectors: Vectors
    k: int
    hits: "Future[Hits]" = field(default_factory=Future)


class BatchingEngine(ReadOnlyEngine):
    """An engine that many threads may search at the same time.

    It finds what the engine inside finds, but for FAISS's rounding, which differs between one
    vector and several.
    """

    kind: ClassVar[str] = "batching"
    description: ClassVar[str] = "an index that is shared"
    remedy: ClassVar[str] = "change or save it before"

    def __init__(self, engine: Engine) -> None:
        """Search in this engine."""
        self.engine = engine
        self._waiting: deque[_Request] = deque()
        self._idle = Condition()  # that no search is running; it guards the two others
        self._busy = False
        self._reading = Lock()

    @property
    def space(self) -> Space:
        """The space in which the vectors are compared."""
        return self.engine.space

    @property
    def exact(self) -> bool:
        """True if the search always finds the nearest."""
        return self.engine.exact

    def __len__(self) -> int:
        return len(self.engine)

    def search(self, vectors: Vectors, k: int) -> Hits:
        """Return the k nearest of each vector [M, D]."""
        request = _Request(vectors, k)
        with self._idle:
            self._waiting.append(request)
        while not request.hits.done():
            with self._idle:
                self._idle.wait_for(lambda: request.hits.done() or not self._busy)
                if request.hits.done():
                    break
                self._busy, batch = True, self._next_batch()
            try:
                self._search_batch(batch)
            finally:
                with self._idle:
                    self._busy = False
                    self._idle.notify_all()
        return request.hits.result()

    def _next_batch(self) -> list[_Request]:
        """Take the oldest requests, as long as they want as many neighbours as the first."""
        batch = [self._waiting.popleft()]
        while self._waiting and len(batch) < MAX_BATCH and self._waiting[0].k == batch[0].k:
            batch.append(self._waiting.popleft())
        return batch

    def _search_batch(self, batch: Sequence[_Request]) -> None:
        """Search for all requests at once; an error is raised in the thread of each."""
        try:
            vectors = np.concatenate([request.vectors for request in batch])
            hits = self.engine.search(vectors, batch[0].k)
        except BaseException as error:
            for request in batch:
                request.hits.set_exception(error)
            return
        start = 0
        for request in batch:
            own = slice(start, start + len(request.vectors))
            request.hits.set_result(Hits(hits.distances[own], hits.rows[own]))
            start += len(request.vectors)

    def vectors(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """Return indexed vectors [M, D] as far as they are kept."""
        # FAISS reads from inverted lists by a direct map, which all threads would share.
        with self._reading:
            return self.engine.vectors(rows)
