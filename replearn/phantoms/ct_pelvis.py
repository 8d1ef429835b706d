"""Pelvic slices of computed tomography, and what may be seen in them."""

from __future__ import annotations

from replearn.phantoms.canvas import Canvas
from replearn.phantoms.ct_trunk import nodes, trunk
from replearn.phantoms.devices import hip_prosthesis_slice
from replearn.phantoms.lesions import painted_lump
from replearn.phantoms.scene import Finding, Scene


def _pelvis(c: Canvas) -> None:
    """Pelvis, axial: hips, sacrum, bladder and buttocks."""
    trunk(c, 0.95, 0.68, c.uniform(0.1, 0.16))
    c.paint(c.disc(0, -0.02, 0.42, 0.42), 0.35)
    c.paint(c.blob(0, -0.18, 0.25, 0.2, 0.05), 0.46)
    c.paint(c.blob(0, 0.16, 0.12, 0.1, 0.08), 0.54)
    c.paint(c.disc(0, 0.17, 0.05, 0.04), 0.1)
    c.paint(c.disc(0, 0.4, 0.15, 0.07), 0.88)
    for side in (-1, 1):
        c.paint(c.line([(0.36 * side, -0.24), (0.43 * side, 0), (0.38 * side, 0.24)], 0.055), 0.92)
        c.paint(c.disc(0.58 * side, -0.03, 0.15, 0.16), 0.9)
        c.paint(c.disc(0.58 * side, -0.03, 0.11, 0.12, 0, 0.03), 0.78)
        c.paint(c.disc(0.74 * side, 0.1, 0.08, 0.11), 0.85)
        c.paint(c.line([(0.12 * side, 0.45), (0.7 * side, 0.35)], 0.025, 0.02), 0.33)
        c.paint(c.disc(0.36 * side, -0.4, 0.045, 0.045), 0.56)


_FINDINGS = (
    Finding(
        "Ascites",
        0.18,
        painted_lump(
            [(0.25, -0.12, 0.03, 0.1), (-0.25, -0.12, 0.03, 0.1)], (0.15, 0.2), (0.2, 0.24)
        ),
    ),
    Finding(
        "Contrast media",
        0.35,
        painted_lump([(0, -0.18, 0.02, 0.02)], (0.17, 0.2), (0.9, 1.0), rough=0.05),
    ),
    Finding("Mass", 0.25, painted_lump([(0, 0.0, 0.2, 0.15)], (0.13, 0.18), (0.62, 0.7))),
    Finding(
        "Lymphadenopathy",
        0.18,
        nodes([(0.25, -0.05, 0.03, 0.1), (-0.25, -0.05, 0.03, 0.1)]),
    ),
    Finding("Joint prosthesis", 0.2, hip_prosthesis_slice),
)
SCENES = (Scene(("X-Ray Computed Tomography", "Pelvis"), 3, _pelvis, _FINDINGS),)
