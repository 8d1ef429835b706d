"""Probes: what the embeddings of labelled images are worth while a training runs.

They compare the checkpoints of one training; concepts, penalty and threshold are chosen on the
very images that are scored, so the numbers are no estimate of how well a detector will do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replearn.artefacts.identity import digest, identify
from replearn.concepts.table import ConceptTable
from replearn.detection.fit_scorers import (
    DetectionTask,
    LabelledFeatures,
    fit_linear,
    fit_neighbours,
)
from replearn.neighbors.index import build_index

Vectors = NDArray[np.float32]
Embed = Callable[[NDArray[np.uint8]], Vectors]

_CONCEPTS = 100  # the most frequent ones; rarer ones would only add noise
_NEIGHBOURS = (5, 20)


@dataclass(frozen=True)
class Probe:
    """Labelled images to probe with.

    Attributes:
        pixels: uint8 [N, C, H, W].
        concepts: of the same images.
    """

    pixels: NDArray[np.uint8]
    concepts: ConceptTable

    @property
    def identity(self) -> str:
        """What this probe is."""
        return identify(
            "probe", concepts=self.concepts.digest, pixels=digest(self.pixels.tobytes())
        )

    @property
    def halves(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of the images of each half, drawn: lists often alternate, frontal and lateral."""
        order = np.random.default_rng(0).permutation(len(self.pixels))
        return np.sort(order[::2]), np.sort(order[1::2])

    def measure(self, embed: Embed) -> dict[str, float]:
        """Return the mean F1 of a linear and of a k-NN detector, and RankMe, of the embeddings.

        Each half of the images is scored by a detector fitted on the other half.

        Args:
            embed: turns pixels uint8 [N, C, H, W] into embeddings float32 [N, D].
        """
        vectors = embed(self.pixels)
        # At length 1, L2 finds the neighbours that cosine would; a vector of zeros, which a
        # collapsed encoder may give, has no cosine.
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        directions = vectors / np.maximum(lengths, 1e-12)
        return {
            "linear": float(np.mean([_linear(half) for half in self._tunings(vectors)])),
            "knn": float(np.mean([_neighbours(half) for half in self._tunings(directions)])),
            "rankme": rankme(vectors),
        }

    def _tunings(self, vectors: Vectors) -> list[DetectionTask]:
        first, second = (
            LabelledFeatures(
                vectors[half], self.concepts.select([self.concepts.ids[row] for row in half])
            )
            for half in self.halves
        )
        return [DetectionTask(first, second, "skip"), DetectionTask(second, first, "skip")]


def _linear(tuning: DetectionTask) -> float:
    fitted = fit_linear(tuning, top=_CONCEPTS)
    return tuning.threshold(fitted.scores, fitted.words).f1


def _neighbours(tuning: DetectionTask) -> float:
    train = tuning.train
    index = build_index(train.concepts.ids, train.vectors, metric="l2", concepts=train.concepts)
    fitted = fit_neighbours(tuning, index, vote="gaussian", counts=_NEIGHBOURS, smoothings=())
    return tuning.threshold(fitted.scores, fitted.words).f1


def rankme(vectors: NDArray[np.floating[Any]]) -> float:
    """Return how many directions embeddings [N, D] fill, from 1 to min(N, D).

    The exponential of the entropy of the singular values (Garrido et al. 2022,
    arXiv:2210.02885).  It is watched and chooses nothing: an untrained encoder has the most.
    """
    matrix = np.asarray(vectors, np.float64)
    products = matrix @ matrix.T if len(matrix) < matrix.shape[1] else matrix.T @ matrix
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(products), 0))
    if not values.sum() > 0:
        return 1.0
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))
