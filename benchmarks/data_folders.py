"""Data folders as data sets of the benchmark, so that nothing is chosen on what is scored.

The validation images are scored.  Everything else is chosen on a quarter of the training images,
split off by group.  Images of the test list, whose concepts are not known, are only predicted.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from replearn.arrays import Pixels
from replearn.artefacts.files import write_json
from replearn.comparison.data_folder import find_data_folder
from replearn.concepts.splitting.split import split
from replearn.concepts.table import ConceptTable, read_concepts, read_ids, read_names
from replearn.errors import DataError
from replearn.images.ids import Selection
from replearn.images.image_set import ImageSet
from replearn.images.preparation import prepare

# The folders that have a name of their own below --data; any other is named as it is.
FOLDERS = {"radiology": "radiology-mix"}

_TUNING = 0.25  # of the training images


@dataclass(frozen=True)
class Parts:
    """The images of a data folder by part, and what is known of them.

    Attributes:
        ids: of `train`, `valid` (to choose on), `test` (scored) and `asked` (only predicted).
        concepts: of each id but those asked.
        groups: the group of each id that has one.
    """

    ids: dict[str, list[str]]
    concepts: dict[str, list[str]]
    groups: dict[str, str]

    def table(self, part: str) -> ConceptTable:
        """Return the concepts of a part."""
        ids = self.ids[part]
        return ConceptTable(ids, [tuple(self.concepts[id_]) for id_ in ids])


def find_folder(dataset: str, data: Path) -> Path:
    """Return the folder of a data set below the folder of all."""
    return data / FOLDERS.get(dataset, dataset)


def prepare_folder(folder: Path, place: Path, *, size: int, channels: int) -> None:
    """Bring the images of a data folder to a form, and divide its lists.

    Args:
        folder: of images and lists, see `find_data_folder`.
        place: where it goes: `.h5` and `.json` are added.
        size: of the images.
        channels: of the images.

    Raises:
        DataError: it is no data folder, has no list of validation images, or lacks an image.
    """
    found = find_data_folder(folder)
    if found.valid is None:
        raise DataError(f"{folder}: has no valid-concepts.tsv, whose images would be scored")
    groups = read_names(found.groups) if found.groups else {}
    parts = split(read_concepts(found.train), valid=_TUNING, groups=groups or None)
    tables = parts | {"test": read_concepts(found.valid)}
    ids = {part: table.ids for part, table in tables.items()}
    concepts = {
        id_: list(named)
        for table in tables.values()
        for id_, named in zip(table.ids, table.concepts, strict=True)
    }
    ids["asked"] = read_ids(found.test) if found.test else []
    everything = Selection([id_ for part in ids.values() for id_ in part], max_errors=0)
    prepare(
        found.images, place.with_suffix(".h5"), selection=everything, size=size, channels=channels
    )
    write_json(place.with_suffix(".json"), asdict(Parts(ids, concepts, groups)))


def open_folder(place: Path) -> tuple[dict[str, Pixels], Parts]:
    """Return the pixels of each part, and the parts, of what `prepare_folder` made."""
    parts = Parts(**json.loads(place.with_suffix(".json").read_text(encoding="utf-8")))
    images = ImageSet.load(place.with_suffix(".h5"))
    pixels = {part: np.asarray(images.select(ids).pixels) for part, ids in parts.ids.items() if ids}
    return pixels, parts
