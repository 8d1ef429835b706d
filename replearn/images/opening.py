"""Opens images of any source: as a reader, or all of them in memory.

What cannot be read is left out with its reason; too much of it stops the work.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Unpack

import h5py
import numpy as np

from replearn.artefacts.error_budget import ErrorBudget, check_errors, check_some
from replearn.artefacts.hdf5 import is_folder_of_shards
from replearn.console import progress
from replearn.errors import DataError, UsageError
from replearn.ids import IdList, IdMap, IdsFrom, natural_key
from replearn.images.file_reader import FileReader
from replearn.images.form import Form, FormArguments
from replearn.images.frames import Frames, Pages
from replearn.images.ids import Selection, match_ids
from replearn.images.image_set import ImageSet, identity_of
from replearn.images.reader import ImageReader
from replearn.images.sources import open_source
from replearn.matching import ids_meant

_PART_BYTES = 1 << 26  # of pixels that are decoded together
_THREADS = 8  # that decode: more of them only wait for the interpreter


def open_images(
    source: Path | str,
    *,
    ids: Sequence[str] | IdList | None = None,
    ids_from: IdsFrom = "name",
    frames: Frames = "middle",
    pages: Pages = "first",
    max_errors: float = 0.05,
    **form: Unpack[FormArguments],
) -> ImageSet:
    """Open a prepared image set, or prepare any other source in memory.

    Args:
        source: a prepared set, or whatever `replearn.images.sources.open_source` opens.
        ids: the images wanted, in this order, or a file's list of them; all of them, sorted by id,
            if None.
        ids_from: whether an id is the file's name or its path, without extension.
        frames: of a DICOM file with several, the `middle` one or `all`.
        pages: of any other file with several frames or pages, the `first` one or `all`.
        max_errors: the largest share of the wanted images that may be missing or unreadable.
        form: what the images are brought to: the fields of `Form`.  A prepared set must have it.

    Raises:
        DataError: nothing is found, too much is unreadable, two files share an id, or a prepared
            set has another form.
        UsageError: a value that cannot be.

    Example:
        >>> images = replearn.open_images("mydata/images", size=64, channels=1)
        >>> images.pixels.shape  # [N, C, H, W], uint8
        (48, 1, 64, 64)
    """
    source, wanted = Path(source), Form(**form)
    selection = Selection(ids, ids_from, frames, max_errors, pages)
    if is_prepared(source):
        return open_prepared(source, wanted, selection)
    with open_files(source, wanted, selection) as files:
        return _read_all(files, max_errors)


def _read_all(files: FileReader, max_errors: float) -> ImageSet:
    form, count = files.form, len(files)
    budget = ErrorBudget(files.source, count, max_errors)
    budget.check(files.missing())
    pixels = np.empty((count, form.channels, form.size, form.size), np.uint8)
    ids: list[str] = []
    digests = []
    step = max(1, min(1024, _PART_BYTES // files.image_bytes))
    with progress(total=count, unit="image") as bar:
        for start in range(0, count, step):
            wanted = range(start, min(start + step, count))
            batch = files.share(wanted).read(_THREADS)
            pixels[len(ids) : len(ids) + len(batch.ids)] = batch.pixels
            ids += batch.ids
            digests.append(batch.columns["digests"])
            budget.add(batch.errors)
            bar.update(len(wanted))
    budget.finish()
    hashes = np.concatenate(digests)
    identity = identity_of(ids, hashes, pixels.shape[1:], form.fit)
    read = pixels[: len(ids)]
    found = ImageSet(ids, read, form.fit, budget.errors, identity, hashes, files.source)
    return replace(found, bits=form.bits, value_range=form.value_range)


@contextmanager
def open_reader(
    source: Path, form: Form, selection: Selection, scratch: Path | None = None
) -> Iterator[ImageReader]:
    """Open whatever holds images as one reader of the wanted ones, in this form.

    Args:
        source: a prepared set, or whatever `replearn.images.sources.open_source` opens.
        form: a prepared set must have it, other images are brought to it.
        selection: which images are wanted.
        scratch: see `open_source`.

    Raises:
        DataError: nothing is found, two files share an id, or a prepared set has another form.
    """
    if is_prepared(source):
        yield open_prepared(source, form, selection)
    else:
        with open_files(source, form, selection, scratch) as files:
            yield files


@contextmanager
def open_files(
    source: Path, form: Form, selection: Selection, scratch: Path | None = None
) -> Iterator[FileReader]:
    """Open a source whose images are still to be decoded."""
    with open_source(source, scratch) as opened:
        yield FileReader(source, opened.store, match_ids(source, opened, selection), form)


def list_ids(source: Path, *, within: str | None = None, ids_from: IdsFrom = "name") -> list[str]:
    """Return the ids of all images of a source, in natural order, without reading any image.

    Args:
        source: a prepared set, or whatever `replearn.images.sources.open_source` opens.
        within: only the images in this folder of the source, itself a folder; their ids are those
            that they have in the whole source.
        ids_from: whether an id is the file's name or its path, without extension.

    Raises:
        DataError: nothing is found, two files share an id, or a prepared set has no folders.
        UsageError: a folder that is not below the source.
    """
    inside = PurePosixPath(within or "")
    if inside.is_absolute() or ".." in inside.parts:
        raise UsageError(f"within {within}: give a folder below {source}, as a path in it")
    if is_prepared(source):
        if within is not None:
            raise DataError(f"{source}: a prepared set has no folders; give the images themselves")
        images = ImageSet.load(source)
        return sorted([*images.ids, *(id_ for id_, _ in images.errors)], key=natural_key)
    with open_source(source / inside) as opened:
        if within is not None:
            files = [replace(file, path=str(inside / file.path)) for file in opened.files]
            opened = replace(opened, files=files)
        plan = match_ids(source, opened, Selection(ids_from=ids_from))
    return sorted((id_ for id_, _ in plan), key=natural_key)


def is_prepared(source: Path) -> bool:
    """Tell whether this is a prepared image set."""
    if source.is_dir():
        return is_folder_of_shards(source)
    if not source.is_file() or not h5py.is_hdf5(source):
        return False
    try:
        with h5py.File(source, "r") as file:
            pixels = file.get("pixels")
            return isinstance(pixels, h5py.Dataset) and pixels.ndim == 4 and "ids" in file
    except (OSError, RuntimeError):
        return True  # a damaged one, which opening it as one will say


def open_prepared(source: Path, form: Form, selection: Selection) -> ImageSet:
    """Open a prepared image set that must have this form.

    Raises:
        DataError: it has another form, or too many of the ids are not in it.
    """
    images = ImageSet.load(source)
    if images.form != form:
        raise DataError(
            f"{source}: prepared with {images.form}, where {form} is asked; prepare it so, or give "
            "the images themselves"
        )
    if selection.ids is None:
        return images
    # What could not be read was accepted when the set was prepared; it does not count again.
    known = IdMap(images.errors)
    wanted = ids_meant(selection.ids, [*images.ids, *known], source)
    chosen = images.select(wanted)
    missing = [error for error in chosen.errors if error[0] not in known]
    check_errors(source, missing, len(wanted), selection.max_errors)
    check_some(source, chosen.ids, chosen.errors)
    return chosen
