"""Arrays of many images as sources: datasets of HDF5 files, `.npy` and `.npz`.

Images are [N, H, W], [N, H, W, C] or [N, C, H, W]; one of them is given to the decoders as the
bytes of a file of its own, so that arrays go the way of all images.
"""

import re
import shutil
import threading
import zipfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import numpy as np

from replearn.arrays import Array
from replearn.artefacts.files import writing
from replearn.errors import DataError, brief, some_of
from replearn.images.array_files import write_array
from replearn.images.stores import ImageFile, as_path

_IMAGES = (
    *("image", "images", "bytes", "image_bytes", "pixels", "data", "jpg", "jpeg", "png"),
    *("x", "img", "imgs", "slices", "arr_0"),
)
_IDS = ("id", "ids", "image_id", "__key__", "key", "file_name", "filename", "path")
# As MedMNIST and Keras name the parts of a set: train_images, x_train.
_PART = re.compile(r"(\w+)_(?:images|imgs|x)|(?:images|imgs|x)_(\w+)", re.IGNORECASE)
_CHANNELS = (1, 3, 4)

_Arrays = Mapping[str, Any]  # anything with a shape and a dtype, by name


def hdf5_rows(path: Path) -> tuple[list[ImageFile], "Hdf5Rows"]:
    """List the images in an HDF5 file: encoded bytes, or pixels of one size.

    Ids are a dataset beside them, else the numbers of the rows.

    Raises:
        DataError: the file is damaged, or it is not clear which dataset holds its images.
    """
    try:
        with h5py.File(path, "r") as file:
            found: dict[str, Any] = {}
            file.visititems(lambda name, item: found.update({name: item}))
            arrays = {name: item for name, item in found.items() if isinstance(item, h5py.Dataset)}
            files: list[ImageFile] = []
            for name, part in _choose(path, arrays).items():
                ids = _ids_beside(path, arrays, name)
                files += _rows(path, name, part, len(arrays[name]), ids)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{path}: not a complete HDF5 file ({brief(error)}); make it again"
        ) from None
    return files, Hdf5Rows(path)


def npy_rows(path: Path) -> tuple[list[ImageFile], "NumpyRows"] | None:
    """List the images in a `.npy` file by their numbers; None if it holds a single one.

    Raises:
        DataError: the file is damaged, or holds objects.
    """
    try:
        pixels = _mapped(str(path), path.stat().st_mtime_ns)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a complete .npy file ({brief(error)}); make it again")
    is_single = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in _CHANNELS)
    if is_single or not _holds_images(pixels):
        return None
    return list(_rows(path, str(path), "", len(pixels), None)), NumpyRows()


def npz_rows(path: Path, scratch: Path) -> tuple[list[ImageFile], "NumpyRows"]:
    """List the images in a `.npz` file; its arrays are unpacked, to be read in any order.

    The ids of `train_images`, as MedMNIST names an array, are `train-000000000` and so on.

    Raises:
        DataError: the file is damaged, or it is not clear which arrays hold its images.
    """
    arrays: dict[str, Path] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for number, member in enumerate(archive.infolist()):
                plain = scratch / f"{number}.npy"
                with archive.open(member) as packed, writing(plain), plain.open("wb") as out:
                    shutil.copyfileobj(packed, out, 1 << 20)
                arrays[member.filename.removesuffix(".npy")] = plain
        stamp = path.stat().st_mtime_ns
        mapped = {name: _mapped(str(plain), stamp) for name, plain in arrays.items()}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a complete .npz file ({brief(error)}); make it again")
    files: list[ImageFile] = []
    for name, part in _choose(path, mapped).items():
        files += _rows(path, str(arrays[name]), part, len(mapped[name]), None)
    return files, NumpyRows()


