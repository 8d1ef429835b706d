"""Mammograms, and what may be seen in them."""

from __future__ import annotations

import numpy as np

from replearn.phantoms.canvas import Area, Canvas
from replearn.phantoms.devices import implant
from replearn.phantoms.lesions import added_lump, specks
from replearn.phantoms.scene import Finding, Scene

_GLAND: tuple[Area, ...] = ((-0.5, 0.15, 0.25, 0.3),)


def _breast(c: Canvas) -> None:
    """Breast from the side, against the left edge of the unmirrored picture."""
    reach = c.uniform(0.95, 1.35)
    breast = c.radius(-1.05, 0.1, reach, c.uniform(0.78, 0.95))
    skin = c.cover((breast - 1) * 0.8)
    c.add(skin, 0.2)
    c.add(skin * np.clip(4 * (1 - breast), 0, 1), 0.12)
    c.add(c.cover(np.abs(breast - 0.985) * 0.8 - 0.012), 0.2)
    gland = np.clip(1.25 - np.hypot((c.x + 0.55) / 0.5 / reach, (c.y - 0.1) / 0.55), 0, 1)
    density = c.uniform(0.25, 0.5)
    c.add(gland * np.clip(0.5 + 0.3 * c.noise(9) + 0.3 * c.noise(22), 0, 1.5), density)
    c.add(c.line([(-1.05 + reach, 0.1), (-1.0 + reach, 0.1)], 0.03), 0.2)
    c.add(c.cover((c.x + 0.55) + 0.45 * (c.y + 0.6), 0.03) * c.cover(c.y - 0.3, 0.3) * skin, 0.4)


_FINDINGS = (
    Finding("Implant", 0.2, implant),
    Finding("Mass", 0.3, added_lump(_GLAND, (0.12, 0.19), (0.5, 0.75), rough=0.2)),
    Finding("Calcification", 0.15, specks(_GLAND, 0.16, 0.06, 0.8, 3)),
    Finding("Microcalcification", 0.3, specks(_GLAND, 0.12, 0.03, 1.1, 10)),
    Finding(
        "Lymphadenopathy",
        0.15,
        added_lump([(-0.75, -0.45, 0.1, 0.08)], (0.09, 0.12), (0.5, 0.6), count=(2, 3)),
    ),
)
SCENES = (Scene(("Plain x-ray", "Breast"), 4, _breast, _FINDINGS, turn=0.05, flips=True),)
