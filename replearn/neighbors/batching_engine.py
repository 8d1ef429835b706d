"""Searching for many threads: what waits at the same time is searched together.

An exact search reads all vectors from memory, for one question or for many.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Lock
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from replearn.neighbors.engine import Engine, Hits, ReadOnlyEngine, Space, Vectors

MOST = 16  # questions at a time, that none waits long for those that came later


@dataclass(frozen=True, eq=False)
class _Question:
    vectors: Vectors
    k: int
    answer: "Future[Hits]" = field(default_factory=Future)


class BatchingEngine(ReadOnlyEngine):
    """An engine that threads may ask at the same time.

    It answers as the engine inside does, but for how FAISS rounds for one vector and for several.
    """

    kind: ClassVar[str] = "together"
    what: ClassVar[str] = "an index that is shared"
    remedy: ClassVar[str] = "change or save it before"

    def __init__(self, engine: Engine) -> None:
        """Search in this engine."""
        self.engine = engine
        self._waiting: deque[_Question] = deque()
        self._free = Condition()  # of a search; it guards what waits
        self._busy = False
        self._reading = Lock()

    @property
    def space(self) -> Space:
        """How the vectors are compared."""
        return self.engine.space

    @property
    def exact(self) -> bool:
        """Whether it always finds the nearest."""
        return self.engine.exact

    def __len__(self) -> int:
        return len(self.engine)

    def search(self, vectors: Vectors, k: int) -> Hits:
        """Return the k nearest of each vector [M, D]."""
        question = _Question(vectors, k)
        with self._free:
            self._waiting.append(question)
        while not question.answer.done():
            with self._free:
                self._free.wait_for(lambda: question.answer.done() or not self._busy)
                if question.answer.done():
                    break
                self._busy, some = True, self._next()
            try:
                self._answer(some)
            finally:
                with self._free:
                    self._busy = False
                    self._free.notify_all()
        return question.answer.result()

    def _next(self) -> list[_Question]:
        """Take questions that came first, as far as they want as many neighbours as the first."""
        some = [self._waiting.popleft()]
        while self._waiting and len(some) < MOST and self._waiting[0].k == some[0].k:
            some.append(self._waiting.popleft())
        return some

    def _answer(self, questions: Sequence[_Question]) -> None:
        """Search for them all; whatever goes wrong is told to each who asked."""
        try:
            vectors = np.concatenate([question.vectors for question in questions])
            hits = self.engine.search(vectors, questions[0].k)
        except BaseException as error:
            for question in questions:
                question.answer.set_exception(error)
            return
        start = 0
        for question in questions:
            own = slice(start, start + len(question.vectors))
            question.answer.set_result(Hits(hits.distances[own], hits.rows[own]))
            start += len(question.vectors)

    def vectors(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """Return indexed vectors [M, D] as far as they are kept."""
        with self._reading:  # FAISS reads out of lists by a map that all would share
            return self.engine.vectors(rows)
