"""Whether an image's neighbours stay the same when it is cropped, noisy or of another contrast.

An encoder whose neighbours change with the exposure finds other images by how they were taken, not
by what they show.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Pixels, Vectors
from replearn.diagnostics.estimates import Estimate, mean_of
from replearn.diagnostics.neighbourhoods import nearest, nearest_others
from replearn.diagnostics.representation.features import alignment

Embed = Callable[[Pixels], Vectors]
"""Turns pixels uint8 [N, C, H, W] into features float [N, D]."""

_CROP = 0.9  # of the side
_NOISE = 0.05  # deviation, of the range from black to white
_CONTRAST = (0.7, 1.3)
_NEIGHBOURS = 10


def cropped(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """Return a crop of nine tenths of the side of each image, at its size again."""
    height, width = pixels.shape[2:]
    rows, columns = round(_CROP * height), round(_CROP * width)
    made = np.empty_like(pixels)
    for number, image in enumerate(pixels):
        top, left = random.integers(height - rows + 1), random.integers(width - columns + 1)
        part = image[:, top : top + rows, left : left + columns].transpose(1, 2, 0)
        resized = cv2.resize(np.ascontiguousarray(part), (width, height))
        made[number] = np.asarray(resized).reshape(height, width, -1).transpose(2, 0, 1)
    return made


def noisy(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """Return the images with normal noise of a twentieth of their range."""
    made = pixels + random.normal(0, 255 * _NOISE, pixels.shape)
    return np.asarray(np.clip(np.round(made), 0, 255), np.uint8)


def contrasted(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """Return each image with its grey levels 0.7 to 1.3 times as far from their mean."""
    factors = random.uniform(*_CONTRAST, (len(pixels), 1, 1, 1))
    means = pixels.mean(axis=(1, 2, 3), keepdims=True)
    return np.asarray(np.clip(np.round(means + factors * (pixels - means)), 0, 255), np.uint8)


VIEWS = {"crop": cropped, "noise": noisy, "contrast": contrasted}


def robustness(pixels: Pixels, vectors: Vectors, embed: Embed) -> dict[str, Estimate]:
    """Return, for each kind of view, how far features follow what was changed.

    `kept` is the mean share of an image's 10 nearest others that are also among those of its view,
    and `alignment` is that of the features of image and view; the baselines are those of views of
    other images, which share a few hubs.

    Args:
        pixels: uint8 [N, C, H, W].
        vectors: their features, float [N, D].
        embed: makes features of views.
    """
    ours = nearest_others(vectors, _NEIGHBOURS).rows
    found = {}
    for name, change in VIEWS.items():
        of_views = embed(change(pixels, np.random.default_rng(0)))
        hits = nearest(vectors, of_views, _NEIGHBOURS + 1)
        theirs = hits.without(hits.rows == np.arange(len(vectors))[:, None], ours.shape[1]).rows
        kept = mean_of(_shared(ours, theirs)).clipped(0, 1)
        strangers = _shared(ours, np.roll(theirs, 1, axis=0)).mean()
        found[f"kept_{name}"] = kept.against(float(strangers), "views of other images")
        found[f"alignment_{name}"] = alignment(vectors, of_views)
    return found


def _shared(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the share of each row's numbers [N, K] that the other's row has too [N]."""
    both = first[:, :, None] == second[:, None, :]
    return np.asarray(both.any(axis=2).mean(axis=1), np.float64)
