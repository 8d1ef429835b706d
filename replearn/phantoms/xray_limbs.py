"""Films of the knee and of the hand, and what may be seen in them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from replearn.phantoms.canvas import Canvas
from replearn.phantoms.devices import knee_prosthesis, plate
from replearn.phantoms.lesions import added_lump
from replearn.phantoms.scene import Finding, Scene
from replearn.phantoms.xray_bones import Bone, fracture, shaft, spurs, worn_joint

_LEG_BONES: tuple[Bone, ...] = (
    ((0, -1.0, 0, -0.3), 0.17),
    ((0.02, 0.25, 0.02, 1.0), 0.17),
    ((0.37, 0.34, 0.35, 1.0), 0.06),
)
_HAND_BONES: tuple[Bone, ...] = (
    ((-0.16, 0.3, -0.26, -0.14), 0.05),
    ((-0.03, 0.28, -0.06, -0.17), 0.05),
    ((0.1, 0.31, 0.14, -0.1), 0.05),
    ((-0.26, -0.14, -0.33, -0.48), 0.05),
    ((-0.06, -0.17, -0.08, -0.55), 0.05),
)


def _knee(c: Canvas) -> None:
    """Knee, frontal: femur, kneecap, joint gap, tibia and fibula."""
    c.add(c.cover(np.abs(c.x - 0.03) - 0.5 - 0.06 * np.cos(2.6 * c.y), 0.02), 0.26)
    shaft(c, (0, -1.5, 0, -0.3), 0.17, 0.13, 0.36)
    for side in (-1, 1):
        c.add(c.disc(0.18 * side, -0.22, 0.2, 0.2), 0.2)
    shaft(c, (0.02, 0.26, 0.02, 1.6), 0.16, 0.14, 0.36)
    plateau = c.band(c.x, 0.38, 0.02) * c.band(c.y - 0.16, 0.1, 0.02)
    c.add(plateau, 0.36)
    shaft(c, (0.38, 0.34, 0.34, 1.5), 0.055, 0.04, 0.3)
    c.add(c.dome(0.02, -0.36, 0.19, 0.2), 0.14)


def _hand(c: Canvas) -> None:
    """Hand and wrist seen from the back, fingers up."""
    fingers = (
        [(-0.3, 0.42), (-0.52, 0.16), (-0.68, -0.08), (-0.78, -0.26)],
        [(-0.16, 0.3), (-0.26, -0.14), (-0.33, -0.48), (-0.36, -0.68), (-0.38, -0.84)],
        [(-0.03, 0.28), (-0.06, -0.17), (-0.08, -0.55), (-0.09, -0.79), (-0.09, -0.95)],
        [(0.1, 0.31), (0.14, -0.1), (0.18, -0.45), (0.2, -0.67), (0.21, -0.82)],
        [(0.22, 0.36), (0.33, 0.0), (0.4, -0.25), (0.44, -0.41), (0.47, -0.55)],
    )
    flesh = [c.line(finger, 0.095) for finger in fingers]
    flesh += [c.disc(-0.04, 0.2, 0.36, 0.42, 0, 0.04), c.line([(-0.03, 0.5), (0, 1.4)], 0.25)]
    c.add(np.maximum.reduce(flesh), 0.26)
    for finger in fingers:
        for (x0, y0), (x1, y1) in pairwise(finger):
            dx, dy = 0.1 * (x1 - x0), 0.1 * (y1 - y0)
            shaft(c, (x0 + dx, y0 + dy, x1 - dx, y1 - dy), 0.034, 0.02, 0.4)
    for x, y in ((-0.2, 0.5), (-0.06, 0.46), (0.08, 0.46), (-0.14, 0.62), (0.02, 0.6), (0.14, 0.6)):
        c.add(c.disc(x, y, 0.085, 0.075), 0.3)
    shaft(c, (-0.12, 0.82, -0.1, 1.6), 0.1, 0.07, 0.4)
    shaft(c, (0.16, 0.84, 0.12, 1.6), 0.06, 0.05, 0.4)


_KNEE_FINDINGS = (
    Finding("Fracture", 0.22, fracture(_LEG_BONES)),
    Finding("Osteophyte", 0.2, spurs([(s * 0.42, y) for s in (-1, 1) for y in (-0.08, 0.14)])),
    Finding("Osteoarthritis", 0.26, worn_joint([(s * 0.2, 0.04, 0.2, 0.09) for s in (-1, 1)])),
    Finding(
        "Lytic lesion",
        0.15,
        added_lump([(0, -0.6, 0.05, 0.2), (0, 0.5, 0.05, 0.2)], (0.1, 0.15), (-0.6, -0.45)),
    ),
    Finding("Joint prosthesis", 0.22, knee_prosthesis),
    Finding("Internal fixation", 0.16, plate(_LEG_BONES)),
)
_HAND_FINDINGS = (
    Finding("Fracture", 0.3, fracture(_HAND_BONES)),
    Finding(
        "Osteoarthritis",
        0.26,
        worn_joint(
            [
                (-0.26, -0.14, 0.09, 0.08),
                (-0.06, -0.17, 0.09, 0.08),
                (0.14, -0.1, 0.09, 0.08),
                (-0.33, -0.48, 0.08, 0.07),
                (-0.08, -0.55, 0.08, 0.07),
                (-0.15, 0.5, 0.1, 0.1),
            ]
        ),
    ),
    Finding(
        "Lytic lesion",
        0.14,
        added_lump([(0.0, 0.1, 0.2, 0.1), (-0.08, 0.54, 0.08, 0.04)], (0.08, 0.11), (-0.6, -0.5)),
    ),
    Finding("Internal fixation", 0.2, plate(_HAND_BONES)),
)
SCENES = (
    Scene(("Plain x-ray", "Lower extremity"), 4, _knee, _KNEE_FINDINGS, turn=0.2, flips=True),
    Scene(("Plain x-ray", "Upper extremity"), 4, _hand, _HAND_FINDINGS, turn=0.25, flips=True),
)
