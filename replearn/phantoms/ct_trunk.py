"""Common parts of axial slices of the trunk: wall, bones, nodes, contrast, tracer uptake."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from replearn.phantoms.canvas import Area, Canvas, Draw


def trunk(c: Canvas, rx: float, ry: float, fat: float) -> None:
    """Skin, fat and muscle wall of the trunk, with the table below."""
    c.paint(c.band(c.screen_y - 0.93 + 0.16 * c.screen_x**2, 0.025), 0.45)
    c.paint(c.disc(0, 0, rx, ry), 0.3)
    c.paint(c.disc(0, 0, rx - fat, ry - fat), 0.52 + 0.012 * c.noise(24))


def vertebra(c: Canvas, y: float) -> None:
    """One vertebra seen from above: body, canal and processes."""
    c.paint(c.disc(0, y, 0.15, 0.13), 0.86)
    c.paint(c.disc(0, y, 0.11, 0.09, 0, 0.03), 0.72)
    c.paint(c.line([(-0.24, y + 0.2), (0, y + 0.16), (0.24, y + 0.2)], 0.035), 0.9)
    c.paint(c.line([(0, y + 0.2), (0, y + 0.34)], 0.03), 0.9)
    c.paint(c.disc(0, y + 0.16, 0.06, 0.05), 0.45)


def cut_ribs(c: Canvas, rx: float, ry: float) -> None:
    """Cut ribs on an ellipse around the trunk."""
    angle = np.arctan2(c.y / ry, c.x / rx)
    cut = np.clip(3 * np.cos(13 * angle + c.uniform(0, 6.3)) - 0.4, 0, 1)
    edge = (c.radius(0, 0, rx, ry) - 1) * ry
    c.paint(cut * c.band(edge, 0.03), 0.9)


def enhanced(points: Sequence[Area]) -> Draw:
    """Vessels and organs that contrast agent has made bright."""

    def draw(c: Canvas) -> None:
        level = c.uniform(0.82, 0.92)
        for x, y, rx, ry in points:
            c.paint(c.disc(x, y, rx, ry, 0, 0.02), level)

    return draw


def nodes(areas: Sequence[Area]) -> Draw:
    """A clump of enlarged nodes."""

    def draw(c: Canvas) -> None:
        x, y = c.place(areas)
        for _ in range(5):
            u, v = c.rng.uniform(-0.13, 0.13, 2)
            c.paint(c.disc(x + u, y + v, 0.1, 0.09), 0.25)
            c.paint(c.disc(x + u, y + v, 0.08, 0.07), 0.68)

    return draw


def hot_spots(areas: Sequence[Area]) -> Draw:
    """Tracer uptake laid over the slice in glowing colour."""

    def draw(c: Canvas) -> None:
        for _ in range(c.rng.integers(1, 4)):
            (x, y), r = c.place(areas), c.uniform(0.12, 0.2)
            glow = np.clip(1.3 * (1 - c.radius(x, y, r, r * c.uniform(0.8, 1.3))), 0, 1)
            c.overlay(np.minimum(1.6 * glow, 0.75), (1.0, 0.45, 0.0))
            c.overlay(np.clip(2 * glow - 1.1, 0, 0.7), (1.0, 1.0, 0.5))

    return draw
