"""Sharded search: one index in parts by row, built and searched as separate tasks.

Each part is a folder of its own that its task opens, so that parts may be built and searched by
other processes, or by the machines of a cluster that share a file system (joblib's backends).
The hits of all parts are merged.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, ClassVar

import joblib
import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Vectors
from replearn.artefacts.disk_rows import select_rows
from replearn.errors import UsageError
from replearn.neighbors import faiss_engine
from replearn.neighbors.engine import Hits, Metric, ReadOnlyEngine, Space, even_parts, merge
from replearn.neighbors.faiss_engine import FaissEngine
from replearn.neighbors.recall import Recall, tune_recall

# The parts that this process has opened, for every search takes all.  FAISS keeps no file open for
# them, and maps what it can; a part that was replaced has other facts.
_opened: dict[tuple[Path, str, Metric, bytes], FaissEngine] = {}


@dataclass
class ShardedEngine(ReadOnlyEngine):
    """Rows in several folders.

    Attributes:
        space: in which the vectors are compared.
        folder: that the parts lie in, `shard-0000` and so on.
        parts: the facts of each part's engine, and under `count` its number of rows.
        jobs: tasks at a time, as joblib understands it.
    """

    space: Space
    folder: Path
    parts: list[dict[str, Any]]
    jobs: int | None = None
    kind: ClassVar[str] = "shards"
    description: ClassVar[str] = "an index of shards"
    remedy: ClassVar[str] = "index all images anew"

    @property
    def exact(self) -> bool:
        """True if every part always finds the nearest."""
        return all(part["factory"] == "Flat" for part in self.parts)

    @property
    def starts(self) -> list[int]:
        """The first row of each part, and N."""
        return [0, *accumulate(part["count"] for part in self.parts)]

    def __len__(self) -> int:
        return self.starts[-1]

    def search(self, vectors: Vectors, k: int) -> Hits:
        """Return the k nearest of each vector [M, D]: a search in each part, merged."""
        found = joblib.Parallel(n_jobs=self.jobs)(
            joblib.delayed(_search)(self._part(number), part, self.space, vectors, k)
            for number, part in enumerate(self.parts)
        )
        shifted = (
            Hits(hits.distances, np.where(hits.rows < 0, -1, hits.rows + start))
            for hits, start in zip(found, self.starts, strict=False)
        )
        return merge(list(shifted), k)

    def vectors(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """Return indexed vectors [M, D], as exactly as the parts keep them."""
        kept = []
        for row in rows:
            number = int(np.searchsorted(self.starts, row, side="right")) - 1
            engine = _open_part(self._part(number), self.parts[number], self.space)
            kept.append(engine.vectors([row - self.starts[number]])[0])
        return np.array(kept, np.float32).reshape(-1, self.space.width)

    def save(self, folder: Path) -> dict[str, Any]:
        """Copy the parts into a folder, unless they lie there, and return what describes them."""
        for number in range(len(self.parts)):
            there = folder / self._part(number).name
            if not there.exists():
                shutil.copytree(self._part(number), there)
        return {"parts": self.parts}

    @classmethod
    def load(
        cls, folder: Path, facts: dict[str, Any], space: Space, *, verify: bool = False
    ) -> "ShardedEngine":
        """Open what `save` wrote.

        Raises:
            DataError: a part is missing, damaged, or of another index.
        """
        engine = cls(space, folder, facts["parts"])
        for number, part in enumerate(engine.parts):
            opened = FaissEngine.load(engine._part(number), part, space, verify=verify)
            _opened[_key(engine._part(number), part, space)] = opened
        return engine

    def _part(self, number: int) -> Path:
        return self.folder / f"shard-{number:04d}"


def build_shards(
    folder: Path,
    space: Space,
    vectors: Vectors,
    *,
    factory: str,
    number: int,
    recall: float = 0.95,
    jobs: int | None = None,
) -> tuple[ShardedEngine, Recall | None]:
    """Build vectors [N, D] as parts in a folder, each by a task of its own.

    Args:
        folder: where the parts go.
        space: in which the vectors are compared.
        vectors: best on disk, where tasks read their own part.
        factory: of each part.
        number: of parts, at most N.
        recall: that approximate parts are to reach.
        jobs: tasks at a time, as joblib understands it.

    Returns:
        The engine, and what approximate parts reach on average, None for exact ones.

    Raises:
        UsageError: more parts than vectors, or FAISS does not know the factory string.
    """
    if not 1 <= number <= len(vectors):
        raise UsageError(f"--shards {number}: 1 to {len(vectors)}, the number of images")
    made = joblib.Parallel(n_jobs=jobs)(
        joblib.delayed(_build)(
            folder / f"shard-{n:04d}",
            space,
            select_rows(vectors, range(part.start, part.stop)),
            factory,
            recall,
        )
        for n, part in enumerate(even_parts(len(vectors), number))
    )
    engine = ShardedEngine(space, folder, [facts for facts, _ in made], jobs)
    reached = [part for _, part in made if part is not None]
    if not reached:
        return engine, None
    mean = float(np.mean([part.at_10 for part in reached]))
    shared = {
        name: value
        for name, value in reached[0].effort.items()
        if all(part.effort[name] == value for part in reached)
    }
    return engine, Recall(mean, recall, sum(part.sample for part in reached), shared)


def _build(
    folder: Path, space: Space, vectors: Vectors, factory: str, recall: float
) -> tuple[dict[str, Any], Recall | None]:
    engine = faiss_engine.build(space, vectors, factory)
    reached = None if engine.exact else tune_recall(recall, engine, vectors)
    folder.mkdir(parents=True)
    return engine.save(folder) | {"count": len(engine)}, reached


def _search(folder: Path, facts: dict[str, Any], space: Space, vectors: Vectors, k: int) -> Hits:
    engine = _open_part(folder, facts, space)
    return engine.search(vectors, min(k, len(engine)))


def _open_part(folder: Path, facts: dict[str, Any], space: Space) -> FaissEngine:
    """Return a part, opened once in each process."""
    key = _key(folder, facts, space)
    if key not in _opened:
        _opened[key] = FaissEngine.load(folder, facts, space)
    return _opened[key]


def _key(folder: Path, facts: dict[str, Any], space: Space) -> tuple[Path, str, Metric, bytes]:
    return folder, json.dumps(facts), space.metric, space.centre.tobytes()
