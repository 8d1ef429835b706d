"""Abdominal films, and what may be seen in them."""

from __future__ import annotations

import numpy as np

from replearn.phantoms.canvas import Canvas
from replearn.phantoms.devices import stent, tube
from replearn.phantoms.lesions import added_lump
from replearn.phantoms.scene import Finding, Scene
from replearn.phantoms.xray_bones import ribs, spurs, vertebrae
from replearn.phantoms.xray_spine import aortic_calcification, scoliosis


def _abdomen(c: Canvas) -> None:
    """Abdomen: lumbar spine, gas in the bowel, iliac wings below."""
    c.add(c.cover(np.abs(c.x) - 0.86 - 0.08 * np.cos(3 * c.y)), 0.45)
    c.add(c.dome(-0.45, -0.6, 0.5, 0.5), 0.16)
    for side in (-1, 1):
        c.add(c.dome(0.42 * side, -0.15, 0.15, 0.27, 0.2 * side), 0.1)
        psoas = c.x * side - 0.12 - 0.3 * (c.y + 0.4)
        c.add(c.cover(psoas, 0.02) * c.cover(-c.x * side) * c.cover(-0.4 - c.y, 0.1), 0.05)
        c.add(c.disc(0.58 * side, 0.78, 0.34, 0.4, 0.5 * side), 0.18)
        c.add(c.ring(0.58 * side, 0.78, 0.34, 0.4, 0.05, 0.5 * side), 0.14)
    vertebrae(c, c.x, 0.14, 0.29, 0.2)
    c.add(c.disc(0, 0.85, 0.2, 0.3), 0.14)
    ribs(c, 0.27, c.cover(c.y + 0.3, 0.2) * c.band(c.x, 0.8))
    for _ in range(7):
        x, y = c.uniform(-0.65, 0.65), c.uniform(-0.45, 0.6)
        c.add(c.blob(x, y, c.uniform(0.05, 0.12), c.uniform(0.05, 0.1), 0.2, 0.05), -0.2)


def _obstruction(c: Canvas) -> None:
    """Wide loops of bowel, full of gas and stacked like a ladder."""
    y = c.uniform(-0.4, -0.25)
    for row in range(c.rng.integers(3, 5)):
        x, tilt = c.uniform(-0.12, 0.12), c.uniform(-0.1, 0.1)
        half = c.uniform(0.3, 0.45)
        loop = [(x - half, y - tilt), (x, y + 0.04), (x + half, y + tilt)]
        c.paint(c.line(loop, 0.1) * 0.8, 0.75)
        folds = np.clip(np.cos(c.x * 38 + row) - 0.55, 0, 1)
        c.paint(c.line(loop, 0.075) * 0.9, (0.08 + 0.6 * folds).astype(np.float32))
        y += 0.22


def _barium(c: Canvas) -> None:
    """Bowel filled with contrast agent."""
    x, y = c.uniform(-0.3, 0.1), c.uniform(-0.2, 0.2)
    path = [(x, y)]
    for k in range(5):
        path.append(
            (
                path[-1][0] + c.uniform(0.05, 0.22) * (1 if k % 2 else -0.7),
                path[-1][1] + c.uniform(0.04, 0.14),
            )
        )
    c.add(c.line(path, c.uniform(0.055, 0.075), 0.02), 0.95)


_FINDINGS = (
    Finding("Scoliosis", 0.12, scoliosis),
    Finding("Intestinal obstruction", 0.2, _obstruction),
    Finding("Contrast media", 0.14, _barium),
    Finding("Calcification", 0.16, aortic_calcification),
    Finding(
        "Kidney stone",
        0.24,
        added_lump([(0.4, -0.15, 0.1, 0.2), (-0.4, -0.15, 0.1, 0.2)], (0.065, 0.1), (0.8, 1.1)),
    ),
    Finding("Osteophyte", 0.12, spurs([(s * 0.17, y) for s in (-1, 1) for y in (-0.2, 0.1)])),
    Finding("Stent", 0.2, stent),
    Finding("Nasogastric tube", 0.16, tube([(0.02, -1.1), (0.05, -0.7), (0.45, -0.5)], 0.03, 0.9)),
)
SCENES = (Scene(("Plain x-ray", "Abdomen"), 4.5, _abdomen, _FINDINGS),)
