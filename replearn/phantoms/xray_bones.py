"""Bones on plain film, and what befalls them: fractures, spurs, worn joints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from replearn.phantoms.canvas import Area, Array, Canvas, Draw, Point, Segment
from replearn.phantoms.spine import vertebral_phase

Bone = tuple[Segment, float]
"""A long bone: the ends of its axis and its half width."""


def shaft(c: Canvas, ends: Segment, width: float, flare: float = 0.0, bone: float = 0.3) -> None:
    """A long bone with a dense cortex, wider at its ends by `flare`."""
    t, reach = c.along(*ends)
    half = width + flare * np.abs(2 * t - 1) ** 5 if flare else width
    outer, inner = c.cover(reach - half), c.cover(reach - 0.6 * half)
    c.add(outer, bone * 1.25)
    c.add(inner, -bone * 0.4)


def vertebrae(
    c: Canvas, x: Array, half: float, pitch: float, bone: float, top: float = -2.0
) -> None:
    """A column of vertebral bodies, from `top` down, around the curve on which `x` is zero."""
    phase = vertebral_phase(c, pitch)
    waist = half * (0.88 + 0.8 * phase * phase)
    body = c.band(x, waist) * c.cover((np.abs(phase) - 0.4) * pitch)
    body = body * c.cover(top - c.y, 0.1)
    c.add(body, bone)
    c.add(c.band(np.abs(x) - waist, 0.012) * body, 0.5 * bone)
    pedicle = np.hypot((np.abs(x) - 0.62 * half) / 0.2, phase * pitch / 0.32)
    c.add(c.cover((pedicle - half) * 0.2) * c.cover(top - c.y, 0.1), 0.4 * bone)


def ribs(c: Canvas, pitch: float, thorax: Array) -> None:
    """Ribs that fall away from the spine, with fainter front ends that rise."""
    across = np.abs(c.x)
    back = np.cos((c.y - 0.5 * across + 0.75 * across * across) * (2 * np.pi / pitch))
    front = np.cos((c.y + 0.75 * across - 0.1) * (2 * np.pi / pitch))
    c.add(np.clip(2.2 * back - 0.5, 0, 1) * thorax, 0.13)
    c.add(np.clip(2.5 * front - 1.2, 0, 1) * thorax * c.cover(0.35 - across, 0.2), 0.07)


def between(ends: Segment, t: float) -> Point:
    """The point at a share `t` of the way along a segment."""
    x0, y0, x1, y1 = ends
    return x0 + t * (x1 - x0), y0 + t * (y1 - y0)


def direction(ends: Segment) -> Point:
    """The unit vector from a segment's first end to its second."""
    x0, y0, x1, y1 = ends
    length = float(np.hypot(x1 - x0, y1 - y0))
    return (x1 - x0) / length, (y1 - y0) / length


def fracture(bones: Sequence[Bone]) -> Draw:
    """A long bone broken across: a dark gap, and its far part slid aside."""

    def draw(c: Canvas) -> None:
        ends, width = c.choice(bones)
        x, y = between(ends, c.uniform(0.3, 0.7))
        slide = c.sign() * c.uniform(0.6, 0.9) * max(width, 0.08)
        ux, uy = direction(ends)
        past = (c.x - x) * ux + (c.y - y) * uy + 0.4 * ((c.y - y) * ux - (c.x - x) * uy)
        _, reach = c.along(*ends)
        near = c.cover(reach - max(2.2 * width, 0.14), width)
        moved = c.cover(-past) * near * np.exp(-2 * np.maximum(past, 0))
        c.warp(-uy * slide * moved, ux * slide * moved)
        gap = c.band(past, 0.035, 0.01) * c.cover(reach - width - 0.4 * abs(slide))
        c.paint(gap, 0.22)
        c.occupy(x, y)

    return draw


def spurs(points: Sequence[Point], size: float = 0.07) -> Draw:
    """Bony beaks at the edges of a joint."""

    def draw(c: Canvas) -> None:
        order = c.rng.permutation(len(points))
        for k in order[: max(2, len(points) // 2)]:
            x, y = points[k]
            r = size * c.uniform(0.9, 1.3)
            c.add(c.disc(x, y, 1.5 * r, 0.75 * r, c.uniform(-0.3, 0.3)), 0.6)

    return draw


def worn_joint(sites: Sequence[Area]) -> Draw:
    """A joint gap closed by dense bone, with a dark cyst or two beside it."""

    def draw(c: Canvas) -> None:
        for k in c.rng.permutation(len(sites))[: max(1, len(sites) // 3)]:
            x, y, rx, ry = sites[k]
            c.add(c.disc(x, y, rx, ry, 0, 0.03), c.uniform(0.6, 0.8))
            c.paint(c.disc(x + c.uniform(-0.4, 0.4) * rx, y + 0.6 * ry, 0.22 * rx, 0.3 * ry), 0.3)

    return draw
