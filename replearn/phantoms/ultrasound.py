"""Sonograms of abdomen, heart, fetus and breast, and what may be seen in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from replearn.phantoms.canvas import Area, Canvas, Draw
from replearn.phantoms.lesions import painted_lump
from replearn.phantoms.scene import Finding, Scene


def _open_fan(c: Canvas, *, linear: bool = False) -> None:
    """Open the probe's field: a sector, or nearly a rectangle for a linear probe."""
    if linear:
        c.apex, spread, near, far = (0.0, -7.0), c.uniform(0.1, 0.12), 6.1, 7.95
    else:
        c.apex, spread = (c.uniform(-0.05, 0.05), c.uniform(-1.25, -1.05)), c.uniform(0.6, 0.75)
        near, far = c.uniform(0.18, 0.3), c.uniform(1.95, 2.1)
    u, v = c.screen_x - np.float32(c.apex[0]), c.screen_y - np.float32(c.apex[1])
    depth, angle = np.hypot(u, v), np.arctan2(u, v)
    side = (np.abs(angle) - spread) * depth
    c.field = c.cover(side) * c.cover(near - depth) * c.cover(depth - far)
    c.polar = ((angle / spread + 1) / 2, (depth - near) / (far - near))


def _abdomen(c: Canvas) -> None:
    """Right upper abdomen: liver, gall bladder, kidney, diaphragm."""
    _open_fan(c)
    c.paint(c.field, 0.42 + 0.04 * c.noise(7))
    c.paint(c.cover(c.screen_y + 0.72 - 0.08 * c.screen_x, 0.04), 0.55 + 0.1 * c.noise(9))
    c.paint(c.disc(0.25, -0.2, 0.2, 0.3, 0.5), 0.75)
    c.paint(c.disc(0.25, -0.2, 0.165, 0.265, 0.5), 0.03)
    c.paint(c.disc(-0.15, 0.35, 0.45, 0.24, 0.15), 0.62)
    c.paint(c.disc(-0.15, 0.35, 0.41, 0.2, 0.15), 0.27)
    c.paint(c.blob(-0.15, 0.35, 0.25, 0.08, 0.15), 0.8)
    c.paint(c.line([(-0.7, 0.5), (-0.2, 0.68), (0.4, 0.62)], 0.03, 0.02), 1.0)
    for _ in range(3):
        x, y = c.uniform(-0.35, -0.05), c.uniform(-0.45, -0.05)
        c.paint(c.disc(x, y, 0.05, 0.025, c.uniform(-1, 1)), 0.06)


def _heart(c: Canvas) -> None:
    """Heart from its apex: four dark chambers, septum and valves."""
    _open_fan(c)
    c.paint(c.field, 0.3 + 0.06 * c.noise(8))
    c.paint(c.disc(0, 0.02, 0.5, 0.74), 0.58)
    for side in (-1, 1):
        c.paint(c.disc(0.2 * side, -0.2, 0.15 + 0.02 * side, 0.36, -0.14 * side), 0.03)
        c.paint(c.disc(0.2 * side, 0.42, 0.18, 0.2), 0.04)
        for leaf in (-1, 1):
            hinge, swing = 0.2 * side + 0.17 * leaf, c.uniform(0.1, 0.2)
            c.paint(c.line([(hinge, 0.18), (hinge - 0.11 * leaf, 0.18 - swing)], 0.02), 0.9)
    c.paint(c.line([(0, -0.5), (0.01, 0.6)], 0.03, 0.02), 0.75)
    c.paint(c.ring(0, 0.02, 0.53, 0.77, 0.04), 0.85)


def _fetus(c: Canvas) -> None:
    """Fetus in its fluid: skull, face, trunk with ribs, a limb, the womb's wall."""
    _open_fan(c)
    c.paint(c.field, 0.5 + 0.07 * c.noise(9))
    c.paint(c.blob(0, 0.08, 0.68, 0.55, 0.05), 0.04)
    c.paint(c.disc(0.22, 0.22, 0.38, 0.25, 0.3), 0.46)
    slant = np.cos((c.x - 0.2 * c.y) * 40)
    c.paint(np.clip(1.5 * slant - 0.4, 0, 1) * c.disc(0.18, 0.26, 0.22, 0.15, 0.3), 0.95)
    c.paint(c.line([(-0.05, 0.36), (0.25, 0.48), (0.5, 0.42)], 0.03), 0.95)
    c.paint(c.disc(-0.3, 0.02, 0.28, 0.23, -0.3), 1.0)
    c.paint(c.disc(-0.3, 0.02, 0.235, 0.185, -0.3), 0.26)
    c.paint(c.line([(-0.48, 0.08), (-0.14, -0.04)], 0.012), 0.7)
    c.paint(c.line([(-0.06, 0.04), (0.02, -0.12), (-0.08, -0.2)], 0.03), 0.8)
    c.paint(c.line([(0.4, 0.1), (0.22, -0.12), (0.42, -0.24)], 0.045), 0.75)


