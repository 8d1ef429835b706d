"""Skull films, frontal and lateral, and what may be seen in them."""

from __future__ import annotations

import numpy as np

from replearn.phantoms.canvas import Canvas
from replearn.phantoms.devices import plate
from replearn.phantoms.lesions import added_lump, specks
from replearn.phantoms.scene import Finding, Scene
from replearn.phantoms.xray_bones import vertebrae


def _frontal(c: Canvas) -> None:
    """Skull, frontal: vault, orbits, nose and jaw."""
    c.add(c.disc(0, -0.1, 0.76, 0.86), 0.15)
    c.add(c.band(c.x, 0.4, 0.02) * c.cover(0.3 - c.y), 0.25)
    c.add(c.disc(0, -0.2, 0.68, 0.72), c.uniform(0.28, 0.32))
    c.add(c.ring(0, -0.2, 0.68, 0.72, 0.08), 0.3)
    c.add(c.disc(0, 0.35, 0.45, 0.45, 0, 0.06), 0.3)
    jaw = c.ring(0, 0.3, 0.5, 0.56, 0.11)
    c.add(jaw * c.cover(0.2 - c.y, 0.1), 0.3)
    for side in (-1, 1):
        c.add(c.ring(0.27 * side, 0.02, 0.22, 0.18, 0.05), 0.25)
        c.add(c.disc(0.27 * side, 0.02, 0.19, 0.15, 0, 0.04), -0.3)
        c.add(c.disc(0.27 * side, 0.32, 0.13, 0.11, 0, 0.06), -0.18)
        c.add(c.disc(0.08 * side, -0.2, 0.08, 0.08, 0, 0.04), -0.15)
    c.add(c.disc(0, 0.23, 0.1, 0.17, 0, 0.03), -0.35)
    c.add(c.line([(0, 0.08), (0, 0.4)], 0.015), 0.25)
    teeth = np.clip(0.6 + np.cos(c.x * 55), 0, 1)
    c.add(teeth * c.disc(0, 0.55, 0.26, 0.1), 0.25)
    vertebrae(c, c.x, 0.13, 0.2, 0.12, 0.6)


def _lateral(c: Canvas) -> None:
    """Skull from the side, face to the left of the unmirrored picture."""
    c.add(c.disc(0.08, -0.15, 0.84, 0.74), 0.15)
    c.add(c.line([(0.25, 0.3), (0.35, 1.3)], 0.3), 0.3)
    c.add(c.disc(0.1, -0.18, 0.76, 0.64), 0.25)
    c.add(c.ring(0.1, -0.18, 0.76, 0.64, 0.08), 0.35)
    c.add(c.disc(-0.4, 0.4, 0.34, 0.44, 0.1, 0.04), 0.32)
    c.add(c.disc(-0.48, 0.06, 0.15, 0.12, 0, 0.04), -0.25)
    c.add(c.disc(-0.42, 0.32, 0.16, 0.12, 0, 0.05), -0.22)
    c.add(c.line([(-0.6, 0.8), (-0.2, 0.72), (0.08, 0.3)], 0.08), 0.25)
    c.add(np.clip(0.6 + np.cos(c.x * 50), 0, 1) * c.disc(-0.52, 0.6, 0.2, 0.09), 0.3)
    c.add(c.disc(0.18, 0.28, 0.25, 0.14, 0.1, 0.08), 0.3)
    c.add(c.ring(-0.05, 0.12, 0.1, 0.08, 0.03), 0.2)
    vertebrae(c, c.x - 0.36 - 0.15 * (c.y - 0.5), 0.12, 0.17, 0.2, 0.45)


def _crack(c: Canvas) -> None:
    """A jagged dark line through the vault."""
    (x, y), turn = c.place([(0, -0.5, 0.3, 0.15)]), c.uniform(0, np.pi)
    steps = np.linspace(-0.3, 0.3, 5)
    path = [c.jitter(x + s * np.cos(turn), y + s * np.sin(turn), 0.04) for s in steps]
    c.paint(c.line(path, 0.03), 0.1)


_FINDINGS = (
    Finding("Fracture", 0.3, _crack),
    Finding(
        "Lytic lesion",
        0.3,
        added_lump([(0, -0.5, 0.4, 0.2)], (0.07, 0.11), (-0.6, -0.45), count=(1, 3)),
    ),
    Finding("Calcification", 0.12, specks([(0, -0.35, 0.2, 0.15)], 0.07, 0.045, 0.8, 3)),
    Finding("Internal fixation", 0.14, plate([((-0.4, -0.5, 0.2, -0.62), 0.06)])),
)
SCENES = (
    Scene(("Plain x-ray", "Head"), 2, _frontal, _FINDINGS, turn=0.15),
    Scene(
        ("Plain x-ray", "Head", "Lateral projection"),
        1.5,
        _lateral,
        _FINDINGS,
        turn=0.15,
        flips=True,
    ),
)
