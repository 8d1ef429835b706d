"""Pelvic films, and what may be seen in them."""

from __future__ import annotations

from replearn.phantoms.canvas import Canvas
from replearn.phantoms.devices import hip_prosthesis, plate
from replearn.phantoms.lesions import added_lump, specks
from replearn.phantoms.scene import Finding, Scene
from replearn.phantoms.xray_bones import Bone, fracture, shaft, vertebrae, worn_joint

_FEMORA: tuple[Bone, ...] = (
    ((0.78, 0.35, 0.76, 0.78), 0.12),
    ((-0.78, 0.35, -0.76, 0.78), 0.12),
)


def _pelvis(c: Canvas) -> None:
    """Pelvis: iliac wings, sacrum, hips and upper femora."""
    c.add(c.band(c.x, 0.95), 0.32)
    c.add(c.disc(0, 0.1, 0.8, 0.7, 0, 0.3), c.uniform(0.08, 0.12))
    for side in (-1, 1):
        c.add(c.disc(0.52 * side, -0.3, 0.32, 0.42, 0.5 * side), 0.24)
        c.add(c.ring(0.52 * side, -0.3, 0.32, 0.42, 0.05, 0.5 * side), 0.2)
        c.add(c.ring(0.24 * side, 0.47, 0.22, 0.18, 0.09, 0.4 * side), 0.32)
        c.add(c.disc(0.5 * side, 0.13, 0.2, 0.2), 0.22)
        c.add(c.disc(0.56 * side, 0.18, 0.15, 0.15), 0.2)
        shaft(c, (0.58 * side, 0.2, 0.78 * side, 0.38), 0.1, 0, 0.28)
        shaft(c, (0.78 * side, 0.38, 0.74 * side, 1.3), 0.12, 0, 0.34)
    c.add(c.disc(0, -0.32, 0.26, 0.36, 0, 0.05), 0.28)
    vertebrae(c, c.x, c.uniform(0.12, 0.16), 0.26, 0.1)
    c.add(c.disc(0, 0.14, 0.28, 0.2, 0, 0.1), -0.12)
    for _ in range(3):
        c.add(c.blob(c.uniform(-0.3, 0.3), c.uniform(-0.5, 0.1), 0.1, 0.08, 0.2, 0.05), -0.14)


_FINDINGS = (
    Finding("Fracture", 0.2, fracture(_FEMORA)),
    Finding("Osteoarthritis", 0.22, worn_joint([(s * 0.5, 0.0, 0.2, 0.09) for s in (-1, 1)])),
    Finding(
        "Lytic lesion",
        0.12,
        added_lump([(0.5, -0.3, 0.15, 0.2), (-0.5, -0.3, 0.15, 0.2)], (0.09, 0.13), (-0.5, -0.4)),
    ),
    Finding("Calcification", 0.14, specks([(0, 0.15, 0.15, 0.08)], 0.12, 0.045, 0.8, 4)),
    Finding("Joint prosthesis", 0.25, hip_prosthesis),
    Finding("Internal fixation", 0.13, plate(_FEMORA)),
    Finding("Contrast media", 0.1, added_lump([(0, 0.2, 0.03, 0.03)], (0.2, 0.26), (0.55, 0.75))),
)
SCENES = (Scene(("Plain x-ray", "Pelvis"), 4, _pelvis, _FINDINGS),)