def _breast(c: Canvas) -> None:
    """Breast: skin, fat, gland, chest muscle and ribs in layers."""
    _open_fan(c, linear=True)
    y = c.y + 0.05 * c.noise(4)
    c.paint(c.field, 0.3)
    c.paint(c.cover(y + 0.72), 0.85)
    c.paint(c.cover(-0.72 - y) * c.cover(y + 0.35), 0.28 + 0.05 * c.noise(7))
    streaks = np.clip(0.62 + 0.1 * c.noise(22, 6), 0, 1)
    c.paint(c.cover(-0.35 - y) * c.cover(y - 0.4), streaks.astype(np.float32))
    c.paint(c.band(y - 0.42, 0.02), 0.9)
    c.paint(c.band(y - 0.62, 0.02), 0.75)
    for x in (-0.5, 0.45):
        c.paint(c.disc(x, 0.78, 0.22, 0.1), 0.9)
        c.shade(x, 0.78, 0.2, 0.15)


def _ascites(c: Canvas) -> None:
    """Dark fluid beside liver and gut."""
    x, y = c.uniform(0.2, 0.4), c.uniform(0.3, 0.45)
    c.paint(c.blob(x, y, 0.4, c.uniform(0.18, 0.26), 0.25), 0.02)
    c.paint(c.line([(-0.7, 0.1), (-0.45, -0.4)], 0.07), 0.02)


def _hydronephrosis(c: Canvas) -> None:
    """Dark, branching fluid in the kidney's middle."""
    c.paint(c.disc(-0.15, 0.35, 0.28, 0.12, 0.15), 0.03)
    for x in (-0.35, -0.15, 0.05):
        c.paint(c.disc(x + c.uniform(-0.02, 0.02), 0.28, 0.08, 0.1), 0.02)


def _gallstones(c: Canvas) -> None:
    """Bright stones in the gall bladder, each with its shadow."""
    for k in range(c.rng.integers(1, 3)):
        x, y = 0.2 + 0.12 * k + c.uniform(-0.03, 0.03), -0.08 - 0.16 * k + c.uniform(-0.04, 0.04)
        c.paint(c.disc(x, y, 0.085, 0.06), 1.3)
        c.shade(x, y, 0.07, 0.12)


def _kidney_stone(c: Canvas) -> None:
    """A bright stone in the kidney with its shadow."""
    x, y = -0.15 + c.uniform(-0.2, 0.2), 0.35 + c.uniform(-0.05, 0.05)
    c.paint(c.disc(x, y, 0.1, 0.06), 1.4)
    c.shade(x, y, 0.09, 0.08)


def _thick_wall(c: Canvas) -> None:
    """Thick heart muscle that narrows a ventricle."""
    side = c.sign()
    c.paint(c.disc(0.22 * side, -0.2, 0.24, 0.46, -0.14 * side), 0.62)
    c.paint(c.disc(0.2 * side, -0.12, 0.07, 0.24, -0.14 * side), 0.03)


def _pericardial_effusion(c: Canvas) -> None:
    """Dark fluid around the heart."""
    gap, side = c.uniform(0.1, 0.15), c.sign()
    rim = c.disc(0.06 * side, 0.02, 0.53 + gap, 0.77 + gap) * (1 - c.disc(0, 0.02, 0.52, 0.76))
    c.paint(rim, 0.02)


def _placenta(c: Canvas) -> None:
    """A thick granular cushion on the womb's wall."""
    side = c.sign()
    edge = c.radius(0, 0.08, 0.7, 0.57)
    lens = c.disc(0.2 * side, -0.62, 0.62, 0.36, 0.2 * side) * c.cover((edge - 1) * 0.57)
    c.paint(lens, np.clip(0.72 + 0.12 * c.noise(20), 0, 1).astype(np.float32))


