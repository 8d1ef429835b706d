"""Positions of the vertebrae, on film and in magnetic resonance alike, and one that is crushed."""

from __future__ import annotations

import numpy as np

from replearn.phantoms.canvas import Array, Canvas, Draw


def vertebral_phase(c: Canvas, pitch: float) -> Array:
    """Height within each vertebra of a column: 0 in its middle, -0.5 and 0.5 in the discs."""
    phase: Array = np.mod(c.y / pitch + 0.2, 1) - 0.5
    return phase


def spinous_processes(c: Canvas, x: Array, y: Array, rx: float, ry: float) -> Array:
    """An ellipse behind each vertebra, around the points at which `x` and `y` are zero."""
    return c.cover((np.hypot(x / rx, y / ry) - 1) * min(rx, ry))


def compression(curve: float, pitch: float) -> Draw:
    """One vertebra squeezed to a dense wedge."""

    def draw(c: Canvas) -> None:
        y = (c.rng.integers(-1, 2) - 0.2) * pitch  # where the phase is zero
        near = np.exp(-(((c.y - y) / (0.75 * pitch)) ** 2)) * c.band(c.x, 0.6, 0.3)
        c.warp(0.0, -0.55 * (c.y - y) * near)
        c.add(c.disc(curve, y, 0.24, 0.055, c.uniform(-0.2, 0.2), 0.02), 0.7)
        c.occupy(curve, y)

    return draw
