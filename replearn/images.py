"""Find, decode and resize images: an ImageSet, in memory or prepared as one HDF5 file.

The same images give the same set, identity included, from a folder or an archive, by any number
of threads.  What cannot be read is left out with its reason; too much of it stops the work.
"""

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from tqdm import tqdm

from replearn import artefacts, hdf5, parts
from replearn.decoding import Fit, UnreadableImage, decode
from replearn.errors import DataError, UsageError
from replearn.reading import (
    MISSING,
    Form,
    IdsFrom,
    Reading,
    check_errors,
    check_some,
    make_plan,
    refuse_repeated,
)
from replearn.sources import open_source

__all__ = ["Fit", "IdsFrom", "ImageSet", "UnreadableImage", "decode", "open_images", "prepare"]


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of one size, with their ids.

    Attributes:
        ids: one for each image [N], all different.
        pixels: uint8 [N, C, H, W], maybe a memory map.
        fit: how the images were brought to this size.
        errors: (id, reason) of what could not be read.
        identity: depends on ids, pixels and fit, and on nothing else.
    """

    ids: list[str]
    pixels: np.ndarray[Any, Any]
    fit: Fit
    errors: list[tuple[str, str]]
    identity: str

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
        pixels = _take(self.pixels, [rows[id_] for id_ in found])
        return ImageSet(found, pixels, self.fit, errors, _identity(found, pixels, self.fit))

    @classmethod
    def load(cls, path: Path) -> "ImageSet":
        """Open a prepared image set; its pixels stay on disk until they are used.

        Raises:
            DataError: the file is missing, damaged, or holds no images.
        """
        rows = hdf5.read_rows(path, "pixels")
        shape, kind = rows.rows.shape, rows.rows.dtype
        if kind != np.uint8 or len(shape) != 4 or shape[1] not in (1, 3) or shape[2] != shape[3]:
            raise DataError(
                f"{path}: pixels are {kind} {list(shape)}, where uint8 [N, 1 or 3, size, size] "
                "is expected; prepare the images again"
            )
        fit = rows.attributes.get("fit", "stretch")
        identity = rows.attributes.get("identity") or _identity(rows.ids, rows.rows, fit)
        return cls(rows.ids, rows.rows, fit, rows.errors, identity)


def _take(pixels: np.ndarray[Any, Any], rows: list[int]) -> np.ndarray[Any, Any]:
    """Return these rows; neighbours in order stay a view, so a memory map stays on disk."""
    if rows and rows == list(range(rows[0], rows[0] + len(rows))):
        return pixels[rows[0] : rows[0] + len(rows)]
    return pixels[rows]


def _identity(ids: Sequence[str], pixels: np.ndarray[Any, Any], fit: str) -> str:
    content = artefacts.digest(np.ascontiguousarray(pixels).reshape(-1).data)
    return artefacts.identify(
        "images", ids=artefacts.digest(*ids), shape=pixels.shape[1:], fit=fit, pixels=content
    )


def open_images(
    source: Path,
    *,
    size: int,
    channels: int,
    fit: Fit,
    ids: Sequence[str] | None = None,
    ids_from: IdsFrom = "name",
    max_errors: float = 0.05,
) -> ImageSet:
    """Open a prepared image set, or prepare any other source in memory.

    Args:
        source: a prepared set, folder, archive, list of paths or single image.
        size: height and width to bring the images to; a prepared set must have it.
        channels: 1 (grey) or 3 (red, green, blue).
        fit: `stretch`, or `pad` to keep the aspect.
        ids: the images wanted, in this order; all of them, sorted by id, if None.
        ids_from: whether an id is the file's name or its path, without extension.
        max_errors: the largest share of the wanted images that may be missing or unreadable.

    Raises:
        DataError: nothing is found, too much is unreadable, two files share an id, or a prepared
            set has another form.
        UsageError: a value that cannot be.
    """
    form = Form(size, channels, fit)
    if is_prepared(source):
        return _open_prepared(source, form, ids, max_errors)
    with open_source(source) as opened:
        plan = make_plan(source, opened.files, ids, ids_from)
        reading = Reading(source, opened, plan, form, max_errors)
        pixels = np.empty((len(plan), channels, size, size), np.uint8)
        with tqdm(total=len(plan), unit="image", delay=1, disable=None) as bar:
            for start in range(0, len(plan), reading.part_size):
                part = reading.decode(start, start + reading.part_size)
                done = len(reading.ids)
                pixels[done : done + len(part["pixels"])] = part["pixels"]
                reading.count(part)
                bar.update(len(part["reason"]))
    reading.finish()
    pixels = pixels[: len(reading.ids)]
    return ImageSet(reading.ids, pixels, fit, reading.errors, _identity(reading.ids, pixels, fit))


def is_prepared(source: Path) -> bool:
    """Tell whether this is a prepared image set (or any HDF5 file)."""
    return source.is_file() and bool(h5py.is_hdf5(source))


def _open_prepared(
    source: Path, form: Form, ids: Sequence[str] | None, max_errors: float
) -> ImageSet:
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


def prepare(
    source: Path,
    out: Path,
    *,
    size: int = 64,
    channels: int = 1,
    fit: Fit = "stretch",
    ids: Sequence[str] | None = None,
    ids_from: IdsFrom = "name",
    max_errors: float = 0.05,
    overwrite: bool = False,
) -> ImageSet:
    """Write the images of `source` to the image set `out`, going on where a killed run stopped.

    The arguments are those of `open_images`; `overwrite` replaces another set at `out`.

    Raises:
        DataError: as `open_images`, or `out` holds something else, or is being written now.
        UsageError: a value that cannot be, or `out` is a folder.
    """
    if out.is_dir():
        raise UsageError(f"{out}: a folder; give the name of the file to write, as images.h5")
    if is_prepared(source):
        raise DataError(f"{source}: prepared already; give it to the next stage as it is")
    form = Form(size, channels, fit)
    start = time.monotonic()
    with open_source(source) as opened:
        plan = make_plan(source, opened.files, ids, ids_from)
        listing = artefacts.digest(*(f"{id_}\t{file and file.size}" for id_, file in plan))
        wanted = artefacts.identify("prepared", listing=listing, form=str(form), ids_from=ids_from)
        with artefacts.workspace(out, keep=True) as work:
            if not artefacts.already_made(out, _made_from(out), wanted, overwrite=overwrite):
                reading = Reading(source, opened, plan, form, max_errors)
                _make_parts(work / "parts", wanted, reading)
                facts = {"size": size, "channels": channels, "fit": fit, "source": wanted}
                facts["folder"] = os.path.relpath(source, out.parent)  # a hint
                _join(work / "images.h5", work / "parts", reading, facts)
                artefacts.publish(work / "images.h5", out)
                _say_done(out, reading, time.monotonic() - start)
    made = ImageSet.load(out)
    check_errors(out, made.errors, len(plan), max_errors)
    return made


def _say_done(out: Path, reading: Reading, seconds: float) -> None:
    artefacts.say(
        f"{out}: {len(reading.ids):,} images ({reading.form}), {len(reading.errors):,} left out, "
        f"{seconds:.1f} s, {len(reading.plan) / seconds:,.0f} images/s"
    )


def _made_from(out: Path) -> str | None:
    try:
        source = hdf5.read_rows(out, "pixels").attributes.get("source")
    except DataError:
        return None
    return None if source is None else str(source)


def _make_parts(folder: Path, plan: str, reading: Reading) -> None:
    size = reading.part_size
    try:
        for part in parts.make_parts(folder, plan, len(reading.plan), size, reading.decode):
            reading.count(part)
        reading.finish()
    except DataError:
        shutil.rmtree(folder)  # the next run must look again at what will have been mended
        raise


def _join(out: Path, folder: Path, reading: Reading, facts: dict[str, Any]) -> None:
    """Write the parts into one file, and then what is known only from the whole."""
    blocks = (part["pixels"] for part in parts.read_parts(folder))
    hdf5.write_rows(out, "pixels", blocks, reading.ids, reading.errors, facts)
    identity = ImageSet.load(out).identity
    path_of = {id_: file.path for id_, file in reading.plan if file}
    with h5py.File(out, "r+") as file:
        file.attrs["identity"] = identity
        paths = np.array([os.fsencode(path_of[id_]) for id_ in reading.ids])
        file.create_dataset("paths", data=paths)  # a hint: where each image lies in `folder`
