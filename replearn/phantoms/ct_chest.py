"""Chest slices of computed tomography, and what may be seen in them."""

from __future__ import annotations

import numpy as np

from replearn.phantoms.canvas import Area, Array, Canvas
from replearn.phantoms.ct_trunk import cut_ribs, enhanced, hot_spots, nodes, trunk, vertebra
from replearn.phantoms.lesions import painted_lump, specks
from replearn.phantoms.lungs import atelectasis, cavity, consolidation, fibrosis
from replearn.phantoms.scene import Finding, Scene

_LUNGS: tuple[Area, ...] = ((-0.45, 0.0, 0.16, 0.28), (0.47, 0.05, 0.14, 0.25))


def _chest(c: Canvas) -> None:
    """Chest, axial: both lungs, heart or vessels between them, ribs and a vertebra."""
    trunk(c, 0.93, 0.7, c.uniform(0.05, 0.1))
    for side in (-1, 1):
        c.paint(_lung(c, side), 0.12 + 0.02 * c.noise(14))
        vessels = np.clip(2.2 * c.noise(22) - 2.4, 0, 1) * c.disc(0.4 * side, 0, 0.28, 0.42)
        c.paint(vessels, 0.4)
    heart = c.uniform(0.26, 0.33)
    c.paint(c.disc(0, -0.15, 0.17, 0.36, 0, 0.02), 0.42)
    c.paint(c.disc(0.1, -0.13, heart, 0.24, 0.5), 0.55)
    c.paint(c.disc(0.13, 0.26, 0.075, 0.075), 0.56)
    c.paint(c.disc(-0.08, 0.14, 0.06, 0.05), 0.1)
    c.paint(c.disc(0, 0.38, 0.22, 0.2), 0.52)
    vertebra(c, 0.38)
    cut_ribs(c, 0.8, 0.58)
    c.paint(c.disc(0, -0.56, 0.12, 0.035), 0.9)


def _lung(c: Canvas, side: float) -> Array:
    """One lung."""
    return c.disc(0.43 * side, -0.02, 0.32, 0.5, -0.12 * side)


def _cardiomegaly(c: Canvas) -> None:
    """A large heart between the lungs."""
    c.paint(c.disc(0.1, -0.12, c.uniform(0.44, 0.5), 0.32, 0.35), c.uniform(0.55, 0.6))


def _pericardial_effusion(c: Canvas) -> None:
    """A dark rim of fluid around the heart."""
    c.paint(c.disc(0.1, -0.13, 0.42, 0.33, 0.5), 0.28)
    c.paint(c.disc(0.1, -0.14, 0.31, 0.22, 0.5), 0.6)


def _pneumothorax(c: Canvas) -> None:
    """Air in front of a lung that has sunk back and turned dense."""
    side, level = c.sign(), c.uniform(-0.15, 0.05)
    lung = _lung(c, side)
    below = c.cover(level + 0.3 * (np.abs(c.x) - 0.4) - c.y, 0.02)
    c.paint(lung * (1 - below), 0.0)
    c.add(lung * below, 0.2)


def _pleural_effusion(c: Canvas) -> None:
    """A crescent of fluid behind one lung."""
    side, level = c.sign(), c.uniform(0.08, 0.24)
    lung = _lung(c, side)
    c.occupy(0.43 * side, 0.35)
    c.paint(lung * c.cover(level - 0.25 * np.abs(c.x) ** 2 - c.y, 0.02), 0.45)


_FINDINGS = (
    Finding("Cardiomegaly", 0.12, _cardiomegaly),
    Finding("Pericardial effusion", 0.1, _pericardial_effusion),
    Finding(
        "Contrast media",
        0.4,
        enhanced([(0.04, -0.2, 0.14, 0.12), (0.2, -0.08, 0.1, 0.12), (0.13, 0.26, 0.075, 0.075)]),
    ),
    Finding("Pulmonary fibrosis", 0.12, fibrosis(_LUNGS, 0.45)),
    Finding("Pneumothorax", 0.08, _pneumothorax),
    Finding("Lung consolidation", 0.16, consolidation(_LUNGS, 0.38)),
    Finding("Pleural effusion", 0.2, _pleural_effusion),
    Finding("Cavitation", 0.06, cavity(_LUNGS, 0.55)),
    Finding("Mass", 0.13, painted_lump(_LUNGS, (0.13, 0.18), (0.5, 0.62), rough=0.2)),
    Finding("Nodule", 0.2, painted_lump(_LUNGS, (0.07, 0.1), (0.5, 0.65), count=(1, 3))),
    Finding("Atelectasis", 0.09, atelectasis(_LUNGS, 0.4)),
    Finding("Lymphadenopathy", 0.12, nodes([(-0.05, 0.02, 0.08, 0.08)])),
    Finding("Calcification", 0.08, specks([(0.1, -0.15, 0.1, 0.08)], 0.09, 0.04, 0.7, 4)),
    Finding("PET/CT", 0.13, hot_spots([*_LUNGS, (0, 0, 0.1, 0.1)])),
)
SCENES = (Scene(("X-Ray Computed Tomography", "Chest"), 8, _chest, _FINDINGS),)
