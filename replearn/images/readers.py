"""What a pipeline takes its images from, in shares that travel to other processes.

A supply of prepared pixels reads them; one of files decodes them, many at a time, with a reason for
each that cannot be.  What travels are paths, numbers of rows and, for sets that are in memory only,
the pixels themselves.
"""

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from replearn.artefacts.disk_rows import Array, select_rows
from replearn.artefacts.error_budget import Errors
from replearn.artefacts.identity import digest, identify
from replearn.artefacts.throughput import Seconds, Throughput
from replearn.errors import UsageError
from replearn.images.decoding import Fit, UnreadableImage, decode
from replearn.images.ids import MISSING, Plan
from replearn.images.stores import Store


@dataclass(frozen=True)
class ImageBatch:
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


class ImageReader(Protocol):
    """Wanted images in their final order."""

    def __len__(self) -> int: ...

    @property
    def image_bytes(self) -> int:
        """Size of one image's pixels."""
        ...

    def missing(self) -> Errors:
        """Return the wanted ids that are not to be had, with the reason."""
        ...

    def share(self, wanted: range) -> "ImageReader":
        """Return those of this range."""
        ...

    def read(self, threads: int = 1) -> ImageBatch:
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

    def missing(self) -> Errors:
        """Return nothing: whoever prepared them has left out what was not to be had."""
        return []

    def share(self, wanted: range) -> "Prepared":
        """Return those of this range, without reading what is on disk."""
        return Prepared(self.ids[wanted.start : wanted.stop], select_rows(self.pixels, wanted))

    def read(self, threads: int = 1) -> ImageBatch:
        """Return all of them."""
        return ImageBatch(list(self.ids), np.ascontiguousarray(self.pixels[:]))


@dataclass(frozen=True)
class Form:
    """What every image is brought to.

    Attributes:
        size: height and width in pixels.
        channels: 1 (grey) or 3 (red, green, blue).
        fit: `stretch` to the square, or keep the aspect and `pad` with black.

    Raises:
        UsageError: a value that cannot be.
    """

    size: int
    channels: int
    fit: Fit

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UsageError(f"size {self.size}: a number of pixels, at least 1")
        if self.channels not in (1, 3):
            raise UsageError(f"channels {self.channels}: 1 (grey) or 3 (colour)")
        if self.fit not in ("stretch", "pad"):
            raise UsageError(f"fit {self.fit}: stretch or pad")

    def __str__(self) -> str:
        return f"size {self.size}, channels {self.channels}, fit {self.fit}"


@dataclass(frozen=True)
class FileReader:
    """Images that are still to be decoded.

    Attributes:
        store: where the files are read.
        plan: the wanted ids and their files.
        form: what the images are brought to.
    """

    store: Store
    plan: Plan
    form: Form

    def __len__(self) -> int:
        return len(self.plan)

    def share(self, wanted: range) -> "FileReader":
        """Return those of this range."""
        return FileReader(self.store, self.plan[wanted.start : wanted.stop], self.form)

    @property
    def image_bytes(self) -> int:
        """Size of one image's pixels."""
        return self.form.channels * self.form.size**2

    @property
    def identity(self) -> str:
        """Depends on what they become, as far as that is known without reading them.

        Of formats whose files may have one size whatever is on them, it changes with their times.
        """
        listing = digest(*(f"{id_}\t{file and (file.size, file.stamp)}" for id_, file in self.plan))
        return identify("prepared", listing=listing, form=str(self.form))

    def missing(self) -> Errors:
        """Return the wanted ids that have no file, with that reason."""
        return [(id_, MISSING) for id_, file in self.plan if file is None]

    def read(self, threads: int = 1) -> ImageBatch:
        """Read and decode all of them; what cannot be becomes an error."""
        form = self.form
        pixels = np.empty((len(self), form.channels, form.size, form.size), np.uint8)
        with ThreadPoolExecutor(threads) as pool:
            # Both decoders release the interpreter's lock, as reading does.  Each thread has
            # files all over the plan, as neighbours may be alike in how long they take.
            strips = [range(start, len(self), threads) for start in range(threads)]
            results = list(pool.map(lambda strip: self._fill(pixels, strip), strips))
        reasons = {row: reason for result, _ in results for row, reason in result.items()}
        throughput = Throughput()
        for _, spent in results:
            throughput.add(0, {part: spent[part] / threads for part in spent})
        good = [row for row in range(len(self)) if row not in reasons]
        chosen = pixels[good] if reasons else pixels
        files = [self.plan[row][1] for row in good]
        paths = [os.fsencode(file.path if file else "") for file in files]
        return ImageBatch(
            [self.plan[row][0] for row in good],
            chosen,
            [(self.plan[row][0], reasons[row]) for row in sorted(reasons)],
            {"digests": image_digests(chosen), "paths": np.array(paths, dtype=bytes)},
            throughput.seconds,
        )

    def _fill(self, pixels: Array, rows: range) -> tuple[dict[int, str], Seconds]:
        """Decode some files into their rows; return reasons for those that cannot be, and times."""
        form, throughput = self.form, Throughput()
        reasons: dict[int, str] = {}
        for row in rows:
            file = self.plan[row][1]
            if file is None:
                reasons[row] = MISSING
                continue
            try:
                with throughput.timing("reading"):
                    data = self.store.read(file)
                with throughput.timing("decoding"):
                    pixels[row] = decode(
                        data,
                        size=form.size,
                        channels=form.channels,
                        fit=form.fit,
                        frame=file.frame,
                    )
            except UnreadableImage as error:
                reasons[row] = str(error)
            except OSError as error:
                reasons[row] = (error.strerror or str(error) or "cannot be read").lower()
        return reasons, throughput.seconds


def image_digests(pixels: Array) -> Array:
    """Return the hash of each image [N, C, H, W] as uint8 [N, 16]."""
    digests = np.empty((len(pixels), 16), np.uint8)
    for row, image in enumerate(pixels):
        content = hashlib.sha256(np.ascontiguousarray(image).data).digest()
        digests[row] = np.frombuffer(content[:16], np.uint8)
    return digests
