"""Scorers: features to a score of each concept, the part of a detector that learns.

Logistic regression and nearest neighbours, as in the original system, both fused, and a constant.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import safetensors
import safetensors.numpy
from scipy import sparse, special

from replearn.arrays import Vectors
from replearn.concepts.vocabulary import multi_hot
from replearn.detection import voting
from replearn.detection.decisions.scores import Scores
from replearn.detection.ensembles.scorer import EnsembleScorer
from replearn.detection.fusion import Evidence, Fusion
from replearn.detection.voting import Vote
from replearn.detection.zero_shot import TextScorer
from replearn.errors import DamagedError, DataError
from replearn.neighbors.engine import Hits
from replearn.neighbors.index import Index
from replearn.neighbors.storage import load_index, save_index


class Scorer(Protocol):
    """Gives each concept of a vocabulary a score of at least 0."""

    @property
    def kind(self) -> str:
        """Name in SCORERS."""
        ...

    def scores(self, vectors: Vectors) -> Scores:
        """Return scores [M, L] for features [M, D]."""
        ...

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the arrays into the folder and return the facts for `detector.json`."""
        ...


@dataclass(frozen=True)
class ConstantScorer:
    """The same concepts for every image: the baseline of every detector."""

    columns: list[int]
    width: int
    kind: str = "constant"

    def __str__(self) -> str:
        return self.kind

    def scores(self, vectors: Vectors) -> sparse.csr_array:
        """Return scores [M, L] for features [M, D]."""
        count, columns = len(vectors), np.sort(np.array(self.columns, np.intp))
        ones = np.ones(count * len(columns), np.float32)
        starts = len(columns) * np.arange(count + 1)
        parts = (ones, np.tile(columns, count), starts)
        return sparse.csr_array(parts, shape=(count, self.width))

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the arrays into the folder and return the facts for `detector.json`."""
        return {"columns": self.columns, "width": self.width}

    @classmethod
    def load(cls, folder: Path, facts: dict[str, Any]) -> "ConstantScorer":
        """Open what `save` wrote."""
        return cls(facts["columns"], facts["width"])


@dataclass(frozen=True)
class LinearScorer:
    """Probabilities of a logistic regression for each concept.

    Attributes:
        coefficients: on the features as they are, float32 [L, D].
        intercepts: float32 [L].
        C: the value that was chosen, the inverse of the penalty.
    """

    coefficients: Vectors
    intercepts: Vectors
    C: float
    kind: str = "linear"

    def __str__(self) -> str:
        return f"linear, C {self.C:g}"

    def scores(self, vectors: Vectors) -> Scores:
        """Return scores [M, L] for features [M, D]."""
        if vectors.shape[1] != self.coefficients.shape[1]:
            raise DataError(
                f"features of width {vectors.shape[1]} for a detector of width "
                f"{self.coefficients.shape[1]}; use features of the same encoder"
            )
        probabilities: Scores = special.expit(vectors @ self.coefficients.T + self.intercepts)
        return probabilities

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the arrays into the folder and return the facts for `detector.json`."""
        arrays = {"coefficients": self.coefficients, "intercepts": self.intercepts}
        # `save_file` gives no one else the right to read it, whatever the umask.
        (folder / "detector.safetensors").write_bytes(safetensors.numpy.save(arrays))
        return {"C": self.C}

    @classmethod
    def load(cls, folder: Path, facts: dict[str, Any]) -> "LinearScorer":
        """Open what `save` wrote."""
        path = folder / "detector.safetensors"
        try:
            arrays = safetensors.numpy.load_file(path)
            scorer = cls(arrays["coefficients"], arrays["intercepts"], facts["C"])
        except (OSError, KeyError, safetensors.SafetensorError) as error:
            raise DamagedError(f"{path}: missing or damaged ({error})") from None
        if len(scorer.intercepts) != facts.get("known", len(facts["vocabulary"])):
            raise DamagedError(f"{path}: is of another vocabulary than detector.json")
        return scorer


@dataclass(frozen=True)
class NeighbourScorer:
    """Concepts of the nearest training images.

    Attributes:
        index: the training images.
        matrix: their concepts, 0/1 [N, L].
        vote: how they vote.
    """

    index: Index
    matrix: sparse.csr_array
    vote: Vote
    kind: str = "knn"

    def __str__(self) -> str:
        vote = self.vote
        return f"knn, {vote.kind} {vote.parameter:.3g} of {vote.k}, smoothed by {vote.smoothing:g}"

    def scores(self, vectors: Vectors) -> sparse.csr_array:
        """Return scores [M, L] for features [M, D]."""
        return self.scores_of(self.index.search(vectors, self.vote.k))

    def scores_of(self, hits: Hits) -> sparse.csr_array:
        """Return scores [M, L] for neighbours found before, at least k of each image."""
        return self.vote.scores(hits.rows, hits.distances, self.index.metric, self.matrix)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the arrays into the folder and return the facts for `detector.json`."""
        save_index(folder / "index", self.index)
        return {"vote": asdict(self.vote), "metric": self.index.metric}

    @classmethod
    def load(cls, folder: Path, facts: dict[str, Any]) -> "NeighbourScorer":
        """Open what `save` wrote."""
        index = load_index(folder / "index")
        if index.concepts is None:
            raise DamagedError(f"{folder / 'index'}: has no concepts")
        matrix = multi_hot(index.concepts, facts["vocabulary"])
        return cls(index, matrix, Vote(**facts["vote"]))


@dataclass(frozen=True)
class FusedScorer:
    """Logistic regression and nearest neighbours together.

    Attributes:
        linear: of the first T concepts of the vocabulary.
        neighbours: of all L.
        fusion: how the two are combined.
    """

    linear: LinearScorer
    neighbours: NeighbourScorer
    fusion: Fusion
    kind: str = "fused"

    def __str__(self) -> str:
        linear = f"{self.fusion.linear:.2f} x ({self.linear})"
        return f"{linear} + {self.fusion.neighbours:.2f} x ({self.neighbours})"

    def scores(self, vectors: Vectors) -> Scores:
        """Return scores [M, L] for features [M, D]."""
        linear, votes = self.linear.scores(vectors), self.neighbours.scores(vectors)
        return self.fusion.combine(self.evidence(linear, votes))

    def evidence(self, linear: Scores, votes: Scores) -> Evidence:
        """Return the logits of both parts' scores, [M, T] and [M, L]."""
        return Evidence.of(
            np.asarray(linear),
            sparse.csr_array(votes),
            voting.frequencies(self.neighbours.matrix),
            self.neighbours.vote.k,
        )

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the arrays into the folder and return the facts for `detector.json`."""
        facts = self.linear.save(folder) | self.neighbours.save(folder)
        return facts | {"fusion": asdict(self.fusion), "known": len(self.linear.intercepts)}

    @classmethod
    def load(cls, folder: Path, facts: dict[str, Any]) -> "FusedScorer":
        """Open what `save` wrote."""
        linear = LinearScorer.load(folder, facts)
        return cls(linear, NeighbourScorer.load(folder, facts), Fusion(**facts["fusion"]))


SCORERS: dict[
    str,
    type[ConstantScorer]
    | type[LinearScorer]
    | type[NeighbourScorer]
    | type[FusedScorer]
    | type[EnsembleScorer]
    | type[TextScorer],
] = {
    "constant": ConstantScorer,
    "linear": LinearScorer,
    "knn": NeighbourScorer,
    "fused": FusedScorer,
    "ensemble": EnsembleScorer,
    "zero-shot": TextScorer,
}
