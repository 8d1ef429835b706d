"""Findings that are drawn alike in many kinds of picture; each function makes one at given places.

On film they add attenuation, in slices and sonograms they cover the tissue with their own level.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from replearn.phantoms.canvas import Area, Canvas, Draw, Range


def added_lump(
    areas: Sequence[Area],
    radius: Range,
    change: Range,
    *,
    count: tuple[int, int] = (1, 1),
    rough: float = 0.12,
    soft: float = 0.03,
) -> Draw:
    """A rounded thing that adds attenuation (or, below zero, takes it away)."""

    def draw(c: Canvas) -> None:
        for _ in range(c.rng.integers(count[0], count[1] + 1)):
            (x, y), r = c.place(areas), c.uniform(*radius)
            mask = c.blob(x, y, r, r * c.uniform(0.8, 1.2), rough, soft)
            c.add(mask, c.uniform(*change))

    return draw


def painted_lump(
    areas: Sequence[Area],
    radius: Range,
    level: Range | str,
    *,
    count: tuple[int, int] = (1, 1),
    rough: float = 0.12,
    rim: float | str | None = None,
    through: float | None = None,
) -> Draw:
    """A rounded thing of its own level, or a tissue's, perhaps with a rim and a sound shadow."""

    def draw(c: Canvas) -> None:
        for _ in range(c.rng.integers(count[0], count[1] + 1)):
            (x, y), r = c.place(areas), c.uniform(*radius)
            value = c.tissue[level] if isinstance(level, str) else c.uniform(*level)
            ratio, bends = c.uniform(0.8, 1.2), c.rng.bit_generator.state
            if rim is not None:
                wall = c.tissue[rim] if isinstance(rim, str) else rim
                c.paint(c.blob(x, y, r + 0.035, r * ratio + 0.035, rough), wall)
                c.rng.bit_generator.state = bends  # the rim and the inside undulate alike
            c.paint(c.blob(x, y, r, r * ratio, rough), value)
            if through is not None:
                c.shade(x, y, r, through)

    return draw


def oedema(areas: Sequence[Area], radius: Range) -> Draw:
    """A soft-edged swelling of a tissue."""

    def draw(c: Canvas) -> None:
        (x, y), r = c.place(areas), c.uniform(*radius)
        mask = c.blob(x, y, r, r * c.uniform(0.7, 1.3), 0.2, 0.16)
        c.paint(mask, c.tissue.get("lesion", 0.22))

    return draw


def specks(areas: Sequence[Area], spread: float, grain: float, change: float, count: int) -> Draw:
    """A cluster of bright specks."""

    def draw(c: Canvas) -> None:
        x, y = c.place(areas)
        masks = []
        for _ in range(count + int(c.rng.integers(0, 4))):
            u, v = c.rng.uniform(-spread, spread, 2)
            masks.append(c.disc(x + u, y + v, grain, grain * c.uniform(0.7, 1.5)))
        c.add(np.maximum.reduce(masks), change)

    return draw
