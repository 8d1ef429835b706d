"""A probe: F1 of detectors on the embeddings of labelled images, measured during a training run.

It compares the checkpoints of one run; concepts, C and threshold are chosen on the very images
that are scored, so the numbers are no estimate of how well a detector will do.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Vectors
from replearn.artefacts.identity import digest, identify
from replearn.concepts.reading import AS_FOUND, Reading
from replearn.concepts.table import ConceptTable, describe_labels, read_with_layout
from replearn.console import warn
from replearn.detection.fit_scorers import fit_linear, fit_neighbours
from replearn.detection.task import DetectionTask, LabelledFeatures
from replearn.errors import DataError
from replearn.images.form import Form
from replearn.images.opening import open_images
from replearn.matching import match_names
from replearn.neighbors.build_index import index_vectors

_logger = logging.getLogger(__name__)

Embed = Callable[[NDArray[np.uint8]], Vectors]

_CONCEPTS = 100  # the most frequent ones; rarer ones would only add noise
_KS = (5, 20)
_MOST = 2000  # images: a probe is taken many times
_FEWEST = 20


@dataclass(frozen=True)
class Probe:
    """Labelled images whose embeddings are measured.

    Attributes:
        pixels: uint8 [N, C, H, W].
        concepts: of the same images.
    """

    pixels: NDArray[np.uint8]
    concepts: ConceptTable

    @property
    def identity(self) -> str:
        """The identity of the images and their concepts."""
        return identify(
            "probe", concepts=self.concepts.digest, pixels=digest(self.pixels.tobytes())
        )

    @property
    def halves(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of each half, drawn at random: lists often alternate, frontal and lateral."""
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
            "linear": float(np.mean([_linear(half) for half in self._tasks(vectors)])),
            "knn": float(np.mean([_neighbours(half) for half in self._tasks(directions)])),
            "rankme": rankme(vectors),
        }

    def _tasks(self, vectors: Vectors) -> list[DetectionTask]:
        first, second = (
            LabelledFeatures(
                vectors[half], self.concepts.select([self.concepts.ids[row] for row in half])
            )
            for half in self.halves
        )
        return [DetectionTask(first, second, "skip"), DetectionTask(second, first, "skip")]


def open_probe(
    source: Path, form: Form, concepts: Path, reading: Reading = AS_FOUND
) -> Probe | None:
    """Open labelled images to probe with, at most 2,000 of them, drawn at random.

    Args:
        source: a prepared set, or whatever `replearn.images.sources.open_source` opens.
        form: of the images that are trained on.
        concepts: file of the concepts of some of the images.
        reading: what is said of its layout.

    Returns:
        None where too few have concepts to tell weights apart.

    Raises:
        DataError: too few of the labelled images are in the source.
    """
    layout, table = read_with_layout(concepts, reading)
    labelled = [id_ for id_, named in zip(table.ids, table.concepts, strict=True) if named]
    if len(labelled) < _FEWEST:
        warn(
            f"{concepts}: {len(labelled)} images have concepts, and fewer than {_FEWEST} do not "
            "tell which weights are best; the last ones are kept"
        )
        _logger.info(describe_labels(concepts, layout, table))
        return None
    # Not every other one: lists alternate.
    rows = np.random.default_rng(0).permutation(len(labelled))[:_MOST]
    wanted = [labelled[row] for row in np.sort(rows)]
    try:
        images = open_images(source, **form.arguments, ids=wanted, max_errors=1.0)
    except DataError as error:
        raise DataError(f"{concepts}: {error}") from None
    there = f"{concepts}: {len(images):,} of {len(wanted):,} labelled images are among {source}"
    if len(images) < _FEWEST:
        raise DataError(f"{there}, at least {_FEWEST} are needed to probe with")
    if len(images) < len(wanted):
        warn(f"{there}; these are probed with")
    _logger.info(describe_labels(concepts, layout, table))
    names = {id_: name for name, id_ in match_names(wanted, images.ids, concepts).items()}
    named = table.select([names[id_] for id_ in images.ids])
    return Probe(np.asarray(images.pixels), ConceptTable(images.ids, named.concepts))


def _linear(task: DetectionTask) -> float:
    fitted = fit_linear(task, top=_CONCEPTS)
    return task.threshold(fitted.scores, fitted.vocabulary).f1


def _neighbours(task: DetectionTask) -> float:
    train = task.train
    index = index_vectors(train.concepts.ids, train.vectors, metric="l2", concepts=train.concepts)
    fitted = fit_neighbours(task, index, vote="gaussian", ks=_KS, smoothings=())
    return task.threshold(fitted.scores, fitted.vocabulary).f1


def rankme(vectors: NDArray[np.floating[Any]]) -> float:
    """Return how many directions embeddings [N, D] fill, from 1 to min(N, D).

    The exponential of the entropy of the singular values (Garrido et al. 2022,
    arXiv:2210.02885).  It chooses nothing: an untrained encoder has the most.
    """
    matrix = np.asarray(vectors, np.float64)
    products = matrix @ matrix.T if len(matrix) < matrix.shape[1] else matrix.T @ matrix
    return rank_of_spectrum(np.linalg.eigvalsh(products))


def rank_of_spectrum(squares: NDArray[np.floating[Any]]) -> float:
    """Return the rank of `rankme` from the squared singular values; 1 if there are none."""
    values = np.sqrt(np.maximum(squares, 0))
    if not values.sum() > 0:
        return 1.0
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))
