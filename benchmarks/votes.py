"""How long it takes to choose how neighbours vote, once they are found.

That is the work of `replearn classify --method knn` after its one search: k, weights and smoothing,
and then the decision rule, on as many images as are learned from.  An image shows six draws of
concepts whose frequencies fall as j^-0.9, some of them the same; its 16 features are the sum of a
direction of each, with noise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from benchmarks.time_and_memory import timed
from replearn.arrays import Vectors
from replearn.concepts.table import ConceptTable
from replearn.detection.fit_detector import fit_rule
from replearn.detection.fit_scorers import KS, fit_neighbours
from replearn.detection.scorers import NeighbourScorer
from replearn.detection.task import DetectionTask, LabelledFeatures
from replearn.neighbors.build_index import index_vectors
from replearn.neighbors.engine import Hits
from replearn.neighbors.index import Index


@dataclass(frozen=True, eq=False)
class Searched(Index):
    """An index that was searched before the clock starts.

    Attributes:
        found: what it answers.
    """

    found: Hits = field(kw_only=True)

    def search_others(
        self,
        vectors: Vectors,
        k: int,
        ids: Sequence[str],
        groups: Mapping[str, str] | None = None,
    ) -> Hits:
        """Return what was found."""
        return self.found


def draw(count: int, concepts: int, seed: int) -> LabelledFeatures:
    """Return features float32 [N, 16] of images with up to six concepts each."""
    directions = np.random.default_rng(0).standard_normal((concepts, 16), np.float32)
    generator = np.random.default_rng(seed + 1)
    shares = np.arange(1, concepts + 1) ** -0.9
    shown = generator.choice(concepts, (count, 6), p=shares / shares.sum())
    vectors = directions[shown].sum(axis=1)
    vectors += 2 * generator.standard_normal(vectors.shape, np.float32)
    named = [tuple(f"C{concept}" for concept in sorted(set(row))) for row in shown.tolist()]
    return LabelledFeatures(vectors, ConceptTable([f"{seed}-{n}" for n in range(count)], named))


def tune(images: int, concepts: int) -> dict[str, Any]:
    """Return seconds to choose k, weights and smoothing, and then the decision rule."""
    learn, choose = (draw(images, concepts, seed) for seed in (0, 1))
    task = DetectionTask(learn, choose, "match", 100)
    index = index_vectors(learn.concepts.ids, learn.vectors, concepts=learn.concepts)
    found = index.search_others(choose.vectors, max(KS), choose.concepts.ids)
    searched = Searched(index.ids, index.engine, found=found)
    fitted, vote = timed(lambda: fit_neighbours(task, searched))
    detector, rule = timed(lambda: fit_rule(fitted, task, encoder=None, identity=""))
    assert isinstance(fitted.scorer, NeighbourScorer)
    return {
        "neighbours": found.rows.shape[1],
        "vote": asdict(vote),
        "rule": asdict(rule),
        "chosen": {**asdict(fitted.scorer.vote), "rule": detector.rule.name},
    }
