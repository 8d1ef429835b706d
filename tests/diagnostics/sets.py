"""Sets of features whose numbers are known: normal clouds, circles, modes."""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]


def cloud(count: int, width: int = 8, *, seed: int = 0, shift: float = 0.0) -> Rows:
    """Return standard normal rows [count, width], moved in every coordinate."""
    return np.random.default_rng(seed).normal(shift, 1, (count, width))


def modes(count: int, of: int = 10, *, without: int = 0, seed: int = 0) -> Rows:
    """Return rows [count, 8] around so many far centres, none of them around the first few."""
    random = np.random.default_rng(seed)
    centres = 20 * np.random.default_rng(99).normal(size=(of, 8))
    return centres[random.integers(without, of, count)] + random.normal(size=(count, 8))


def circle(count: int, *, centre: float = 0.0, seed: int = 0) -> Rows:
    """Return points [count, 2] of a circle of radius 1."""
    angles = np.random.default_rng(seed).uniform(0, 2 * np.pi, count)
    return np.stack([np.cos(angles) + centre, np.sin(angles)], axis=1)


def sphere(count: int, dimension: int, *, width: int = 32, seed: int = 0) -> Rows:
    """Return points [count, width] of the sphere of a dimension, turned in a wider space."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(count, dimension + 1))
    basis = np.linalg.qr(random.normal(size=(width, width)))[0][: dimension + 1]
    units: Rows = rows / np.linalg.norm(rows, axis=1, keepdims=True) @ basis
    return units
