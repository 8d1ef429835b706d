"""Devices: tubes, wires and metal, on film unless the name says otherwise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from replearn.phantoms.canvas import Canvas, Draw, Point
from replearn.phantoms.xray_bones import Bone, between, direction


def tube(points: Sequence[Point], width: float, change: float) -> Draw:
    """A dense tube along a path, on a side at random, with some play."""

    def draw(c: Canvas) -> None:
        side = c.sign()
        path = [c.jitter(side * x, y, 0.03) for x, y in points]
        c.add(c.line(path, width), change)

    return draw


def pacemaker(c: Canvas) -> None:
    """A metal can below one collarbone, its lead to the heart's tip."""
    side = c.sign()
    x, y = c.jitter(0.52 * side, -0.45, 0.06)
    c.add(c.disc(x, y, 0.15, 0.12, c.uniform(-0.5, 0.5)), 1.5)
    c.add(c.line([(x, y - 0.1), (0.1 * side, -0.5), (-0.08, 0.1), (0.3, 0.36)], 0.02), 1.0)
    c.occupy(x, y)


def sternal_wires(c: Canvas) -> None:
    """A column of wire loops over the breastbone."""
    x, y = c.uniform(-0.03, 0.03), c.uniform(-0.42, -0.32)
    for row in range(5):
        c.add(c.ring(x, y + 0.17 * row, 0.085, 0.05, 0.035, c.uniform(-0.4, 0.4)), 1.3)


def sternal_wires_lateral(c: Canvas) -> None:
    """Wire loops along the breastbone, from the side."""
    for row in range(5):
        c.add(c.disc(-0.6 - 0.02 * row, -0.4 + 0.16 * row, 0.05, 0.04), 1.4)


def knee_prosthesis(c: Canvas) -> None:
    """A metal cap on the femur and a tray with its stem in the tibia."""
    c.add(c.disc(0, -0.2, 0.4, 0.24) * c.cover(-0.3 - c.y) * c.cover(c.y + 0.02), 1.6)
    c.add(c.band(c.x, 0.4) * c.band(c.y - 0.11, 0.04), 1.6)
    c.add(c.line([(0, 0.1), (0.01, c.uniform(0.35, 0.55))], 0.05), 1.6)


def hip_prosthesis(c: Canvas) -> None:
    """A metal cup, ball and stem in one hip."""
    side = c.sign()
    c.add(c.disc(0.5 * side, 0.13, 0.21, 0.21), 0.9)
    c.add(c.line([(0.52 * side, 0.16), (0.72 * side, 0.34)], 0.05), 1.5)
    c.add(c.line([(0.74 * side, 0.32), (0.75 * side, c.uniform(0.7, 0.95))], 0.06), 1.5)


def hip_prosthesis_slice(c: Canvas) -> None:
    """A metal ball in one hip, with its streaks."""
    side = c.sign()
    angle = np.arctan2(c.y + 0.03, c.x - 0.58 * side)
    reach = np.hypot(c.y + 0.03, c.x - 0.58 * side)
    c.add(np.sin(9 * angle) * np.clip(0.5 / (reach + 0.15) - 0.4, 0, 1), 0.35)
    c.paint(c.disc(0.58 * side, -0.03, 0.17, 0.17), 1.3)


def plate(bones: Sequence[Bone]) -> Draw:
    """A metal plate along a bone and screws across it."""

    def draw(c: Canvas) -> None:
        ends, width = c.choice(bones)
        ux, uy = direction(ends)
        nx, ny = -uy * width, ux * width  # from the bone's axis to its surface
        start, stop = c.uniform(0.08, 0.2), c.uniform(0.8, 0.92)
        axis = [between(ends, t) for t in (start, stop)]
        c.add(c.line([(x + nx, y + ny) for x, y in axis], max(0.03, 0.25 * width)), 1.4)
        for t in np.linspace(start + 0.04, stop - 0.04, 4):
            x, y = between(ends, t)
            c.add(c.line([(x + nx, y + ny), (x - 1.2 * nx, y - 1.2 * ny)], 0.022), 1.2)

    return draw


def rods(c: Canvas) -> None:
    """Two rods beside the spine, held by screws."""
    top = c.uniform(-0.5, -0.2)
    for side in (-1, 1):
        c.add(c.line([(0.14 * side, top), (0.14 * side, top + 0.85)], 0.025), 1.4)
        for row in range(3):
            y = top + 0.08 + 0.34 * row
            c.add(c.line([(0.16 * side, y), (0.03 * side, y)], 0.04), 1.2)


def stent(c: Canvas) -> None:
    """A ureter's stent: a thread with both ends curled."""
    side = c.sign()
    top, low = (0.36 * side, -0.2), (0.1 * side, 0.82)
    c.add(c.line([top, (0.26 * side, 0.2), (0.2 * side, 0.6), low], 0.022), 1.1)
    c.add(c.ring(top[0] + 0.06 * side, top[1], 0.08, 0.08, 0.04), 1.1)
    c.add(c.ring(low[0] - 0.07 * side, low[1], 0.08, 0.07, 0.04), 1.1)


def implant(c: Canvas) -> None:
    """A smooth dense disc behind the gland."""
    c.paint(c.disc(-0.62, 0.12, c.uniform(0.3, 0.4), c.uniform(0.42, 0.52), 0, 0.02), 0.95)
