"""Searching for many threads: together, each with its own answer."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from replearn.arrays import Vectors
from replearn.errors import UsageError
from replearn.neighbors.batching_engine import MAX_BATCH, BatchingEngine
from replearn.neighbors.build_index import index_vectors
from replearn.neighbors.engine import Hits
from replearn.neighbors.faiss_engine import FaissEngine

WIDTH = 8
RANDOM = np.random.default_rng(0)
VECTORS = RANDOM.standard_normal((500, WIDTH), np.float32)
ASKED = RANDOM.standard_normal((60, WIDTH), np.float32)


def inside() -> FaissEngine:
    engine = index_vectors([str(row) for row in range(len(VECTORS))], VECTORS).engine
    assert isinstance(engine, FaissEngine)
    return engine


class Slow(FaissEngine):
    """Its first search waits until it is let go; what it is asked for is noted."""

    def __init__(self, engine: FaissEngine) -> None:
        super().__init__(engine.space, engine.index)
        self.begun, self.go = Event(), Event()
        self.asked: list[int] = []

    def search(self, vectors: Vectors, k: int) -> Hits:
        self.asked.append(len(vectors))
        self.begun.set()
        assert self.go.wait(10)
        return super().search(vectors, k)


@pytest.mark.parametrize("threads", [1, 4, 32])
def test_each_thread_gets_the_answer_to_its_own_question(threads: int) -> None:
    engine = inside()
    shared = BatchingEngine(engine)

    def ask(number: int) -> bool:
        vectors, k = ASKED[number : number + 1 + number % 3], 1 + number % 7
        found, expected = shared.search(vectors, k), engine.search(vectors, k)
        return found.rows.tolist() == expected.rows.tolist() and np.allclose(
            found.distances, expected.distances, atol=1e-6
        )

    with ThreadPoolExecutor(threads) as pool:
        assert all(pool.map(ask, list(range(50)) * 4))


def test_what_waits_is_searched_together_but_not_too_much_at_a_time() -> None:
    slow = Slow(inside())
    shared = BatchingEngine(slow)
    with ThreadPoolExecutor(40) as pool:
        first = pool.submit(shared.search, ASKED[:1], 3)
        assert slow.begun.wait(10)
        others = [pool.submit(shared.search, ASKED[row : row + 1], 3) for row in range(1, 21)]
        while len(shared._waiting) < len(others):
            pass
        slow.go.set()
        assert [len(hits.result(10).rows) for hits in (first, *others)] == [1] * 21
    assert slow.asked == [1, MAX_BATCH, len(others) - MAX_BATCH]


def test_who_wants_more_neighbours_changes_nothing_for_others() -> None:
    slow = Slow(inside())
    shared = BatchingEngine(slow)
    with ThreadPoolExecutor(4) as pool:
        pool.submit(shared.search, ASKED[:1], 3)
        assert slow.begun.wait(10)
        for number, k in enumerate((3, 3, 50), 1):
            pool.submit(shared.search, ASKED[:1], k)
            while len(shared._waiting) < number:
                pass
        slow.go.set()
    assert slow.asked == [1, 2, 1]


def test_who_asks_is_told_what_went_wrong_and_others_go_on() -> None:
    class Broken(Slow):
        def search(self, vectors: Vectors, k: int) -> Hits:
            if k == 0:
                raise RuntimeError("no neighbours asked for")
            return FaissEngine.search(self, vectors, k)

    shared = BatchingEngine(Broken(inside()))
    with pytest.raises(RuntimeError, match="no neighbours asked for"):
        shared.search(ASKED[:1], 0)
    assert shared.search(ASKED[:1], 2).rows.shape == (1, 2)


def test_it_is_as_large_and_as_exact_as_what_is_inside() -> None:
    engine = inside()
    shared = BatchingEngine(engine)
    assert (len(shared), shared.exact, shared.space) == (len(engine), True, engine.space)
    np.testing.assert_array_equal(shared.vectors([3, 1]), engine.vectors([3, 1]))


def test_what_is_shared_does_not_change(tmp_path: Path) -> None:
    shared = BatchingEngine(inside())
    for change in (
        lambda: shared.add(VECTORS),
        lambda: shared.remove(np.array([0])),
        lambda: shared.save(tmp_path),
    ):
        with pytest.raises(UsageError, match="shared"):
            change()
