"""What a pipeline takes its images from, in shares that travel to other processes.

A supply of prepared pixels reads them; one of files decodes them.  What travels are paths,
numbers of rows and, for sets that are in memory only, the pixels themselves.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from replearn.diskrows import Array, choose
from replearn.hdf5 import Errors
from replearn.rates import Seconds


@dataclass(frozen=True)
class Part:
    """Images that were read.

    Attributes:
        ids: of those that could be, in their order.
        pixels: uint8 [n, C, H, W].
        errors: (id, reason) of those that could not.
        columns: more about each image: `digests`, `paths`.
        seconds: spent on each part of the work.
    """

    ids: list[str]
    pixels: Array
    errors: Errors = field(default_factory=list)
    columns: Mapping[str, Array] = field(default_factory=dict)
    seconds: Seconds = field(default_factory=dict)


class Supply(Protocol):
    """Wanted images in their final order."""

    def __len__(self) -> int: ...

    @property
    def image_bytes(self) -> int:
        """Size of one image's pixels."""
        ...

    def share(self, wanted: range) -> "Supply":
        """Return those of this range."""
        ...

    def read(self, threads: int = 1) -> Part:
        """Return all of them, decoded by so many threads."""
        ...


@dataclass(frozen=True)
class Prepared:
    """Images that have been decoded.

    Attributes:
        ids: of the images [N].
        pixels: uint8 [N, C, H, W], in memory or on disk.
    """

    ids: Sequence[str]
    pixels: Array

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def image_bytes(self) -> int:
        """Size of one image's pixels."""
        return math.prod(self.pixels.shape[1:])

    def share(self, wanted: range) -> "Prepared":
        """Return those of this range, without reading what is on disk."""
        return Prepared(self.ids[wanted.start : wanted.stop], choose(self.pixels, wanted))

    def read(self, threads: int = 1) -> Part:
        """Return all of them."""
        return Part(list(self.ids), np.ascontiguousarray(self.pixels[:]))
