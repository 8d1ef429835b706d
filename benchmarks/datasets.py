"""The labelled images that encoders are measured on: MNIST, CIFAR-10, phantoms, data folders.

Everything is brought to its form once, below a work folder, and found there again.
"""

import csv
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.data_folders import Parts, find_folder, open_folder, prepare_folder
from replearn.arrays import Pixels
from replearn.artefacts.files import write_text
from replearn.concepts.table import ConceptTable, read_concepts, write_concepts
from replearn.concepts.vocabulary import multi_hot, vocabulary
from replearn.console import say
from replearn.errors import DataError
from replearn.images.ids import Selection
from replearn.images.image_set import ImageSet
from replearn.images.preparation import prepare
from replearn.images.resizing import resize
from replearn.phantoms.rendering import render

SIZES = {"mnist": 32, "cifar10": 32, "mnist-bigan": 28, "pneumoniamnist": 32, "phantoms": 64}
COLOUR = ("cifar10",)
_FOLDER_SIZE = 64
ARCHIVES = {"mnist": "mnist", "cifar10": "cifar10", "mnist-bigan": "mnist"}

# The parts of a file of MedMNIST under our names.
_MEDMNIST = {"train": "train", "valid": "val", "test": "test"}

_VALID = 0.1  # of the training images
_TEST = 0.2  # of the phantoms, which come without a division
_SPLIT_SEED = 0


@dataclass(frozen=True)
class Classes:
    """One class for each image: `numbers` int64 [N], of `count` classes."""

    numbers: NDArray[np.int64]
    count: int

    def take(self, rows: NDArray[np.intp]) -> "Classes":
        """Return the labels of these images."""
        return Classes(self.numbers[rows], self.count)


@dataclass(frozen=True)
class Concepts:
    """Several concepts for each image.

    Attributes:
        matrix: 0/1 [N, L] of the L concepts of the training images.
        counts: true concepts of each image [N], also those outside the L.
    """

    matrix: sparse.csr_array
    counts: NDArray[np.int64]

    def take(self, rows: NDArray[np.intp]) -> "Concepts":
        """Return the labels of these images."""
        return Concepts(sparse.csr_array(self.matrix[rows]), self.counts[rows])


Labels = Classes | Concepts


@dataclass(frozen=True)
class Form:
    """What a data set is brought to; `count` is the number of phantoms."""

    dataset: str
    size: int
    channels: int
    count: int = 0

    @property
    def is_folder(self) -> bool:
        """Whether the data set is a data folder, whose images have concepts."""
        return self.dataset not in SIZES

    def place(self, work: Path) -> Path:
        """Return where it lies in the work folder, without a suffix."""
        source = ARCHIVES.get(self.dataset, self.dataset)
        if self.dataset == "phantoms":
            source = f"phantoms-{self.count}"
        return work / "data" / f"{source}-{self.size}-{self.channels}"


def form_of(dataset: str, *, size: int | None, channels: int | None, phantoms: int) -> Form:
    """Return what a data set is brought to; without a size or channels, what suits it.

    A name that is none of SIZES is that of a data folder.
    """
    count = phantoms if dataset == "phantoms" else 0
    own = 3 if dataset in COLOUR else 1
    return Form(dataset, size or SIZES.get(dataset, _FOLDER_SIZE), channels or own, count)


@dataclass(frozen=True)
class Data:
    """Images and labels by part: `train`, `test` and, where anything is chosen, `valid`.

    A data folder has parts with concepts instead of labels.
    """

    pixels: dict[str, Pixels]
    labels: dict[str, Labels]
    parts: Parts | None = None

    @property
    def count(self) -> int:
        """Number of images in all parts."""
        return sum(len(pixels) for pixels in self.pixels.values())


def prepare_data(form: Form, folder: Path, work: Path) -> None:
    """Make what `open_data` opens, unless it is there.

    Args:
        form: of the data.
        folder: where the archives lie; phantoms need none.
        work: where it goes.

    Raises:
        DataError: the archive is missing, damaged, or not as expected.
    """
    place = form.place(work)
    labels = place.with_suffix(".json" if form.is_folder else ".tsv")
    if labels.exists():  # written last
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    if form.is_folder:
        prepare_folder(
            find_folder(form.dataset, folder), place, size=form.size, channels=form.channels
        )
        return
    if form.dataset == "phantoms":
        _draw_phantoms(form, place)
        return
    if form.dataset == "pneumoniamnist":
        _resize_medmnist(form, folder / "pneumoniamnist.npz", place)
        return
    archive = folder / f"{ARCHIVES[form.dataset]}.tar.xz"
    table = _read_labels(archive)
    images = place.with_suffix(".h5")
    by_path = Selection(ids_from="path", max_errors=0)
    prepare(archive, images, selection=by_path, size=form.size, channels=form.channels)
    write_text(labels, write_concepts(table))


def _draw_phantoms(form: Form, place: Path) -> None:
    phantoms = [
        render(number, size=form.size, channels=form.channels) for number in range(form.count)
    ]
    with place.with_suffix(".npy").open("wb") as file:
        np.save(file, np.stack([phantom.pixels for phantom in phantoms]))
    ids = [f"phantom_{number:06d}" for number in range(form.count)]
    table = ConceptTable(ids, [phantom.concepts for phantom in phantoms])
    write_text(place.with_suffix(".tsv"), write_concepts(table))
    say(f"{place}: {form.count:,} phantoms")


