"""Recall of an approximate search: the share of the true nearest that it finds, and its effort.

It is measured on a sample of indexed vectors, each of which searches among all others.  The effort
is chosen on one half of the sample, and its recall is measured on the other.
FAISS is imported where it searches: who may open an index needs no more than the record.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Vectors
from replearn.neighbors.engine import Engine, Hits, Space, blocks_of, even_blocks, merge

K = 10
_SAMPLE = 1000
# An effort is a list's or a graph's share of it; each step costs about half as much again.
_STEPS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512]


@dataclass(frozen=True)
class Recall:
    """The measured recall of an approximate search.

    Attributes:
        at_10: share of the 10 nearest that are found.
        wanted: share that the effort was chosen for.
        sample: number of images that it was measured on.
        effort: FAISS's search parameters by name; of shards, those that are alike in all.
        changed: number of images added or removed since the measurement.
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
        text = f"recall@10 {self.at_10:.3f} on {self.sample} images"
        text += f" with {effort}" if effort else ""
        since = f", before {self.changed:,} images came or went" if self.changed else ""
        return text + since


def tune_recall(wanted: float, engine: Engine, vectors: Vectors) -> Recall:
    """Set the least effort by which an approximate engine reaches a recall, and return its recall.

    Args:
        wanted: share of the 10 nearest that are to be found.
        engine: of the vectors.
        vectors: float [N, D].
    """
    from replearn.neighbors.faiss_engine import FaissEngine

    sample = np.random.default_rng(0).permutation(len(vectors))[:_SAMPLE]
    truth = exact_neighbours(engine.space, vectors, sample, K)
    middle = max(len(sample) // 2, 1)
    first, second = slice(0, middle), slice(middle if len(sample) > 1 else 0, None)

    def measure(half: slice) -> float:
        part = Hits(truth.distances[half], truth.rows[half])
        return measure_recall(engine, vectors, sample[half], part)

    effort: dict[str, int] = {}
    for step in _STEPS:
        if not isinstance(engine, FaissEngine):
            break  # it has no effort to set
        effort = _effort_of(engine.index, step)
        engine.set_effort(effort)
        if not effort or measure(first) >= wanted:
            break
    return Recall(measure(second), wanted, len(sample[second]), effort)


def _effort_of(index: Any, step: int) -> dict[str, int]:
    """Return the parameters that can be set of a FAISS index, at a step."""
    import faiss

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


def exact_neighbours(space: Space, vectors: Vectors, sample: NDArray[np.intp], k: int) -> Hits:
    """Return the exact k nearest of a sample of rows [M] among all other vectors, by blocks."""
    from replearn.neighbors.faiss_engine import build

    queries = np.asarray(vectors[sample])
    best = Hits(
        np.empty((len(sample), 0), np.float32),
        np.empty((len(sample), 0), np.int64),
    )
    row = 0
    for block in blocks_of(vectors):
        found = build(space, block, "Flat").search(queries, min(k + 1, len(block)))
        best = merge([best, Hits(found.distances, found.rows + row)], k + 1)
        row += len(block)
    return best.without(best.rows == sample[:, None], k)


def measure_recall(
    engine: Engine, vectors: Vectors, sample: NDArray[np.intp], truth: Hits
) -> float:
    """Return the share of the true nearest of a sample [M] that an engine finds; ties count."""
    k = truth.rows.shape[1]
    queries = np.asarray(vectors[sample])
    found = engine.search(queries, min(k + 1, len(vectors)))
    found = found.without(found.rows == sample[:, None], k)
    hits = 0
    for some in even_blocks(len(sample), 256):
        ours, rows = engine.space.transform(queries[some]), found.rows[some]
        near = engine.space.transform(np.asarray(vectors[rows.ravel()])).reshape(*rows.shape, -1)
        values = (
            np.einsum("md,mkd->mk", ours, near)
            if engine.space.metric == "cosine"
            else np.square(ours[:, None] - near).sum(axis=2)
        )
        distances = engine.space.to_hits(values, rows).distances
        farthest = truth.distances[some][:, -1:]
        hits += int((distances <= farthest * (1 + 1e-4) + 1e-5).sum())
    return hits / max(truth.rows.size, 1)
