"""Magnetic resonance of head, spine and knee at each weighting, and what may be seen in it."""

from __future__ import annotations

import numpy as np

from replearn.phantoms.brain import BRAIN, cortex, hydrocephalus, infarct, ventricles, vessels
from replearn.phantoms.canvas import Canvas, Draw
from replearn.phantoms.lesions import oedema, painted_lump
from replearn.phantoms.scene import Finding, Scene
from replearn.phantoms.spine import compression, spinous_processes, vertebral_phase

_T1, _T2, _FAT_SATURATED = ("T1 weighted",), ("T2 weighted",), ("T2 weighted", "Fat saturation")
_WEIGHTINGS: tuple[tuple[str, ...], ...] = (_T1, _T2, _FAT_SATURATED)

# How bright each tissue is at each of the weightings.
_TISSUES: dict[str, tuple[float, float, float]] = {
    "fat": (0.9, 0.7, 0.12),
    "white": (0.68, 0.34, 0.36),
    "grey": (0.48, 0.5, 0.5),
    "fluid": (0.13, 0.95, 0.98),
    "muscle": (0.4, 0.24, 0.34),
    "marrow": (0.7, 0.46, 0.17),
    "disc": (0.35, 0.62, 0.55),
    "dark": (0.06, 0.05, 0.04),
    "lesion": (0.25, 0.85, 0.8),
    "enhancing": (1.0, 0.95, 1.0),
}
_PITCH = 0.31  # from one vertebra to the next


def _head(c: Canvas) -> None:
    """Head, axial: scalp, dark skull, folded cortex, ventricles."""
    t = c.tissue
    c.paint(c.disc(0, 0, 0.74, 0.91), t["fat"])
    c.paint(c.disc(0, 0, 0.68, 0.85), t["dark"])
    c.paint(c.disc(0, 0, 0.61, 0.78), t["fluid"])
    cortex(c, (t["white"], t["grey"], t["fluid"]), 1.4)
    c.paint(ventricles(c, c.uniform(0.7, 1.15)), t["fluid"])


def _spine(c: Canvas) -> None:
    """Spine, sagittal: vertebral bodies and discs, the cord in its canal, spines behind."""
    t = c.tissue
    c.paint(c.band(c.x, 0.9), t["muscle"] + 0.05 * c.noise(10))
    bend = c.uniform(0.05, 0.2)
    curve = c.x + 0.05 + bend * np.cos(2.0 * (c.y - 0.1))
    c.paint(c.cover(0.72 - curve, 0.03) * c.cover(c.x - 0.9), t["fat"])
    c.paint(c.band(curve + 0.42, 0.08, 0.03), t["dark"])
    phase = vertebral_phase(c, _PITCH)
    c.paint(c.band(curve, 0.2), t["disc"])
    c.paint(c.band(curve, 0.2) * c.cover(0.36 * _PITCH - np.abs(phase) * _PITCH), t["dark"])
    c.paint(c.band(curve, 0.17) * c.cover(0.42 * _PITCH - np.abs(phase) * _PITCH), t["disc"])
    c.paint(c.band(curve, 0.185) * c.cover((np.abs(phase) - 0.35) * _PITCH), t["marrow"])
    c.paint(c.band(curve - 0.31, 0.095), t["fluid"])
    c.paint(c.band(curve - 0.31, 0.045, 0.01), t["grey"])
    c.paint(spinous_processes(c, curve - 0.55, (phase - 0.2) * _PITCH, 0.15, 0.08), t["marrow"])


def _knee(c: Canvas) -> None:
    """Knee, sagittal: femur over tibia, kneecap in front, fat pad and muscle."""
    t = c.tissue
    c.paint(c.cover(np.abs(c.x) - 0.72 - 0.06 * np.cos(3 * c.y), 0.02), t["fat"])
    c.paint(c.band(c.x - 0.08, 0.52, 0.04), t["muscle"] + 0.04 * c.noise(9))
    c.paint(c.disc(-0.45, 0.12, 0.16, 0.26, -0.3), t["fat"])
    for grown, level in ((0.045, t["disc"]), (0.02, t["dark"]), (0.0, t["marrow"])):
        femur = np.maximum(
            c.disc(0.05, -0.22, 0.36 + grown, 0.28 + grown),
            c.line([(0, -1.4), (0, -0.3)], 0.2 + grown),
        )
        c.paint(femur, level)
    for grown, level in ((0.03, t["disc"]), (0.02, t["dark"]), (0.0, t["marrow"])):
        tibia = c.cover(np.abs(c.x - 0.04) - 0.22 - 0.14 * np.exp(-((c.y - 0.2) ** 2) * 20) - grown)
        c.paint(tibia * c.cover(0.2 - c.y - grown), level)
        c.paint(c.disc(-0.52, -0.3, 0.1 + grown, 0.2 + grown, 0.15), level)
    c.paint(c.line([(-0.55, -0.1), (-0.34, 0.4)], 0.03), t["dark"])
    c.paint(c.line([(0.1, 0.0), (-0.12, 0.16)], 0.03), t["dark"])
    for side in (-1, 1):
        c.paint(c.disc(0.04 + 0.26 * side, 0.13, 0.12, 0.05), t["dark"])


