"""The brain in axial slices, by computed tomography or magnetic resonance, and its findings.

Levels come from the canvas's tissues where the weighting has set them, else they are those of
computed tomography.
"""

from __future__ import annotations

import numpy as np

from replearn.phantoms.canvas import Area, Array, Canvas

_SURFACE: Area = (0, 0, 0.58, 0.74)
BRAIN: tuple[Area, ...] = ((-0.3, 0.0, 0.14, 0.42), (0.3, 0.0, 0.14, 0.42))
"""Where findings lie in the two hemispheres."""


def cortex(c: Canvas, levels: tuple[float, float, float], folds: float) -> None:
    """White matter, a folded ribbon of grey matter, and fluid in the folds."""
    white, grey, fluid = levels
    inside = c.radius(*_SURFACE)
    brain = c.cover((inside - 1) * 0.6)
    angle = np.arctan2(c.y, c.x)
    wave = np.sin(15 * angle + 3 * c.noise(5)) + 0.6 * c.noise(14)
    c.paint(brain, grey)
    c.paint(c.cover((inside - 0.8 - 0.07 * wave) * 0.6), white)
    sulci = c.cover((0.8 - inside) * 0.6) * np.clip(folds * wave - 0.55, 0, 1)
    c.paint(sulci * brain, fluid)
    c.paint(c.band(c.x, 0.012) * brain, fluid)
    for side in (-1, 1):
        c.paint(c.disc(0.2 * side, 0.03, 0.1, 0.15, -0.3 * side, 0.03), grey)


def ventricles(c: Canvas, width: float) -> Array:
    """The lateral ventricles: two horns in front, two behind, and the third between."""
    parts = [c.disc(0, 0.05, 0.03 * width, 0.12)]
    for side in (-1, 1):
        parts.append(c.disc(0.1 * side * width**0.5, -0.16, 0.055 * width, 0.2, -0.3 * side))
        parts.append(c.disc(0.15 * side * width**0.5, 0.22, 0.05 * width, 0.2, 0.45 * side))
    return np.asarray(np.maximum.reduce(parts), np.float32)


def hydrocephalus(c: Canvas) -> None:
    """Ventricles swollen with fluid."""
    c.paint(ventricles(c, c.uniform(2.3, 2.9)), c.tissue.get("fluid", 0.18))


def infarct(c: Canvas) -> None:
    """A wedge of dead brain that reaches the surface."""
    side, middle, spread = c.sign(), c.uniform(-0.7, 0.9), c.uniform(0.3, 0.45)
    angle = np.arctan2(c.y, c.x * side)
    wedge = c.cover((np.abs(angle - middle) - spread) * 0.5, 0.05)
    inside = c.radius(*_SURFACE)
    wedge = wedge * c.cover((inside - 1) * 0.6) * c.cover((0.4 - inside) * 0.6, 0.05)
    c.paint(wedge, c.tissue.get("lesion", 0.2))
    c.occupy(0.45 * side * float(np.cos(middle)), 0.6 * float(np.sin(middle)))


def vessels(c: Canvas) -> None:
    """Bright vessels at the brain's base and in its folds."""
    level = c.tissue.get("enhancing", 0.85)
    c.paint(c.line([(0, -0.72), (0, -0.4)], 0.035) + c.line([(0, 0.45), (0, 0.72)], 0.05), level)
    for side in (-1, 1):
        bend, tip = c.uniform(-0.25, -0.05), c.uniform(-0.15, 0.15)
        path = [(0.06 * side, -0.08), (0.3 * side, bend), (0.5 * side, tip)]
        c.paint(c.line(path, 0.028), level)
        c.paint(c.disc(0.14 * side, 0.2, 0.04, 0.1, 0.4 * side), level)
