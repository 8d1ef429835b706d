"""Head slices of computed tomography, and what may be seen in them."""

from __future__ import annotations

import numpy as np

from replearn.phantoms.brain import BRAIN, cortex, hydrocephalus, infarct, ventricles, vessels
from replearn.phantoms.canvas import Canvas
from replearn.phantoms.lesions import oedema, painted_lump, specks
from replearn.phantoms.scene import Finding, Scene


def _head(c: Canvas) -> None:
    """Head, axial: bright skull, brain, dark ventricles."""
    c.paint(c.disc(0, 0, 0.73, 0.9), 0.36)
    c.paint(c.disc(0, 0, 0.69, 0.86), 0.98)
    c.paint(c.disc(0, 0, 0.6, 0.77), 0.3)
    cortex(c, (0.44, 0.52, 0.3), 0.8)
    c.paint(ventricles(c, c.uniform(0.7, 1.15)), 0.2)


def _broken_vault(c: Canvas) -> None:
    """A skull slice whose ring is broken and pressed in."""
    angle = c.uniform(0, 2 * np.pi)
    x, y = 0.65 * np.cos(angle), 0.82 * np.sin(angle)
    near = np.exp(-(((c.x - x) ** 2 + (c.y - y) ** 2) / 0.035))
    c.warp(-0.13 * np.cos(angle) * near, -0.13 * np.sin(angle) * near)
    for off in (-0.13, 0.13):
        cos, sin = float(np.cos(angle + off)), float(np.sin(angle + off))
        gap = c.line([(0.56 * cos, 0.72 * sin), (0.69 * cos, 0.85 * sin)], 0.03)
        c.paint(gap, 0.3)


def _subdural(c: Canvas) -> None:
    """A bright crescent between skull and brain."""
    side, depth = c.sign(), c.uniform(0.12, 0.18)
    inside = c.disc(0, 0, 0.6, 0.77)
    c.paint(inside * (1 - c.disc(-depth * side, 0.02, 0.6, 0.77)), c.uniform(0.76, 0.86))


_FINDINGS = (
    Finding("Hydrocephalus", 0.16, hydrocephalus),
    Finding("Infarction", 0.2, infarct),
    Finding("Oedema", 0.13, oedema(BRAIN, (0.2, 0.26))),
    Finding("Contrast media", 0.22, vessels),
    Finding("Neoplasm", 0.16, painted_lump(BRAIN, (0.1, 0.16), (0.5, 0.56), rim=0.75)),
    Finding("Haemorrhage", 0.3, painted_lump(BRAIN, (0.1, 0.17), (0.74, 0.86), rough=0.22)),
    Finding("Calcification", 0.12, specks(BRAIN, 0.08, 0.04, 0.5, 3)),
    Finding("Fracture", 0.14, _broken_vault),
    Finding("Subdural haematoma", 0.22, _subdural),
)
SCENES = (Scene(("X-Ray Computed Tomography", "Head"), 5, _head, _FINDINGS, turn=0.2, flips=True),)
