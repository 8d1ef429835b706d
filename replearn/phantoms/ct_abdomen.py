"""Abdominal slices of computed tomography, and what may be seen in them."""

from __future__ import annotations

from replearn.phantoms.canvas import Area, Canvas
from replearn.phantoms.ct_trunk import cut_ribs, enhanced, hot_spots, nodes, trunk, vertebra
from replearn.phantoms.lesions import painted_lump
from replearn.phantoms.scene import Finding, Scene

_LIVER: tuple[Area, ...] = ((-0.42, -0.1, 0.22, 0.26),)
_KIDNEYS: tuple[Area, ...] = ((-0.4, 0.3, 0.05, 0.06), (0.4, 0.3, 0.05, 0.06))


def _abdomen(c: Canvas) -> None:
    """Abdomen, axial: liver, stomach, spleen, kidneys, great vessels and a vertebra."""
    trunk(c, 0.93, 0.72, c.uniform(0.07, 0.13))
    c.paint(c.disc(0, -0.06, 0.76, 0.5), 0.34 + 0.02 * c.noise(10))
    c.paint(c.blob(-0.4, -0.1, 0.38, 0.42, 0.06), 0.6 + 0.01 * c.noise(20))
    c.paint(c.blob(-0.1, -0.3, 0.25, 0.16, 0.06), 0.6)
    c.paint(c.blob(0.36, -0.26, 0.24, 0.17, 0.1), 0.5)
    c.paint(c.disc(0.4, -0.36, 0.17, 0.07, 0.1), 0.06)
    c.paint(c.blob(0.64, 0.06, 0.13, 0.26, 0.06), 0.6)
    for side in (-1, 1):
        c.paint(c.disc(0.38 * side, 0.3, 0.14, 0.17, 0.4 * side), 0.56)
        c.paint(c.disc(0.32 * side, 0.3, 0.06, 0.08, 0.4 * side), 0.36)
        c.paint(c.disc(0.24 * side, 0.5, 0.16, 0.12), 0.54)
    for _ in range(4):
        c.paint(c.disc(c.uniform(-0.1, 0.5), c.uniform(-0.15, 0.1), 0.08, 0.07, 1), 0.5)
    vertebra(c, 0.36)
    c.paint(c.disc(0.07, 0.16, 0.07, 0.07), 0.55)
    c.paint(c.disc(-0.1, 0.15, 0.075, 0.055), 0.54)
    cut_ribs(c, 0.8, 0.58)


def _ascites(c: Canvas) -> None:
    """Grey fluid between the organs and the belly wall."""
    side = c.sign()
    inner = c.disc(0.1 * side, -0.02, 0.6, 0.42)
    c.paint(c.disc(0, -0.04, 0.78, 0.55) * (1 - inner), 0.4)
    c.paint(c.disc(0.62 * side, -0.05, 0.2, 0.42, -0.1 * side), 0.4)


def _obstruction(c: Canvas) -> None:
    """Wide loops of bowel with levels of air over fluid."""
    for x, y in ((-0.05, -0.22), (0.3, -0.1), (0.1, 0.08), (-0.25, 0.02))[: c.rng.integers(2, 5)]:
        loop = c.disc(x, y, 0.16, 0.14)
        c.paint(c.disc(x, y, 0.18, 0.16), 0.62)
        c.paint(loop, 0.44)
        c.paint(loop * c.cover(c.y - y), 0.03)


def _gallstones(c: Canvas) -> None:
    """A dark gall bladder with bright stones."""
    x, y = c.jitter(-0.2, -0.16, 0.06)
    c.paint(c.disc(x, y, 0.13, 0.17), 0.28)
    for u, v in ((-0.04, 0.06), (0.05, 0.0), (0.0, 0.1))[: c.rng.integers(1, 4)]:
        c.paint(c.disc(x + u, y + v, 0.055, 0.055), 1.0)


def _hydronephrosis(c: Canvas) -> None:
    """A kidney widened by dark fluid."""
    side = c.sign()
    c.paint(c.disc(0.4 * side, 0.28, 0.22, 0.25, 0.4 * side), 0.6)
    c.paint(c.blob(0.38 * side, 0.28, 0.14, 0.17, 0.15), 0.22)
    c.occupy(0.4 * side, 0.28)


def _aneurysm(c: Canvas) -> None:
    """A widened aorta with clot in its wall."""
    r = c.uniform(0.17, 0.22)
    c.paint(c.ring(0.1, 0.02, r + 0.03, r + 0.03, 0.04), 0.9)
    c.paint(c.disc(0.1, 0.02, r, r), 0.46)
    c.paint(c.disc(0.08, 0.05, 0.65 * r, 0.6 * r), 0.72)


def _pneumoperitoneum(c: Canvas) -> None:
    """Air in front, under the belly wall."""
    level = c.uniform(-0.44, -0.36)
    c.paint(c.disc(c.uniform(-0.1, 0.1), -0.06, 0.6, 0.5) * c.cover(c.y - level), 0.02)


_FINDINGS = (
    Finding("Ascites", 0.13, _ascites),
    Finding("Intestinal obstruction", 0.09, _obstruction),
    Finding("Gallstone", 0.11, _gallstones),
    Finding(
        "Contrast media",
        0.38,
        enhanced(
            [
                (0.07, 0.16, 0.07, 0.07),
                (-0.1, 0.15, 0.06, 0.045),
                (-0.42, 0.32, 0.07, 0.11),
                (0.42, 0.32, 0.07, 0.11),
                (0.64, 0.06, 0.09, 0.2),
            ]
        ),
    ),
    Finding("Hydronephrosis", 0.12, _hydronephrosis),
    Finding("Aneurysm", 0.11, _aneurysm),
    Finding("Neoplasm", 0.17, painted_lump(_LIVER, (0.09, 0.14), (0.32, 0.4), count=(1, 3))),
    Finding(
        "Cyst", 0.16, painted_lump([*_LIVER, *_KIDNEYS], (0.11, 0.16), (0.14, 0.2), rough=0.02)
    ),
    Finding("Kidney stone", 0.13, painted_lump(_KIDNEYS, (0.065, 0.085), (1.0, 1.1), rim=0.4)),
    Finding("Lymphadenopathy", 0.1, nodes([(0.0, 0.02, 0.15, 0.06)])),
    Finding("Pneumoperitoneum", 0.09, _pneumoperitoneum),
    Finding("PET/CT", 0.1, hot_spots([*_LIVER, (0.3, -0.1, 0.2, 0.15)])),
)
SCENES = (Scene(("X-Ray Computed Tomography", "Abdomen"), 8, _abdomen, _FINDINGS),)
