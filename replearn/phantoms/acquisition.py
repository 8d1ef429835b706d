"""From what is drawn to the picture: how each modality records it, with its noise and letters."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from replearn.phantoms.canvas import Array, Canvas, Colour, Draw

_GRAIN = 128  # cells a side of the pixel noise's lattice, whatever the resolution
_SPECKLES = (80, 44)  # cells of the speckle's lattice: down the fan, across it
_SHEET = 256  # pixels a side of the sheet on which letters are written before resampling


def _film(c: Canvas) -> None:
    """Plain film: exposure, vignetting, quantum grain and collimation."""
    g = 1 - np.exp(np.float32(-1.6) * np.maximum(c.grey, 0))
    g = g ** np.float32(c.uniform(0.8, 1.3)) * np.float32(c.noted("exposure", 0.9, 1.12))
    g *= 1 - np.float32(c.uniform(0, 0.15)) * (c.screen_x**2 + c.screen_y**2)
    g += (
        np.sqrt(np.maximum(g, 0) + 0.03)
        * c.noise(_GRAIN)
        * np.float32(c.noted("noise", 0.04, 0.11))
    )
    c.grey = g + np.float32(c.uniform(0, 0.04))
    if c.rng.random() < 0.4:
        turn, left, right = c.uniform(-0.05, 0.05), c.uniform(0.86, 1.1), c.uniform(0.86, 1.1)
        u, v = c.screen_x + turn * c.screen_y, c.screen_y - turn * c.screen_x
        edge = np.maximum.reduce([u - right, -u - left, np.abs(v) - c.uniform(0.9, 1.1)])
        c.field = _frame(c, edge)
    blue = c.uniform(0, 0.12)
    c.tint = (1 - blue, 1 - blue / 2, 1.0)
    _letters(c, 0.6, ("L", "R", "AP", "PA", "L ST"), (1.0, 1.0, 1.0))


def _tomogram(c: Canvas) -> None:
    """Computed tomography: window, noise that grows towards the middle, rings and streaks."""
    width, level = c.uniform(0.85, 1.15), c.noted("exposure", -0.05, 0.05)
    u, v = c.screen_x - c.uniform(-0.1, 0.1), c.screen_y - c.uniform(-0.1, 0.1)
    r = np.hypot(u, v)
    noise = c.noise(_GRAIN) * (1.3 - 0.6 * r) * np.float32(c.noted("noise", 0.03, 0.09))
    rings = np.sin(r * np.float32(c.uniform(40, 60))) * np.float32(c.uniform(0, 0.015))
    angle = np.arctan2(v, u)
    streaks = np.sin(14 * angle + c.uniform(0, 6)) * np.sin(23 * angle)
    inside = np.clip(c.grey * 6, 0, 1)
    g = (c.grey - 0.5) * width + 0.5 + level
    g += (noise + rings + streaks * np.float32(c.uniform(0, 0.02))) * inside
    c.grey = g
    c.field = _frame(c, np.hypot(c.screen_x, c.screen_y) - 1.12)
    _letters(c, 0.3, ("R", "A", "WL 40", "F"), (0.9, 0.9, 0.3))


def _resonance(c: Canvas) -> None:
    """Magnetic resonance: coil bias, ghosts along one axis, Rician noise."""
    bias = 1 + np.float32(c.uniform(0.05, 0.2)) * c.noise(3)
    g = np.maximum(c.grey, 0) * bias
    ghost = np.roll(g, round(c.size * c.uniform(0.1, 0.4)), axis=0)
    g = g + ghost * np.float32(c.uniform(0, 0.06))
    sigma = np.float32(c.noted("noise", 0.04, 0.1))
    g = np.hypot(g + sigma * c.noise(_GRAIN), sigma * c.noise(_GRAIN))
    c.grey = g ** np.float32(c.noted("exposure", 0.85, 1.2, falling=True))
    _letters(c, 0.3, ("A", "H", "R", "SE 4"), (0.95, 0.95, 0.95))


def _sonogram(c: Canvas) -> None:
    """Ultrasound: speckle along the fan, depth attenuation, shadows, the fan's outline."""
    across, down = c.polar
    rows, columns = _SPECKLES
    cells = c.rng.standard_normal((2, rows, columns), np.float32)
    u = (across * (columns - 1)).astype(np.float32)
    v = (down * (rows - 1)).astype(np.float32)
    real, imaginary = (cv2.remap(part, u, v, cv2.INTER_LINEAR) for part in cells)
    speckle = np.hypot(real, imaginary)
    depth = np.exp(-np.float32(c.noted("exposure", 0.1, 0.6, falling=True)) * np.clip(down, 0, 1))
    strength = np.float32(c.noted("noise", 0.45, 0.65))
    g = c.grey * c.shadow * depth * (1 - strength + strength * speckle) * 1.25
    c.grey = np.maximum(g, 0) ** np.float32(c.uniform(0.75, 1.0))
    warm = c.uniform(0, 0.14)
    c.tint = (1.0, 1 - warm / 2, 1 - warm)
    _letters(c, 0.5, ("MI 0.8", "12 cm", "B", "3.5C"), (0.4, 0.9, 0.9))


ACQUISITIONS: dict[str, Draw] = {
    "Plain x-ray": _film,
    "X-Ray Computed Tomography": _tomogram,
    "Magnetic Resonance Imaging": _resonance,
    "Ultrasonography": _sonogram,
}
"""How a scene of each modality is recorded."""


def develop(c: Canvas) -> NDArray[np.uint8]:
    """The finished picture in colour, [3, size, size]."""
    grey = np.clip(c.grey, 0, 1) * c.field
    planes = np.stack([grey * np.float32(level) for level in c.tint])
    for mask, colour in c.overlays:
        for plane, level in zip(planes, colour, strict=True):
            plane += mask * (np.float32(level) - plane)
    return (planes * 255 + 0.5).astype(np.uint8)


def _frame(c: Canvas, edge: Array) -> Array:
    """The exposed field, from a signed distance in the frame (negative inside)."""
    field: Array = np.clip(0.5 - edge / (2 / c.size), 0, 1)
    return field


def _letters(c: Canvas, chance: float, texts: Sequence[str], colour: Colour) -> None:
    """Write one of the texts into a corner of the frame, or leave it."""
    if c.rng.random() >= chance:
        return
    text = c.choice(texts)
    sheet = np.zeros((_SHEET, _SHEET), np.uint8)
    corner = c.rng.integers(4)
    x = 8 if corner % 2 == 0 else _SHEET - 20 - 20 * len(text)
    y = 36 if corner < 2 else _SHEET - 12
    cv2.putText(sheet, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, c.uniform(0.8, 1.1), 255, 4)
    small = cv2.resize(sheet, (c.size, c.size), interpolation=cv2.INTER_AREA)
    c.overlay(np.asarray(small, np.float32) / 255, colour)
