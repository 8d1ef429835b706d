"""Find, decode and resize images: an ImageSet, in memory or prepared on disk.

The same images give the same set, identity included, from any source, by any number of processes
and threads.  What cannot be read is left out with its reason; too much of it stops the work.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
from tqdm import tqdm

from replearn.artefacts import hdf5
from replearn.artefacts.disk_rows import Array, DiskRows, select_rows
from replearn.artefacts.error_budget import ErrorBudget, check_errors, check_some
from replearn.artefacts.identity import digest, identify
from replearn.errors import DataError
from replearn.images.decoding import Fit, UnreadableImage, decode
from replearn.images.ids import MISSING, Frames, IdsFrom, match_ids, refuse_repeated
from replearn.images.readers import FileReader, Form, image_digests
from replearn.images.sources import open_source

__all__ = ["Fit", "Frames", "IdsFrom", "ImageSet", "UnreadableImage", "decode", "open_images"]

_IN_MEMORY = 1 << 30  # bytes of pixels: what is chosen from a set on disk is read if it is less
_PART_BYTES = 1 << 26  # of pixels that are decoded together
_THREADS = 8  # that decode: more of them only wait for the interpreter


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
    """

    ids: list[str]
    pixels: Array
    fit: Fit
    errors: list[tuple[str, str]]
    identity: str
    digests: Array | None = None

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

        Raises:
            DataError: an id stands twice in `ids`.
        """
        refuse_repeated(ids)
        rows = {id_: row for row, id_ in enumerate(self.ids)}
        reasons = dict(self.errors)
        found = [id_ for id_ in ids if id_ in rows]
        errors = [(id_, reasons.get(id_, MISSING)) for id_ in ids if id_ not in rows]
        if found == self.ids:
            return replace(self, errors=errors)
        chosen = [rows[id_] for id_ in found]
        pixels = _take(self.pixels, chosen)
        digests = image_digests(pixels) if self.digests is None else self.digests[chosen]
        shape = self.pixels.shape[1:]
        identity = identity_of(found, digests, shape, self.fit)
        return ImageSet(found, pixels, self.fit, errors, identity, digests)

    @classmethod
    def load(cls, path: Path) -> "ImageSet":
        """Open a prepared image set, a file or a folder of shards.

        Its pixels stay on disk until they are used.

        Raises:
            DataError: it is missing, damaged, or holds no images.
        """
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
            digests = image_digests(rows.rows) if digests is None else digests
            identity = identity_of(rows.ids, digests, shape[1:], fit)
        return cls(rows.ids, rows.rows, fit, rows.errors, str(identity), digests)


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


def open_images(
    source: Path,
    *,
    size: int,
    channels: int,
    fit: Fit,
    ids: Sequence[str] | None = None,
    ids_from: IdsFrom = "name",
    frames: Frames = "middle",
    max_errors: float = 0.05,
) -> ImageSet:
    """Open a prepared image set, or prepare any other source in memory.

    Args:
        source: a prepared set, or whatever `replearn.images.sources.open_source` opens.
        size: height and width to bring the images to; a prepared set must have it.
        channels: 1 (grey) or 3 (red, green, blue).
        fit: `stretch`, or `pad` to keep the aspect.
        ids: the images wanted, in this order; all of them, sorted by id, if None.
        ids_from: whether an id is the file's name or its path, without extension.
        frames: of a DICOM file with several, the `middle` one or `all`.
        max_errors: the largest share of the wanted images that may be missing or unreadable.

    Raises:
        DataError: nothing is found, too much is unreadable, two files share an id, or a prepared
            set has another form.
        UsageError: a value that cannot be.
    """
    form = Form(size, channels, fit)
    if is_prepared(source):
        return open_prepared(source, form, ids, max_errors)
    with open_files(source, form, ids=ids, ids_from=ids_from, frames=frames) as files:
        budget = ErrorBudget(source, len(files), max_errors)
        budget.check(files.missing())
        pixels = np.empty((len(files), channels, size, size), np.uint8)
        read: list[str] = []
        digests = []
        step = max(1, min(1024, _PART_BYTES // files.image_bytes))
        with tqdm(total=len(files), unit="image", delay=1, disable=None) as bar:
            for start in range(0, len(files), step):
                wanted = range(start, min(start + step, len(files)))
                part = files.share(wanted).read(_THREADS)
                pixels[len(read) : len(read) + len(part.ids)] = part.pixels
                read += part.ids
                digests.append(part.columns["digests"])
                budget.add(part.errors)
                bar.update(len(wanted))
    budget.finish()
    hashes = np.concatenate(digests)
    identity = identity_of(read, hashes, pixels.shape[1:], fit)
    return ImageSet(read, pixels[: len(read)], fit, budget.errors, identity, hashes)


@contextmanager
def open_files(
    source: Path,
    form: Form,
    *,
    ids: Sequence[str] | None,
    ids_from: IdsFrom,
    frames: Frames,
    scratch: Path | None = None,
) -> Iterator[FileReader]:
    """Open a source that is still to be decoded, as a supply of the wanted images."""
    with open_source(source, scratch) as opened:
        plan = match_ids(source, opened, ids, ids_from, frames)
        yield FileReader(opened.store, plan, form)


def is_prepared(source: Path) -> bool:
    """Tell whether this is a prepared image set."""
    if source.is_dir():
        return hdf5.is_folder_of_shards(source)
    if not source.is_file() or not h5py.is_hdf5(source):
        return False
    try:
        with h5py.File(source, "r") as file:
            pixels = file.get("pixels")
            return isinstance(pixels, h5py.Dataset) and pixels.ndim == 4 and "ids" in file
    except (OSError, RuntimeError):
        return True  # a damaged one, which opening it as one will say


def open_prepared(
    source: Path, form: Form, ids: Sequence[str] | None, max_errors: float
) -> ImageSet:
    """Open a prepared image set that must have this form.

    Raises:
        DataError: it has another form, or too many of the ids are not in it.
    """
    images = ImageSet.load(source)
    found = Form(images.size, images.channels, images.fit)
    if found != form:
        raise DataError(
            f"{source}: prepared with {found}, where {form} is asked; prepare it so, or give the "
            "images themselves"
        )
    if ids is None:
        return images
    chosen = images.select(ids)
    # What could not be read was accepted when the set was prepared; it does not count again.
    known = dict(images.errors)
    missing = [error for error in chosen.errors if error[0] not in known]
    check_errors(source, missing, len(ids), max_errors)
    check_some(source, chosen.ids, chosen.errors)
    return chosen
