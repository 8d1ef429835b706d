"""From an index and a seed to a synthetic radiograph's pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from replearn.phantoms.acquisition import ACQUISITIONS, develop
from replearn.phantoms.canvas import Canvas
from replearn.phantoms.planning import Plan, plan

_FINEST = 64  # smaller pictures are drawn with at least so many pixels a side and then binned


@dataclass(frozen=True)
class Phantom:
    """One synthetic radiograph: `pixels` (uint8, [channels, size, size]) and its `concepts`."""

    pixels: NDArray[np.uint8]
    concepts: tuple[str, ...]


def render(index: int, seed: int = 0, *, size: int = 64, channels: int = 1) -> Phantom:
    """Draw image `index` of the set named by `seed`.

    The picture and its concepts depend on these two numbers alone; another size shows the same
    picture at another resolution, and one channel shows the colour picture's luma.

    Args:
        index: Number of the image in its set, from 0.
        seed: Number of the set, from 0.
        size: Pixels a side, 16 to 256.
        channels: 3 for red, green and blue, 1 for grey.

    Returns:
        The pixels (uint8, [channels, size, size]) and the 1 to 8 concepts seen in them.

    Raises:
        ValueError: If a number is out of its range.
    """
    if index < 0 or seed < 0:
        raise ValueError(f"index and seed must not be negative, not {index} and {seed}")
    if not 16 <= size <= 256:
        raise ValueError(f"size must be 16 to 256 pixels, not {size}")
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 or 3, not {channels}")
    planned = plan(index, seed)
    pixels = draw(planned, size)
    if channels == 1:
        luma = cv2.cvtColor(np.ascontiguousarray(pixels.transpose(1, 2, 0)), cv2.COLOR_RGB2GRAY)
        pixels = np.asarray(luma, np.uint8)[np.newaxis]
    return Phantom(pixels, planned.concepts)


@dataclass(frozen=True)
class Factors:
    """What generated an image apart from its findings.

    Attributes:
        modality: name of its concept.
        region: name of its concept.
        view: projection or weighting, `-` for the usual one.
        turn: of the anatomy in the frame, in radians.
        exposure: how bright, from 0 to 1 in the modality's range.
        noise: how strong the noise or speckle is, from 0 to 1 in the modality's range.
    """

    modality: str
    region: str
    view: str
    turn: float
    exposure: float
    noise: float


def factors(index: int, seed: int = 0) -> Factors:
    """Return what generated image `index` of the set named by `seed`, without drawing it."""
    planned = plan(index, seed)
    anatomy, acquisition, *_ = (np.random.default_rng(seed) for seed in planned.seeds)
    # What is drawn from a stream depends neither on the size nor on what the canvas shows.
    canvas = Canvas(16, anatomy, planned.scene.turn, planned.scene.flips)
    canvas.rng = acquisition
    modality, region, *view = planned.scene.names
    ACQUISITIONS[modality](canvas)
    return Factors(modality, region, ", ".join(view) or "-", **canvas.drawn)


def draw(planned: Plan, size: int, without: str | None = None) -> NDArray[np.uint8]:
    """Draw a plan in colour [3, size, size], leaving out one finding's marks if asked to.

    The finding left out is drawn and then undone, so that all else stays where it was: the
    difference of the two pictures is that finding.
    """
    bin_side = -(-_FINEST // size)
    pixels = develop(paint(planned, size * bin_side, without))
    if bin_side == 1:
        return pixels
    binned = pixels.reshape(3, size, bin_side, size, bin_side).mean((2, 4))
    return np.asarray(np.round(binned), np.uint8)


def paint(planned: Plan, size: int, without: str | None = None) -> Canvas:
    """Return the canvas of a plan as it is recorded, before it becomes a picture; see `draw`."""
    anatomy, acquisition, *seeds = (np.random.default_rng(seed) for seed in planned.seeds)
    canvas = Canvas(size, anatomy, planned.scene.turn, planned.scene.flips)
    planned.scene.anatomy(canvas)
    for finding, rng in zip(planned.findings, seeds, strict=True):
        canvas.rng = rng
        before = canvas.marks()
        finding.draw(canvas)
        if finding.name == without:
            canvas.restore(before)
    canvas.rng = acquisition
    ACQUISITIONS[planned.scene.names[0]](canvas)
    return canvas
