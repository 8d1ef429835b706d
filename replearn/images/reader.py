"""The contract of what images are read from: prepared sets, files, archives and tables alike.

A reader is cut into shares that travel to other processes: as paths and numbers of rows, or, for
sets that are in memory only, as the pixels themselves.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from replearn.arrays import Array
from replearn.artefacts.error_budget import Errors
from replearn.artefacts.hdf5 import Rows
from replearn.artefacts.throughput import Seconds


@dataclass(frozen=True)
class ImageBatch:
    """Images that were read.

    Attributes:
        ids: of those that could be, in their order.
        pixels: uint8 [n, C, H, W].
        errors: (id, reason) of those that could not.
        columns: more about each image: `digests`, `paths`, and of its file `frames` and `bits`.
        seconds: spent on each part of the work.
    """

    ids: list[str]
    pixels: Array
    errors: Errors = field(default_factory=list)
    columns: Mapping[str, Array] = field(default_factory=dict)
    seconds: Seconds = field(default_factory=dict)


class ImageReader(Protocol):
    """Wanted images in their final order, read in shares; `ImageSet` and `FileReader` are two."""

    def __len__(self) -> int: ...

    @property
    def source(self) -> Path | None:
        """The path of the images; None for images in memory."""
        ...

    @property
    def errors(self) -> Errors:
        """(id, reason) of the images that an earlier stage has left out."""
        ...

    @property
    def decoded(self) -> bool:
        """True if the pixels are decoded already, so that reading them needs no other processes."""
        ...

    @property
    def identity(self) -> str:
        """The identity of the images, as far as it is known before they are read."""
        ...

    @property
    def image_bytes(self) -> int:
        """Size of one image's pixels."""
        ...

    def missing(self) -> Errors:
        """Return the wanted ids that are not to be had, with the reason."""
        ...

    def share(self, wanted: range) -> "ImageReader":
        """Return those of this range, without reading them."""
        ...

    def read(self, threads: int = 1) -> ImageBatch:
        """Return all of them, decoded by so many threads."""
        ...

    def identity_when_read(self, shards: Iterable[Rows]) -> str:
        """Return the identity of the image set that they are; shards hold ids and digests."""
        ...
