"""Recall of an approximate search: how many of the true nearest it finds, and at which effort.

The sample are indexed vectors, asked about without themselves.  One half chooses the effort, the
other says what it reaches.
"""

from dataclasses import asdict, dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from replearn.neighbors.engine import Engine, Hits, Space, Vectors, even_blocks, merge
from replearn.neighbors.faiss_engine import FaissEngine, blocks_of, build

K = 10
_SAMPLE = 1000
# An effort is a list's or a graph's share of it; each step costs about half as much again.
_STEPS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512]


@dataclass(frozen=True)
class Recall:
    """What an approximate search reaches.

    Attributes:
        at_10: share of the 10 nearest that are found.
        wanted: share that the effort was chosen for.
        sample: images that it was measured on.
        effort: FAISS's search parameters by name; of shards, what is alike in all.
        changed: images added or removed since, of which it says nothing.
    """

    at_10: float
    wanted: float
    sample: int
    effort: dict[str, int]
    changed: int = 0

    def facts(self) -> dict[str, Any]:
        """Return what JSON can hold; the constructor takes it back."""
        return asdict(self)

    def __str__(self) -> str:
        effort = ", ".join(f"{name} {value}" for name, value in self.effort.items())
        said = f"recall@10 {self.at_10:.3f} on {self.sample} images"
        said += f" with {effort}" if effort else ""
        since = f", before {self.changed:,} images came or went" if self.changed else ""
        return said + since


def tune_recall(wanted: float, engine: Engine, vectors: Vectors) -> Recall:
    """Set the least effort of an approximate engine that reaches a recall, and return what it does.

    Args:
        wanted: share of the 10 nearest that are to be found.
        engine: of the vectors.
        vectors: float [N, D].
    """
    chosen = np.random.default_rng(0).permutation(len(vectors))[:_SAMPLE]
    truth = exact_others(engine.space, vectors, chosen, K)
    half = max(len(chosen) // 2, 1)
    choose, judge = slice(0, half), slice(half if len(chosen) > 1 else 0, None)

    def measured(some: slice) -> float:
        part = Hits(truth.distances[some], truth.rows[some])
        return recall_of(engine, vectors, chosen[some], part)

    effort: dict[str, int] = {}
    for step in _STEPS:
        if not isinstance(engine, FaissEngine):
            break  # it has no effort to set
        effort = _effort(engine.index, step)
        engine.set_effort(effort)
        if not effort or measured(choose) >= wanted:
            break
    return Recall(measured(judge), wanted, len(chosen[judge]), effort)


def _effort(index: Any, step: int) -> dict[str, int]:
    """Return what can be set of a FAISS index, at a step."""
    effort = {}
    space = faiss.ParameterSpace()
    space.initialize(index)
    ranges = space.parameter_ranges
    names = {ranges.at(number).name for number in range(ranges.size())}
    if "nprobe" in names:
        effort["nprobe"] = step
    if "efSearch" in names:
        effort["efSearch"] = 8 * step
    if "quantizer_efSearch" in names:
        effort["quantizer_efSearch"] = max(16, 2 * step)
    if "k_factor_rf" in names:
        effort["k_factor_rf"] = min(max(4, step), 64)
    return effort


def exact_others(space: Space, vectors: Vectors, chosen: NDArray[np.intp], k: int) -> Hits:
    """Return the exact k nearest of chosen rows among all other vectors, block by block."""
    queries = np.asarray(vectors[chosen])
    best = Hits(
        np.empty((len(chosen), 0), np.float32),
        np.empty((len(chosen), 0), np.int64),
    )
    row = 0
    for block in blocks_of(vectors):
        found = build(space, block, "Flat").search(queries, min(k + 1, len(block)))
        best = merge([best, Hits(found.distances, found.rows + row)], k + 1)
        row += len(block)
    return best.without(best.rows == chosen[:, None], k)


def recall_of(engine: Engine, vectors: Vectors, chosen: NDArray[np.intp], truth: Hits) -> float:
    """Return the share of the true nearest of chosen rows that an engine finds; ties count."""
    k = truth.rows.shape[1]
    queries = np.asarray(vectors[chosen])
    found = engine.search(queries, min(k + 1, len(vectors)))
    found = found.without(found.rows == chosen[:, None], k)
    hits = 0
    for some in even_blocks(len(chosen), 256):
        placed, rows = engine.space.place(queries[some]), found.rows[some]
        near = engine.space.place(np.asarray(vectors[rows.ravel()])).reshape(*rows.shape, -1)
        values = (
            np.einsum("md,mkd->mk", placed, near)
            if engine.space.metric == "cosine"
            else np.square(placed[:, None] - near).sum(axis=2)
        )
        distances = engine.space.hits(values, rows).distances
        farthest = truth.distances[some][:, -1:]
        hits += int((distances <= farthest * (1 + 1e-4) + 1e-5).sum())
    return hits / max(truth.rows.size, 1)
