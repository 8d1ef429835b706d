"""Chest films, frontal and lateral, and what may be seen in them."""

from __future__ import annotations

import numpy as np

from replearn.phantoms.canvas import Area, Canvas
from replearn.phantoms.devices import pacemaker, sternal_wires, sternal_wires_lateral, tube
from replearn.phantoms.lesions import added_lump
from replearn.phantoms.lungs import atelectasis, cavity, consolidation, fibrosis
from replearn.phantoms.scene import Finding, Scene
from replearn.phantoms.spine import compression
from replearn.phantoms.xray_bones import Bone, fracture, ribs, vertebrae

_LUNGS: tuple[Area, ...] = ((-0.43, -0.12, 0.17, 0.36), (0.48, -0.2, 0.13, 0.32))
_COLLARBONES: tuple[Bone, ...] = (
    ((0.15, -0.62, 0.75, -0.74), 0.05),
    ((-0.15, -0.62, -0.75, -0.74), 0.05),
)


def _frontal(c: Canvas) -> None:
    """Chest, frontal: lungs between ribs, heart to the right of the picture's middle."""
    slope = np.clip((c.y + 1.0) / 0.5, 0, 1)
    c.add(c.cover(np.abs(c.x) - (0.28 + 0.66 * slope * (2 - slope))), 0.62)
    base = c.uniform(0.42, 0.58)
    c.floor = floor = base - 0.16 * np.cos(3.6 * (np.abs(c.x) - 0.42)) + 0.05 * np.sign(c.x)
    lungs = np.maximum(c.disc(-0.41, 0.0, 0.36, 0.78, 0.08), c.disc(0.43, 0.0, 0.35, 0.78, -0.08))
    lungs = lungs * c.cover(c.y - floor, 0.02)
    c.paint(lungs, 0.17 + 0.035 * c.noise(12))
    hila = c.disc(-0.17, -0.03, 0.12, 0.2, 0.2, 0.15) + c.disc(0.2, -0.08, 0.12, 0.2, -0.2, 0.15)
    c.add(hila * lungs, 0.16)
    c.paint(c.disc(0.0, -0.4, 0.15, 0.7, 0, 0.05), 0.68)
    width = c.uniform(0.24, 0.28)
    c.paint(c.disc(0.13, base - 0.2, width, 0.29, -0.5, 0.03), 0.78)
    c.paint(c.disc(0.13, -0.32, 0.1, 0.1, 0, 0.03), 0.75)
    c.add(c.band(c.x, 0.035, 0.03) * c.cover(c.y + 0.3, 0.1), -0.15)
    vertebrae(c, c.x, 0.1, 0.19, 0.07)
    thorax = c.disc(0, 0.05, 0.85, 0.98) * c.cover(c.y - floor - 0.2, 0.2)
    ribs(c, c.uniform(0.2, 0.24), thorax)
    for side in (-1, 1):
        c.add(c.line([(0.1 * side, -0.6), (0.4 * side, -0.7), (0.8 * side, -0.74)], 0.035), 0.2)
        c.add(c.disc(0.93 * side, -0.58, 0.15, 0.16), 0.25)
        c.add(c.line([(0.72 * side, -0.6), (0.78 * side, -0.1)], 0.04, 0.03), 0.12)
    c.add(c.disc(0.5, base + 0.16, 0.14, 0.08, 0, 0.05), -0.3)
    if c.rng.random() < 0.4:
        c.add(c.dome(-0.45, 0.45, 0.3, 0.26) + c.dome(0.45, 0.45, 0.3, 0.26), 0.12)


def _lateral(c: Canvas) -> None:
    """Chest from the side: spine behind, breastbone in front, heart low in front."""
    c.add(c.disc(0.02, 0.1, 0.86, 1.25), 0.6)
    floor = 0.5 + 0.3 * (c.x - 0.1) ** 2 + 0.18 * c.x
    lung = c.disc(0.03, 0.05, 0.62, 0.92, -0.12) * c.cover(c.y - floor, 0.02)
    c.paint(lung, 0.2 + 0.04 * c.noise(12))
    c.add(c.disc(-0.25, 0.25, 0.34, 0.3, 0.5, 0.06), 0.36)
    c.add(c.disc(-0.02, -0.5, 0.12, 0.5, 0.1, 0.1), 0.18)
    c.add(c.disc(0.05, -0.05, 0.14, 0.16, 0, 0.1), 0.2)
    spine = c.x - 0.52 + 0.14 * (c.y + 0.1) ** 2
    c.add(c.band(spine, 0.16, 0.06), 0.14)
    vertebrae(c, spine, 0.12, 0.2, 0.2)
    slant = np.cos((c.y - 0.55 * c.x) * 2 * np.pi / 0.24)
    c.add(np.clip(2.2 * slant - 0.9, 0, 1) * c.disc(0.1, 0.0, 0.66, 0.95), 0.09)
    c.add(c.line([(-0.52, -0.55), (-0.63, -0.1), (-0.6, 0.3)], 0.035), 0.3)
    c.add(c.line([(0.0, -1.2), (0.1, -0.8)], 0.22, 0.1), 0.12)


def _cardiomegaly(c: Canvas) -> None:
    """A heart wider than half the chest."""
    width = c.uniform(0.44, 0.54)
    c.paint(c.disc(0.1, 0.27, width, 0.32, -0.25, 0.03), 0.82)


def _hilar_nodes(c: Canvas) -> None:
    """Lobed enlargement of both hila."""
    for side in (-1, 1):
        for _ in range(3):
            x, y = 0.24 * side + c.uniform(-0.06, 0.08), c.uniform(-0.25, 0.02)
            c.paint(c.disc(x, y, 0.1, 0.09, 0, 0.02), 0.78)


