"""The canvas on which a synthetic radiograph is drawn: pose, random fields, brushes.

Everything is drawn in continuous coordinates on [-1, 1]² (x to the right, y down), with edges
softened over one pixel, so that one scene can be had at any resolution.  Random fields are drawn on
lattices of a fixed size and then resampled, so that the numbers taken from a random stream do not
depend on the resolution either.

The four kinds of picture differ in what the grey level means while it is drawn: attenuation that
adds up along the ray (plain film), a tissue level that is painted over (tomogram and magnetic
resonance) or echo strength (sonogram).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Point = tuple[float, float]
Range = tuple[float, float]
Segment = tuple[float, float, float, float]  # x and y of one end, then of the other
Area = tuple[float, float, float, float]  # centre x, centre y, half width, half height
Colour = tuple[float, float, float]
_T = TypeVar("_T")


@lru_cache(maxsize=8)
def _grid(size: int) -> tuple[Array, Array]:
    """Pixel centres on [-1, 1]² as two arrays [size, size]."""
    axis = ((np.arange(size) + 0.5) * (2.0 / size) - 1.0).astype(np.float32)
    x, y = np.meshgrid(axis, axis)
    x.flags.writeable = y.flags.writeable = False
    return x, y


class Canvas:
    """A picture being drawn, with the pose of the anatomy in it and the random stream in use.

    `x` and `y` are the anatomy's coordinates of every pixel, `grey` the picture so far, `field` the
    exposed part of the frame, `shadow` the share of sound that gets through, and `tissue` the grey
    levels of tissues where they depend on the acquisition.
    """

    def __init__(self, size: int, rng: np.random.Generator, turn: float, flips: bool) -> None:
        """Start a black picture of `size` pixels a side in a random pose of the anatomy."""
        self.size = size
        self.rng = rng
        self.screen_x, self.screen_y = _grid(size)
        self.grey: Array = np.zeros((size, size), np.float32)
        self.field: Array = np.ones((size, size), np.float32)
        self.shadow: Array = np.ones((size, size), np.float32)
        self.tissue: dict[str, float] = {}
        self.tint: Colour = (1.0, 1.0, 1.0)
        self.overlays: list[tuple[Array, Colour]] = []
        self.apex: Point = (0.0, -1.1)  # of the fan, in the frame
        self.polar: tuple[Array, Array] = (self.grey, self.grey)  # across the fan, down the fan
        self.floor: Array = self.grey  # height of the diaphragm
        self.drawn: dict[str, float] = {}  # what was noted of the random numbers
        self._taken: list[Point] = []
        self._pose(turn, flips)

    def _pose(self, turn: float, flips: bool) -> None:
        """Jitter shift, scale, rotation and side of the anatomy, and bend it a little."""
        self._shift = (self.uniform(-0.09, 0.09), self.uniform(-0.08, 0.08))
        self._scale = self.uniform(0.87, 1.09)
        self._turn = self.drawn["turn"] = self.uniform(-turn, turn)
        flip = self.sign()
        self._flip = flip if flips else 1.0
        cos, sin = np.cos(self._turn) / self._scale, np.sin(self._turn) / self._scale
        u, v = self.screen_x - self._shift[0], self.screen_y - self._shift[1]
        x, y = (cos * u + sin * v) * self._flip, cos * v - sin * u
        a, b, p, q = self.rng.uniform((0, 0, 0, 0), (0.03, 0.03, 6.3, 6.3))
        self.x: Array = (x + a * np.sin(2.5 * y + p)).astype(np.float32)
        self.y: Array = (y + b * np.sin(2.5 * x + q)).astype(np.float32)
        self.pixel = 2.0 / self.size / self._scale

    def to_screen(self, x: float, y: float) -> Point:
        """Return the place in the frame of a point of the anatomy."""
        cos, sin = np.cos(self._turn) * self._scale, np.sin(self._turn) * self._scale
        x *= self._flip
        return cos * x - sin * y + self._shift[0], sin * x + cos * y + self._shift[1]

    # Random numbers.

    def uniform(self, low: float, high: float) -> float:
        """One number between two bounds."""
        return float(self.rng.uniform(low, high))

    def noted(self, name: str, low: float, high: float, *, falling: bool = False) -> float:
        """One number between two bounds, whose place between them is noted: 0 to 1.

        With `falling`, 1 is noted at the lower bound: where less of it makes more of what is named.
        """
        value = self.uniform(low, high)
        share = (value - low) / (high - low)
        self.drawn[name] = 1 - share if falling else share
        return value

    def sign(self) -> float:
        """Plus or minus one."""
        return 1.0 if self.rng.random() < 0.5 else -1.0

    def choice(self, options: Sequence[_T]) -> _T:
        """One of the options."""
        return options[int(self.rng.integers(len(options)))]

    def jitter(self, x: float, y: float, play: float) -> Point:
        """A point moved by at most `play` in each direction."""
        return x + self.uniform(-play, play), y + self.uniform(-play, play)

    def noise(self, rows: int, columns: int | None = None) -> Array:
        """Smooth unit noise [size, size], resampled from a lattice of that many cells."""
        cells = self.rng.standard_normal((rows, columns or rows), np.float32)
        how = cv2.INTER_AREA if rows > self.size else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(cells, (self.size, self.size), interpolation=how), np.float32)

    def occupy(self, x: float, y: float) -> None:
        """Keep what is placed later away from a point."""
        self._taken.append((x, y))

    def place(self, areas: Sequence[Area]) -> Point:
        """A free point in one of the ellipses, away from what was placed before."""
        tries = []
        for _ in range(8):
            cx, cy, rx, ry = self.choice(areas)
            angle, reach = self.uniform(0, 2 * np.pi), self.rng.random() ** 0.5
            x, y = cx + rx * reach * np.cos(angle), cy + ry * reach * np.sin(angle)
            room = min((np.hypot(x - a, y - b) for a, b in self._taken), default=1.0)
            tries.append((min(room, 0.5), x, y))
        _, x, y = max(tries)
        self.occupy(x, y)
        return x, y

    # Brushes: coverage of every pixel, 0 to 1.

    def cover(self, distance: Array, soft: float = 0.0) -> Array:
        """Coverage from a signed distance (negative inside)."""
        covered: Array = np.clip(0.5 - distance / (self.pixel + soft), 0.0, 1.0)
        return covered

    def radius(self, cx: float, cy: float, rx: float, ry: float, turn: float = 0.0) -> Array:
        """Distance from the centre of an ellipse in units of its radii (1 on the rim)."""
        u, v = self.x - np.float32(cx), self.y - np.float32(cy)
        if turn:
            cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
            u, v = cos * u + sin * v, cos * v - sin * u
        u, v = u * np.float32(1 / rx), v * np.float32(1 / ry)
        reach: Array = np.sqrt(u * u + v * v)
        return reach

    def disc(
        self, cx: float, cy: float, rx: float, ry: float, turn: float = 0.0, soft: float = 0.0
    ) -> Array:
        """A filled ellipse."""
        return self.cover((self.radius(cx, cy, rx, ry, turn) - 1) * min(rx, ry), soft)

    def dome(self, cx: float, cy: float, rx: float, ry: float, turn: float = 0.0) -> Array:
        """The thickness of an ellipsoid, as its projection shows it."""
        return np.sqrt(np.maximum(0.0, 1 - self.radius(cx, cy, rx, ry, turn) ** 2))

    def ring(
        self, cx: float, cy: float, rx: float, ry: float, wall: float, turn: float = 0.0
    ) -> Array:
        """An ellipse's rim, `wall` thick."""
        edge = (self.radius(cx, cy, rx, ry, turn) - 1) * min(rx, ry)
        return self.band(edge + wall / 2, wall / 2)

    def blob(
        self, cx: float, cy: float, rx: float, ry: float, rough: float = 0.15, soft: float = 0.02
    ) -> Array:
        """An irregular ellipse whose rim undulates by `rough`."""
        angle = np.arctan2(self.y - np.float32(cy), self.x - np.float32(cx))
        rim = np.ones_like(angle)
        for waves in (2, 3, 5):
            rim += np.float32(rough / waves**0.5) * np.sin(waves * angle + self.uniform(0, 6.3))
        return self.cover((self.radius(cx, cy, rx, ry) - rim) * min(rx, ry), soft)

    def along(self, x0: float, y0: float, x1: float, y1: float) -> tuple[Array, Array]:
        """Position along a segment (0 to 1) and distance from it."""
        dx, dy = x1 - x0, y1 - y0
        u, v = self.x - np.float32(x0), self.y - np.float32(y0)
        t = np.clip((u * dx + v * dy) / (dx * dx + dy * dy), 0, 1).astype(np.float32)
        u, v = u - t * np.float32(dx), v - t * np.float32(dy)
        return t, np.sqrt(u * u + v * v)

    def line(self, points: Sequence[Point], width: float, soft: float = 0.0) -> Array:
        """A line of that half width through the points."""
        reach = [self.along(*a, *b)[1] for a, b in pairwise(points)]
        return self.cover(np.minimum.reduce(reach) - width, soft)

    def band(self, across: Array, half: float | Array, soft: float = 0.0) -> Array:
        """Return the coverage of the points within `half` of the curve where `across` is zero."""
        return self.cover(np.abs(across) - half, soft)

    # What is done with a coverage.

    def add(self, mask: Array, amount: float) -> None:
        """Add attenuation."""
        self.grey += mask * np.float32(amount)

    def paint(self, mask: Array, level: float | Array) -> None:
        """Cover with a level."""
        self.grey += mask * (level - self.grey)

    def shade(self, x: float, y: float, radius: float, through: float) -> None:
        """Dim (or, above 1, brighten) what lies behind a thing, seen from the probe."""
        u, v = self.to_screen(x, y)
        u, v = u - self.apex[0], v - self.apex[1]
        depth, angle = np.hypot(u, v), np.arctan2(u, v)
        du, dv = self.screen_x - np.float32(self.apex[0]), self.screen_y - np.float32(self.apex[1])
        reach = np.hypot(du, dv)
        aside = np.abs(np.arctan2(du, dv) - np.float32(angle)) * reach - radius * reach / depth
        behind = self.cover(aside, 0.02) * self.cover(depth - reach, 0.05)
        self.shadow *= 1 + behind * np.float32(through - 1)

    def warp(self, dx: Array | float, dy: Array | float) -> None:
        """Move what is drawn so far by a small displacement, in anatomy units."""
        half = np.float32(self.size * self._scale / 2)
        column = (self.screen_x + 1) * (self.size / 2) - 0.5 - half * self._flip * dx
        row = (self.screen_y + 1) * (self.size / 2) - 0.5 - half * dy
        self.grey = np.asarray(
            cv2.remap(
                self.grey,
                column.astype(np.float32),
                row.astype(np.float32),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            ),
            np.float32,
        )

    def marks(self) -> tuple[Array, Array, int]:
        """Return a copy of all that a finding may change, for `restore`."""
        return self.grey.copy(), self.shadow.copy(), len(self.overlays)

    def restore(self, marks: tuple[Array, Array, int]) -> None:
        """Undo what was drawn since the marks were taken; places stay taken."""
        self.grey, self.shadow = marks[0], marks[1]
        del self.overlays[marks[2] :]

    def overlay(self, mask: Array, colour: Colour) -> None:
        """Lay a colour over the finished picture."""
        self.overlays.append((mask, colour))


Draw = Callable[[Canvas], None]
"""Draws something on a canvas: an anatomy, a finding, or what the acquisition does to both."""