def _resize_medmnist(form: Form, path: Path, place: Path) -> None:
    """Bring the arrays of a file of MedMNIST to a form; an id begins with the part."""
    if not path.exists():
        raise DataError(f"{path}: not there; give the folder of pneumoniamnist.npz with --data")
    with np.load(path) as arrays:
        images = {part: arrays[f"{key}_images"] for part, key in _MEDMNIST.items()}
        classes = {part: arrays[f"{key}_labels"][:, 0] for part, key in _MEDMNIST.items()}
    pixels = [resize(image, form.size, form.size) for part in images for image in images[part]]
    shape = (len(pixels), form.channels, form.size, form.size)
    with place.with_suffix(".npy").open("wb") as file:
        np.save(file, np.broadcast_to(np.stack(pixels)[:, None], shape))
    ids = [f"{part}/{number}" for part in images for number in range(len(images[part]))]
    table = ConceptTable(ids, [(str(number),) for part in images for number in classes[part]])
    write_text(place.with_suffix(".tsv"), write_concepts(table))


def _read_labels(archive: Path) -> ConceptTable:
    """Read `<part>.csv` (filepath,label) from the top folder of an archive of images."""
    ids: list[str] = []
    labels: list[tuple[str, ...]] = []
    try:
        with tarfile.open(archive) as members:
            for member in members:
                if member.name.endswith(("/train.csv", "/test.csv")):
                    top = member.name.rpartition("/")[0]
                    for row in csv.DictReader(_text_of(members, member)):
                        ids.append(f"{top}/{row['filepath'].rpartition('.')[0]}")
                        labels.append((row["label"],))
    except (OSError, EOFError, KeyError, tarfile.TarError) as error:
        raise DataError(f"{archive}: no archive of images with train.csv and test.csv ({error})")
    return ConceptTable(ids, labels)


def _text_of(members: tarfile.TarFile, member: tarfile.TarInfo) -> io.StringIO:
    stream = members.extractfile(member)
    return io.StringIO(stream.read().decode() if stream else "")


def open_data(form: Form, work: Path) -> Data:
    """Open prepared images with their labels.

    Where a data set has no validation part, the last tenth of a shuffled train is that.
    """
    place = form.place(work)
    if form.is_folder:
        pixels, parts = open_folder(place)
        return Data(pixels, {}, parts)
    table = read_concepts(place.with_suffix(".tsv"))
    if form.dataset == "pneumoniamnist":
        return _open_medmnist(form, place, table)
    if form.dataset == "phantoms":
        array = np.load(place.with_suffix(".npy"), mmap_mode="r")
        in_test = np.arange(len(table)) >= round((1 - _TEST) * len(table))
    else:
        images = ImageSet.load(place.with_suffix(".h5"))
        array, table = images.pixels, table.select(images.ids)
        in_test = np.array(["/test/" in id_ for id_ in table.ids])
    rows = {"train": np.flatnonzero(~in_test), "test": np.flatnonzero(in_test)}
    if form.dataset != "mnist-bigan":  # where nothing is chosen, nothing is held back
        rows |= _hold_back(rows["train"])
    labels = _labels(form, table, rows["train"])
    return Data(
        {part: np.asarray(array[chosen]) for part, chosen in rows.items()},
        {part: labels.take(chosen) for part, chosen in rows.items()},
    )


def _open_medmnist(form: Form, place: Path, table: ConceptTable) -> Data:
    array = np.load(place.with_suffix(".npy"), mmap_mode="r")
    of_part = np.array([id_.partition("/")[0] for id_ in table.ids])
    rows = {part: np.flatnonzero(of_part == part) for part in _MEDMNIST}
    labels = _labels(form, table, rows["train"])
    return Data(
        {part: np.asarray(array[chosen]) for part, chosen in rows.items()},
        {part: labels.take(chosen) for part, chosen in rows.items()},
    )


def _hold_back(rows: NDArray[np.intp]) -> dict[str, NDArray[np.intp]]:
    """Divide training rows into train and valid, each in the order of the rows."""
    shuffled = np.random.default_rng(_SPLIT_SEED).permutation(rows)
    train = len(rows) - max(1, round(_VALID * len(rows)))
    return {"train": np.sort(shuffled[:train]), "valid": np.sort(shuffled[train:])}


def _labels(form: Form, table: ConceptTable, train: NDArray[np.intp]) -> Labels:
    if form.dataset == "phantoms":
        known = vocabulary(table.select([table.ids[row] for row in train.tolist()]))
        return Concepts(multi_hot(table, known), table.counts)
    classes, numbers = np.unique([concepts[0] for concepts in table.concepts], return_inverse=True)
    return Classes(numbers.astype(np.int64), len(classes))


def facts_of(form: Form) -> dict[str, Any]:
    """Return what determines the data, for the identity of a result."""
    return {
        "dataset": form.dataset,
        "size": form.size,
        "channels": form.channels,
        "count": form.count if form.dataset == "phantoms" else None,
        "split": [_VALID, _TEST, _SPLIT_SEED],
    }
