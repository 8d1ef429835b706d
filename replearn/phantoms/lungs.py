"""Findings of the lung, on film and in slices alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from replearn.phantoms.canvas import Area, Canvas, Draw


def consolidation(areas: Sequence[Area], change: float) -> Draw:
    """A dense patch of lung with soft edges, crossed by aired bronchi."""

    def draw(c: Canvas) -> None:
        (x, y), r = c.place(areas), c.uniform(0.17, 0.24)
        patch = c.blob(x, y, r, r * c.uniform(0.8, 1.4), 0.25, 0.1)
        c.add(patch * np.clip(1 + 0.35 * c.noise(18), 0.3, 1.4), change)

    return draw


def atelectasis(areas: Sequence[Area], change: float) -> Draw:
    """Plates of collapsed lung: short thick bands."""

    def draw(c: Canvas) -> None:
        for _ in range(c.rng.integers(1, 3)):
            (x, y), rise = c.place(areas), c.uniform(-0.12, 0.12)
            half = c.uniform(0.12, 0.17)
            ends = [(x - half, y - rise), (x + half, y + rise)]
            c.add(c.line(ends, c.uniform(0.03, 0.045), 0.02), change)

    return draw


def fibrosis(lungs: Sequence[Area], change: float) -> Draw:
    """A coarse net of scars in both lungs."""

    def draw(c: Canvas) -> None:
        net = np.clip(1 - 2.4 * np.abs(c.noise(26)), 0, 1)
        for x, y, rx, ry in lungs:
            c.add(net * c.disc(x, y + 0.12, 1.5 * rx, ry, 0, 0.1), change)

    return draw


def cavity(areas: Sequence[Area], wall: float) -> Draw:
    """A thick-walled ring with air inside."""

    def draw(c: Canvas) -> None:
        (x, y), r = c.place(areas), c.uniform(0.12, 0.17)
        c.paint(c.blob(x, y, r, r, 0.08), wall)
        c.paint(c.blob(x, y, 0.55 * r, 0.55 * r, 0.08), 0.03)

    return draw