def _pneumothorax(c: Canvas) -> None:
    """Air without markings around a shrunken lung whose edge shows as a line."""
    side, shrink = c.sign(), c.uniform(0.68, 0.8)
    outer = c.disc(0.42 * side, -0.05, 0.36, 0.76) * c.cover(c.y - 0.4)
    cx, cy = 0.42 * side - 0.1 * side, 0.1
    rim = (c.radius(cx, cy, 0.36 * shrink, 0.72 * shrink) - 1) * 0.26
    air = outer * c.cover(-rim) * c.cover(0.16 - np.abs(c.x))
    c.paint(air * 0.9, 0.0)
    c.add(outer * c.cover(rim), 0.16)
    c.add(outer * c.band(rim, 0.015) * c.cover(0.16 - np.abs(c.x)), 0.3)


def _oedema(c: Canvas) -> None:
    """Haze that spreads from both hila like wings."""
    reach, change = c.uniform(0.17, 0.22), c.uniform(0.35, 0.45)
    for x in (-0.36, 0.4):
        wing = c.blob(x, -0.05, reach, 1.6 * reach, 0.15, 0.14)
        c.add(wing * np.clip(1 + 0.3 * c.noise(14), 0, 2), change)


def _pleural_effusion(c: Canvas) -> None:
    """Fluid that fills one lung's base, higher at the chest wall."""
    side, level = c.sign(), c.uniform(-0.05, 0.25)
    lung = c.disc(0.42 * side, 0, 0.36, 0.8)
    surface = level - 0.6 * (np.abs(c.x) - 0.35) ** 2 * np.sign(np.abs(c.x) - 0.35)
    c.occupy(0.42 * side, level + 0.3)
    c.paint(lung * c.cover(surface - c.y, 0.05) * 0.92, 0.85)


def _pleural_effusion_lateral(c: Canvas) -> None:
    """Fluid in the angle behind the lung."""
    level = c.uniform(0.1, 0.3)
    mask = c.disc(0.03, 0.05, 0.64, 0.95, -0.12) * c.cover(level + 0.3 * (0.4 - c.x) - c.y, 0.05)
    c.paint(mask * c.cover(-0.15 - c.x, 0.2) * 0.9, 0.85)


def _pneumoperitoneum(c: Canvas) -> None:
    """Dark crescents of air under the diaphragm."""
    depth = c.uniform(0.1, 0.16)
    side = c.band(np.abs(c.x) - 0.42, 0.3, 0.03)
    under = np.abs(c.y - c.floor - 0.045 - depth / 2) - depth / 2
    c.paint(c.cover(under) * side * c.cover(c.x if c.rng.random() < 0.6 else c.x - 2), 0.02)


_FRONTAL_FINDINGS = (
    Finding("Cardiomegaly", 0.24, _cardiomegaly),
    Finding("Pulmonary fibrosis", 0.09, fibrosis(_LUNGS, 0.45)),
    Finding("Lymphadenopathy", 0.07, _hilar_nodes),
    Finding("Pneumothorax", 0.09, _pneumothorax),
    Finding("Oedema", 0.09, _oedema),
    Finding("Pleural effusion", 0.22, _pleural_effusion),
    Finding("Lung consolidation", 0.16, consolidation(_LUNGS, 0.42)),
    Finding("Cavitation", 0.06, cavity(_LUNGS, 0.7)),
    Finding("Mass", 0.1, added_lump(_LUNGS, (0.15, 0.2), (0.5, 0.75))),
    Finding("Nodule", 0.16, added_lump(_LUNGS, (0.08, 0.11), (0.45, 0.7), count=(1, 3))),
    Finding("Atelectasis", 0.13, atelectasis(_LUNGS, 0.5)),
    Finding("Pneumoperitoneum", 0.05, _pneumoperitoneum),
    Finding("Fracture", 0.05, fracture(_COLLARBONES)),
    Finding("Sternotomy wires", 0.11, sternal_wires),
    Finding("Pacemaker", 0.09, pacemaker),
    Finding(
        "Central venous catheter",
        0.15,
        tube([(0.6, -0.58), (0.3, -0.68), (0.12, -0.5), (0.1, 0.02)], 0.028, 1.0),
    ),
    Finding("Chest tube", 0.065, tube([(0.85, 0.2), (0.6, 0.05), (0.4, -0.5)], 0.042, 0.75)),
    Finding("Nasogastric tube", 0.1, tube([(0.0, -1.1), (-0.02, 0.55), (0.3, 0.72)], 0.03, 0.9)),
)
_LATERAL_FINDINGS = (
    Finding("Pleural effusion", 0.25, _pleural_effusion_lateral),
    Finding("Nodule", 0.18, added_lump([(0.15, -0.15, 0.2, 0.35)], (0.08, 0.11), (0.5, 0.75))),
    Finding("Mass", 0.12, added_lump([(0.15, -0.15, 0.2, 0.3)], (0.15, 0.2), (0.5, 0.75))),
    Finding("Lung consolidation", 0.18, consolidation([(0.1, 0.0, 0.25, 0.3)], 0.42)),
    Finding("Fracture", 0.12, compression(0.5, 0.2)),
    Finding("Sternotomy wires", 0.16, sternal_wires_lateral),
)
SCENES = (
    Scene(("Plain x-ray", "Chest"), 11, _frontal, _FRONTAL_FINDINGS),
    Scene(
        ("Plain x-ray", "Chest", "Lateral projection"), 4, _lateral, _LATERAL_FINDINGS, flips=True
    ),
)