def _choose(path: Path, arrays: _Arrays) -> dict[str, str]:
    """Return the arrays that hold the images, each with the name of the part of the set it is."""
    candidates = [name for name, array in arrays.items() if _holds_images(array)]
    for name in _IMAGES:
        if name in candidates:
            return {name: ""}
    parts = {name: _part_of(name) for name in candidates}
    named = {name: part for name, part in parts.items() if part is not None}
    if not named and len(candidates) == 1:
        named = {candidates[0]: ""}
    if not named:
        texts = [f"{name} ({array.dtype} {list(array.shape)})" for name, array in arrays.items()]
        wrong = "several arrays may be" if candidates else "no array holds"
        raise DataError(
            f"{path}: {wrong} images, [N, H, W] or [N, H, W, C]: {some_of(texts, 8) or 'nothing'}; "
            "call the one that is meant 'images'"
        )
    return named if len(named) > 1 else dict.fromkeys(named, "")


def _part_of(name: str) -> str | None:
    """Return which part of a set an array of a usual name holds; None for other names."""
    place = PurePosixPath(name)
    match = _PART.fullmatch(place.name)
    if match:
        return match[1] or match[2]
    return "-".join(place.parts[:-1]) if place.name.lower() in _IMAGES else None


def _holds_images(array: Any) -> bool:
    shape, dtype = array.shape, array.dtype
    if len(shape) == 1:
        return bool(dtype.kind == "V" or h5py.check_vlen_dtype(dtype) == np.uint8)
    in_colours = len(shape) == 4 and (shape[3] in _CHANNELS or shape[1] in _CHANNELS)
    return bool(dtype.kind in "biuf" and (len(shape) == 3 or in_colours))


def _ids_beside(path: Path, arrays: Mapping[str, h5py.Dataset], name: str) -> list[Any] | None:
    """Return the ids in the group of a dataset; None if there are none."""
    group = PurePosixPath(name).parent
    names = [str(group / ids) for ids in _IDS if str(group / ids) != name]
    found = next((arrays[ids] for ids in names if ids in arrays), None)
    if found is None:
        return None
    texts = found[:].ravel().tolist()
    if len(texts) != len(arrays[name]):
        raise DataError(f"{path}: {len(texts)} ids for {len(arrays[name])} images; make it again")
    if len(set(texts)) < len(texts):
        raise DataError(f"{path}: its ids, as {texts[0]!r}, are not all different; make it again")
    return list(texts)


def _rows(
    path: Path, name: str, part: str, count: int, ids: list[Any] | None
) -> Iterator[ImageFile]:
    stamp = path.stat().st_mtime_ns
    for row in range(count):
        number = f"{part}-{row:09d}" if part else f"{row:09d}"
        id_ = number if ids is None else ids[row]
        yield ImageFile(as_path(id_), None, (name, row), stamp=stamp)


@lru_cache(maxsize=8)
def _mapped(path: str, stamp: int) -> Array:
    """Return a `.npy` file as an array on disk; it is another one if its time is."""
    pixels: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    return pixels


class NumpyRows:
    """Rows of `.npy` files; the key is the path and the number."""

    def read(self, file: ImageFile) -> bytes:
        """Return an image as the bytes of a file."""
        path, row = file.key
        return write_array(_mapped(path, file.stamp or 0)[row])

    def head(self, file: ImageFile) -> bytes:
        """Return what `read` returns."""
        return self.read(file)


class Hdf5Rows:
    """Rows of the datasets of an HDF5 file; the key is the name and the number."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open()

    def __getstate__(self) -> Path:
        return self._path

    def __setstate__(self, path: Path) -> None:
        self._path = path
        self._open()

    def _open(self) -> None:
        self._lock = threading.Lock()
        self._file: Any = None

    def read(self, file: ImageFile) -> bytes:
        """Return an image as the bytes of a file; colours are red, green, blue."""
        name, row = file.key
        with self._lock:  # HDF5 lets one thread in at a time
            if self._file is None:
                self._file = h5py.File(self._path, "r")
            pixels = self._file[name][row]
        return bytes(pixels) if np.ndim(pixels) < 2 else write_array(pixels)

    def head(self, file: ImageFile) -> bytes:
        """Return what `read` returns."""
        return self.read(file)