def _usual_bend(y: float) -> float:
    """Return the usual backward shift of the spine at a height, for any bend of the drawn one."""
    return -0.12 * float(np.cos(2 * (y - 0.1)))


def _disc_herniation(c: Canvas) -> None:
    """A disc that bulges far into the canal."""
    y = (c.rng.integers(-1, 2) + 0.3) * _PITCH
    x = 0.15 + _usual_bend(y)
    c.paint(c.disc(x + 0.05, y, 0.2, 0.085), c.tissue["dark"])
    c.paint(c.disc(x + 0.05, y, 0.17, 0.055), 0.5 * c.tissue["disc"])


def _syrinx(c: Canvas) -> None:
    """A long cavity that widens the cord."""
    y, half = c.uniform(-0.3, 0.3), c.uniform(0.35, 0.5)
    x = 0.26 + _usual_bend(y)
    c.paint(c.disc(x, y, 0.12, half + 0.08), c.tissue["grey"])
    c.paint(c.disc(x, y, 0.075, half), c.tissue["fluid"])


def _joint_effusion(c: Canvas) -> None:
    """Fluid above the kneecap and around the joint."""
    swell = c.uniform(0.09, 0.13)
    c.paint(c.line([(-0.46, -0.72), (-0.36, -0.45), (-0.36, -0.1)], swell), c.tissue["fluid"])
    c.paint(c.disc(0.42, 0.06, swell, 0.14), c.tissue["fluid"])


_HEAD_FINDINGS = (
    Finding("Hydrocephalus", 0.14, hydrocephalus),
    Finding("Infarction", 0.17, infarct),
    Finding("Oedema", 0.15, oedema(BRAIN, (0.2, 0.26))),
    Finding("Demyelination", 0.2, painted_lump(BRAIN, (0.05, 0.07), "lesion", count=(4, 7))),
    Finding("Haemorrhage", 0.1, painted_lump(BRAIN, (0.09, 0.14), "dark", rim="enhancing")),
    Finding("Cyst", 0.12, painted_lump(BRAIN, (0.13, 0.18), "fluid", rough=0.03, rim="grey")),
)
_T1_HEAD_FINDINGS = (
    Finding("Neoplasm", 0.24, painted_lump(BRAIN, (0.1, 0.16), "lesion", rim="enhancing")),
    Finding("Contrast media", 0.34, vessels),
)
_T2_HEAD_FINDINGS = (
    Finding("Neoplasm", 0.22, painted_lump(BRAIN, (0.11, 0.17), "lesion", rough=0.22, rim="dark")),
)
_SPINE_FINDINGS = (
    Finding("Fracture", 0.14, compression(-0.12, _PITCH)),
    Finding("Neoplasm", 0.2, painted_lump([(-0.14, 0.0, 0.03, 0.4)], (0.12, 0.16), "lesion")),
    Finding("Disc herniation", 0.35, _disc_herniation),
    Finding("Syringomyelia", 0.2, _syrinx),
)
_KNEE_FINDINGS = (
    Finding("Joint effusion", 0.38, _joint_effusion),
    Finding("Oedema", 0.3, oedema([(0.05, -0.25, 0.1, 0.1), (0.05, 0.4, 0.08, 0.1)], (0.15, 0.22))),
    Finding(
        "Neoplasm",
        0.12,
        painted_lump(
            [(0.02, -0.6, 0.03, 0.1), (0.05, 0.55, 0.03, 0.1)], (0.13, 0.17), "lesion", rim="dark"
        ),
    ),
    Finding(
        "Cyst",
        0.22,
        painted_lump([(0.5, 0.25, 0.04, 0.1)], (0.12, 0.17), "fluid", rough=0.05, rim="dark"),
    ),
)


def _scene(
    region: str,
    weighting: tuple[str, ...],
    weight: float,
    anatomy: Draw,
    findings: tuple[Finding, ...],
    turn: float,
) -> Scene:
    """A scene whose anatomy is drawn with the tissue levels of its weighting."""
    column = _WEIGHTINGS.index(weighting)
    tissue = {name: levels[column] for name, levels in _TISSUES.items()}

    def draw(c: Canvas) -> None:
        c.tissue = tissue
        anatomy(c)

    names = ("Magnetic Resonance Imaging", region, *weighting)
    return Scene(names, weight, draw, findings, turn, flips=True)


SCENES = (
    _scene("Head", _T1, 4, _head, (*_HEAD_FINDINGS, *_T1_HEAD_FINDINGS), 0.2),
    _scene("Head", _T2, 4, _head, (*_HEAD_FINDINGS, *_T2_HEAD_FINDINGS), 0.2),
    _scene("Vertebral column", _T1, 2, _spine, _SPINE_FINDINGS, 0.1),
    _scene("Vertebral column", _T2, 2, _spine, _SPINE_FINDINGS, 0.1),
    _scene("Vertebral column", _FAT_SATURATED, 1, _spine, _SPINE_FINDINGS, 0.1),
    _scene("Lower extremity", _T1, 1.5, _knee, _KNEE_FINDINGS, 0.15),
    _scene("Lower extremity", _FAT_SATURATED, 2, _knee, _KNEE_FINDINGS, 0.15),
)
