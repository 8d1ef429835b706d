"""Searching for many threads: what waits at the same time is searched together.

An exact search reads all vectors from memory, for one question or for many.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from replearn.engines import Engine, Hits, Space, Vectors
from replearn.errors import UsageError

MOST = 16  # questions at a time; FAISS rounds 20 vectors and more otherwise than one


@dataclass(frozen=True, eq=False)
class _Question:
    vectors: Vectors
    k: int
    answer: "Future[Hits]" = field(default_factory=Future)


class Together:
    """An engine that threads may ask at the same time; it answers as the engine inside does."""

    kind: ClassVar[str] = "together"

    def __init__(self, engine: Engine) -> None:
        """Search in this engine."""
        self.engine = engine
        self._waiting: deque[_Question] = deque()
        self._turn = Lock()

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
        self._waiting.append(question)
        with self._turn:  # who has it answers for those who came while it was another's
            while not question.answer.done():
                count = min(len(self._waiting), MOST)
                self._answer([self._waiting.popleft() for _ in range(count)])
        return question.answer.result()

    def _answer(self, questions: Sequence[_Question]) -> None:
        try:
            vectors = np.concatenate([question.vectors for question in questions])
            hits = self.engine.search(vectors, max(question.k for question in questions))
        except Exception as error:  # told to each who asked
            for question in questions:
                question.answer.set_exception(error)
            return
        start = 0
        for question in questions:
            own = slice(start, start + len(question.vectors)), slice(question.k)
            question.answer.set_result(Hits(hits.distances[own], hits.rows[own]))
            start += len(question.vectors)

    def vectors(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """Return indexed vectors [M, D] as far as they are kept."""
        with self._turn:  # FAISS reads out of lists by a map that all would share
            return self.engine.vectors(rows)

    def add(self, vectors: Vectors) -> None:
        """Refuse: what threads share does not change.

        Raises:
            UsageError: always.
        """
        raise UsageError("an index that is shared takes no vectors; change it before")

    def remove(self, rows: NDArray[np.int64]) -> None:
        """Refuse: what threads share does not change.

        Raises:
            UsageError: always.
        """
        raise UsageError("an index that is shared gives no vectors back; change it before")

    def save(self, folder: Path) -> dict[str, Any]:
        """Refuse: what it shares is saved, not the sharing.

        Raises:
            UsageError: always.
        """
        raise UsageError("an index that is shared is not saved; save it before")