def _much_fluid(c: Canvas) -> None:
    """A wide black pool of fluid beside the fetus."""
    c.paint(c.blob(c.uniform(-0.1, 0.1), 0.6, 0.6, c.uniform(0.2, 0.26), 0.08), 0.02)
    c.paint(c.blob(c.uniform(-0.15, 0.15), -0.4, 0.36, 0.17, 0.08), 0.02)


def _doppler(areas: Sequence[Area]) -> Draw:
    """Flow in red and blue within one or two vessels or jets."""

    def draw(c: Canvas) -> None:
        toward = c.rng.random() < 0.5
        for _ in range(2):
            (x, y), r = c.place(areas), c.uniform(0.1, 0.16)
            jet = c.blob(x, y, r, r * c.uniform(1.0, 1.8), 0.25, 0.03)
            patchy = jet * np.clip(0.85 + 0.3 * c.noise(24), 0, 1)
            c.overlay(patchy * c.field, (1.0, 0.3, 0.05) if toward else (0.1, 0.45, 1.0))
            toward = not toward

    return draw


_ABDOMEN_FINDINGS = (
    Finding("Ascites", 0.18, _ascites),
    Finding("Hydronephrosis", 0.2, _hydronephrosis),
    Finding(
        "Cyst",
        0.2,
        painted_lump([(-0.3, -0.1, 0.12, 0.2)], (0.1, 0.15), (0.02, 0.03), rough=0.03, through=1.7),
    ),
    Finding(
        "Neoplasm",
        0.15,
        painted_lump([(-0.25, -0.15, 0.12, 0.2)], (0.1, 0.16), (0.8, 0.95), rim=0.15),
    ),
    Finding("Gallstone", 0.32, _gallstones),
    Finding("Kidney stone", 0.16, _kidney_stone),
    Finding("Colour Doppler", 0.22, _doppler([(-0.2, -0.2, 0.15, 0.2), (0.3, 0.2, 0.15, 0.1)])),
)
_HEART_FINDINGS = (
    Finding("Ventricular hypertrophy", 0.35, _thick_wall),
    Finding("Pericardial effusion", 0.35, _pericardial_effusion),
    Finding(
        "Mass",
        0.15,
        painted_lump([(0.2, -0.1, 0.03, 0.15), (0.2, 0.42, 0.05, 0.05)], (0.09, 0.12), (0.7, 0.9)),
    ),
    Finding("Colour Doppler", 0.45, _doppler([(0.2, 0.1, 0.04, 0.2), (-0.2, 0.1, 0.04, 0.2)])),
)
_FETUS_FINDINGS = (
    Finding("Placenta", 0.5, _placenta),
    Finding("Polyhydramnios", 0.3, _much_fluid),
    Finding(
        "Hydrocephalus", 0.16, painted_lump([(-0.3, 0.02, 0.03, 0.03)], (0.13, 0.15), (0.02, 0.03))
    ),
    Finding("Colour Doppler", 0.2, _doppler([(0.1, 0.2, 0.2, 0.1)])),
)
_BREAST_FINDINGS = (
    Finding(
        "Cyst",
        0.3,
        painted_lump([(0, -0.1, 0.35, 0.15)], (0.13, 0.2), (0.02, 0.03), rough=0.02, through=1.6),
    ),
    Finding(
        "Mass",
        0.4,
        painted_lump([(0, -0.1, 0.35, 0.15)], (0.13, 0.2), (0.1, 0.16), rough=0.25, through=0.3),
    ),
    Finding("Colour Doppler", 0.2, _doppler([(0, -0.1, 0.35, 0.15)])),
)
SCENES = (
    Scene(("Ultrasonography", "Abdomen"), 5, _abdomen, _ABDOMEN_FINDINGS, turn=0.12, flips=True),
    Scene(("Ultrasonography", "Heart"), 3.5, _heart, _HEART_FINDINGS, turn=0.15, flips=True),
    Scene(("Ultrasonography", "Fetus"), 3, _fetus, _FETUS_FINDINGS, turn=0.25, flips=True),
    Scene(("Ultrasonography", "Breast"), 3, _breast, _BREAST_FINDINGS, turn=0.05, flips=True),
)
