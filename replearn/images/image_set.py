"""Image sets: images of one size with their ids, in memory or prepared on disk.

The same images give the same set, identity included, from any source, by any number of processes
and threads.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from replearn.arrays import Array
from replearn.artefacts import hdf5
from replearn.artefacts.disk_rows import DiskRows, select_rows
from replearn.artefacts.error_budget import Errors
from replearn.artefacts.hdf5 import Rows
from replearn.artefacts.identity import digest, identify
from replearn.errors import DataError, refuse_repeated
from replearn.ids import IdMap, rows_of
from replearn.images.form import Fit, Form, ValueRange
from replearn.images.ids import MISSING
from replearn.images.reader import ImageBatch
from replearn.matching import ids_meant

_IN_MEMORY = 1 << 30  # bytes of pixels: what is chosen from a set on disk is read if it is less


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of one size, with their ids.

    Attributes:
        ids: one for each image [N], all different.
        pixels: uint8 [N, C, H, W]; in memory, a memory map, or rows on disk in several files.
        fit: how the images were brought to this size.
        errors: (id, reason) of what could not be read.
        identity: depends on ids, pixels and fit, and on nothing else.
        digests: hash of each image, uint8 [N, 16], where they are known.
        source: where they lie, or were prepared from; None if that is not known.
        bits: see `Form`.
        value_range: see `Form`.

    Example:
        >>> images = replearn.ImageSet.load("runs/images.h5")
        >>> len(images), images.pixels.shape
        (48, (48, 1, 32, 32))
        >>> images.select(images.ids[:2]).ids == images.ids[:2]
        True
    """

    ids: list[str]
    pixels: Array
    fit: Fit
    errors: list[tuple[str, str]]
    identity: str
    digests: Array | None = None
    source: Path | None = None
    bits: int | None = None
    value_range: ValueRange | None = None

    decoded: ClassVar[bool] = True

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def size(self) -> int:
        """Height and width of every image, in pixels."""
        return int(self.pixels.shape[-1])

    @property
    def channels(self) -> int:
        """1 (grey) or 3 (red, green, blue)."""
        return int(self.pixels.shape[1])

    def select(self, ids: Sequence[str]) -> "ImageSet":
        """Return the images of these ids in this order; those not here become its errors.

        A name of an image becomes the image's id, see `ids_meant`.

        Raises:
            DataError: an id stands twice in `ids`, or two mean the same image.
        """
        refuse_repeated(ids)
        rows, reasons = rows_of(self.ids), IdMap(self.errors)
        known = [*self.ids, *(id_ for id_ in reasons if id_ not in rows)]
        ids = ids_meant(ids, known, self.source or "images")
        found = [id_ for id_ in ids if id_ in rows]
        errors = [(id_, reasons.get(id_, MISSING)) for id_ in ids if id_ not in rows]
        if found == self.ids:
            return replace(self, errors=errors)
        chosen = [rows[id_] for id_ in found]
        pixels = _take(self.pixels, chosen)
        digests = digests_of(pixels) if self.digests is None else self.digests[chosen]
        shape = self.pixels.shape[1:]
        identity = identity_of(found, digests, shape, self.fit)
        return replace(
            self, ids=found, pixels=pixels, errors=errors, identity=identity, digests=digests
        )

    @classmethod
    def load(cls, path: Path | str) -> "ImageSet":
        """Open a prepared image set, a file or a folder of shards.

        Its pixels stay on disk until they are used.

        Raises:
            DataError: it is missing, damaged, or holds no images.
        """
        path = Path(path)
        rows = hdf5.read_rows(path, "pixels")
        shape, kind = rows.rows.shape, rows.rows.dtype
        if kind != np.uint8 or len(shape) != 4 or shape[1] not in (1, 3) or shape[2] != shape[3]:
            raise DataError(
                f"{path}: pixels are {kind} {list(shape)}, where uint8 [N, 1 or 3, size, size] "
                "is expected; prepare the images again"
            )
        fit = rows.attributes.get("fit", "stretch")
        digests = rows.columns.get("digests")
        identity = rows.attributes.get("identity")
        if identity is None:
            digests = digests_of(rows.rows) if digests is None else digests
            identity = identity_of(rows.ids, digests, shape[1:], fit)
        given = rows.attributes.get("value_range")
        return cls(
            rows.ids,
            rows.rows,
            fit,
            rows.errors,
            str(identity),
            digests,
            path,
            rows.attributes.get("bits"),
            None if given is None else (float(given[0]), float(given[1])),
        )

    @property
    def form(self) -> Form:
        """The form of every image."""
        return Form(self.size, self.channels, self.fit, self.bits, self.value_range)

    @property
    def image_bytes(self) -> int:
        """Size of one image's pixels."""
        return math.prod(self.pixels.shape[1:])

    def missing(self) -> Errors:
        """Return nothing: what was not to be had is among the errors."""
        return []

    def share(self, wanted: range) -> "ImageSet":
        """Return those of this range, without reading what is on disk."""
        return replace(
            self,
            ids=self.ids[wanted.start : wanted.stop],
            pixels=select_rows(self.pixels, wanted),
            errors=[],
            identity=f"{self.identity}[{wanted.start}:{wanted.stop}]",
            digests=None,
        )

    def read(self, threads: int = 1) -> ImageBatch:
        """Return all of them."""
        return ImageBatch(list(self.ids), np.ascontiguousarray(self.pixels[:]))

    def identity_when_read(self, shards: Iterable[Rows]) -> str:
        """Return the identity, which reading does not change."""
        return self.identity


def _take(pixels: Array, rows: list[int]) -> Array:
    """Return these rows; many of them stay on disk where they are there."""
    neighbours = bool(rows) and rows == list(range(rows[0], rows[0] + len(rows)))
    if neighbours and not isinstance(pixels, DiskRows):
        return pixels[rows[0] : rows[0] + len(rows)]  # a view
    large = len(rows) * pixels[:1].nbytes > _IN_MEMORY
    return select_rows(pixels, rows) if large else pixels[rows]


def identity_of(ids: Sequence[str], digests: Array, shape: Sequence[int], fit: str) -> str:
    """Return the identity of a set, by its ids [N], the hashes of its images [N, 16] and shape."""
    return identify(
        "images",
        ids=digest(*ids),
        shape=list(shape),
        fit=fit,
        pixels=digest(digests.tobytes()),
    )


def identity_of_shards(shards: Iterable[Rows], form: Form) -> str:
    """Return the identity of the image set whose ids and digests these shards hold."""
    parts = [(rows.ids, rows.columns["digests"]) for rows in shards]
    ids = [id_ for ids, _ in parts for id_ in ids]
    digests = np.concatenate([digests for _, digests in parts])
    return identity_of(ids, digests, (form.channels, form.size, form.size), form.fit)


def digests_of(pixels: Array) -> Array:
    """Return the hash of each image [N, C, H, W] as uint8 [N, 16]."""
    digests = np.empty((len(pixels), 16), np.uint8)
    for row, image in enumerate(pixels):
        content = hashlib.sha256(np.ascontiguousarray(image).data).digest()
        digests[row] = np.frombuffer(content[:16], np.uint8)
    return digests
