"""Vectors with ids, and their distances by NumPy."""

from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from replearn.neighbors.engine import Metric

METRICS: list[Metric] = list(get_args(Metric))
Matrix = NDArray[np.floating[Any]]


def random(count: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    """Return normally distributed vectors [count, width]."""
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def names(count: int, start: int = 0) -> list[str]:
    """Return ids, numbered from `start` on."""
    return [f"image-{number}" for number in range(start, start + count)]


def plain_distances(queries: Matrix, vectors: Matrix, metric: Metric) -> NDArray[np.float64]:
    """Return the distance of each query to each vector [M, N], in double precision."""
    a, b = queries.astype(np.float64), vectors.astype(np.float64)
    if metric == "l2":
        return np.asarray(np.linalg.norm(a[:, None] - b, axis=2))
    norms = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
    return np.asarray(1 - a @ b.T / norms)
