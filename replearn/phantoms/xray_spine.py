"""Films of the lumbar spine, frontal and lateral, and what may be seen in them."""

from __future__ import annotations

import numpy as np

from replearn.phantoms.canvas import Canvas
from replearn.phantoms.devices import rods
from replearn.phantoms.lesions import added_lump, specks
from replearn.phantoms.scene import Finding, Scene
from replearn.phantoms.spine import compression, spinous_processes, vertebral_phase
from replearn.phantoms.xray_bones import ribs, spurs, vertebrae


def _frontal(c: Canvas) -> None:
    """Lumbar spine, frontal."""
    c.add(c.band(c.x, 0.85, 0.05), 0.38)
    c.add(c.noise(6) * c.band(c.x, 0.8), 0.05)
    c.add(c.cover(np.abs(c.x) - 0.3 - 0.25 * (c.y + 0.4), 0.03), 0.07)
    vertebrae(c, c.x, 0.2, 0.34, 0.34)
    phase = vertebral_phase(c, 0.34)
    c.add(spinous_processes(c, c.x, (phase - 0.1) * 0.34, 0.04, 0.09), 0.16)
    c.add(c.band((phase - 0.05) * 0.34, 0.035) * c.band(c.x, 0.4, 0.05), 0.12)
    flank = c.band(c.x, 0.85, 0.05) * c.cover(0.3 - np.abs(c.x))
    ribs(c, 0.34, c.cover(c.y + 0.35, 0.2) * flank)
    for side in (-1, 1):
        c.add(c.disc(0.62 * side, 0.95, 0.36, 0.36, 0.5 * side), 0.22)


def _lateral(c: Canvas) -> None:
    """Lumbar spine from the side, the belly to the left of the unmirrored picture."""
    c.add(c.band(c.x - 0.05, 0.8, 0.05), 0.35)
    c.add(c.noise(6) * c.cover(c.x), 0.06)
    curve = c.x - 0.1 + c.uniform(0.15, 0.3) * np.cos(1.7 * (c.y - 0.15))
    c.add(c.band(curve, 0.35, 0.15), 0.1)
    vertebrae(c, curve, 0.23, 0.36, 0.34)
    phase = vertebral_phase(c, 0.36)
    c.add(spinous_processes(c, curve - 0.45, (phase - 0.25) * 0.36, 0.17, 0.09), 0.24)


def scoliosis(c: Canvas) -> None:
    """The spine bent sideways."""
    bend = c.uniform(0.17, 0.26) * c.sign()
    near = c.band(c.x, 0.62, 0.5)
    c.warp(bend * np.cos(c.uniform(2.2, 3.2) * (c.y - c.uniform(-0.2, 0.2))) * near, 0.0)


def aortic_calcification(c: Canvas) -> None:
    """Chalk along both walls of the aorta."""
    for x in (-0.02, 0.2):
        path = [(x + c.uniform(-0.02, 0.02), y) for y in (-0.3, -0.05, 0.25)]
        dashes = np.clip(0.7 + np.sin(c.y * 30 + c.uniform(0, 6)), 0, 1)
        c.add(c.line(path, 0.03) * dashes, 0.8)


_FRONTAL_FINDINGS = (
    Finding("Fracture", 0.22, compression(0.0, 0.34)),
    Finding(
        "Osteophyte", 0.28, spurs([(s * 0.25, y) for s in (-1, 1) for y in (-0.24, 0.1, 0.44)])
    ),
    Finding("Lytic lesion", 0.14, added_lump([(0, 0.0, 0.08, 0.4)], (0.1, 0.14), (-0.6, -0.45))),
    Finding("Internal fixation", 0.2, rods),
    Finding("Scoliosis", 0.32, scoliosis),
    Finding("Calcification", 0.1, aortic_calcification),
)
_LATERAL_FINDINGS = (
    Finding("Fracture", 0.28, compression(-0.1, 0.36)),
    Finding("Osteophyte", 0.3, spurs([(-0.32, -0.26), (-0.35, 0.1), (-0.33, 0.46)], 0.08)),
    Finding("Calcification", 0.2, specks([(-0.55, 0.1, 0.05, 0.3)], 0.12, 0.05, 0.8, 4)),
)
SCENES = (
    Scene(("Plain x-ray", "Vertebral column"), 3, _frontal, _FRONTAL_FINDINGS),
    Scene(
        ("Plain x-ray", "Vertebral column", "Lateral projection"),
        2,
        _lateral,
        _LATERAL_FINDINGS,
        turn=0.1,
        flips=True,
    ),
)
