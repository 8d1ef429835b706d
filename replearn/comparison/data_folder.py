"""A data folder: images and the lists of its parts, found by their names."""

from dataclasses import dataclass
from pathlib import Path

from replearn.concepts.table import read_names
from replearn.errors import DataError


@dataclass(frozen=True)
class DataFolder:
    """Images and the lists of its parts.

    Attributes:
        images: folder of the images.
        train: concept file to learn from.
        valid: concept file to choose on, None if there is none.
        test: concept file or id list to predict, None if there is none.
        groups: group of each image, as its patient, None if there are none.
        names: names of the concepts by id.
    """

    images: Path
    train: Path
    valid: Path | None
    test: Path | None
    groups: Path | None
    names: dict[str, str]

    @property
    def parts(self) -> dict[str, Path]:
        """The lists by part."""
        lists = {"train": self.train, "valid": self.valid, "test": self.test}
        return {part: path for part, path in lists.items() if path}

    @property
    def scored(self) -> str:
        """The part that a table is about: test where its truth is known, else validation."""
        known = self.test is not None and "concepts" in self.test.name
        return "test" if known else "valid"


def find_data_folder(folder: Path) -> DataFolder:
    """Find the parts of a data folder by their names; `valid` may be missing.

    Raises:
        DataError: images or training concepts are not there, or a list is there twice.
    """
    images = folder / "images"
    train = _only(folder, "train-concepts.*")
    if train is None or not images.exists():
        raise DataError(
            f"{folder}: not a data folder; it needs images/ and train-concepts.tsv (or .csv, .txt)"
        )
    names = _only(folder, "concept-names.*")
    return DataFolder(
        images=images,
        train=train,
        valid=_only(folder, "valid-concepts.*"),
        test=_only(folder, "test-concepts.*") or _only(folder, "test-images.*"),
        groups=_only(folder, "groups.*"),
        names=read_names(names) if names else {},
    )


def _only(folder: Path, pattern: str) -> Path | None:
    # The organisers of ImageCLEF write train_concepts.csv.
    found = sorted(folder.glob(pattern.replace("-", "[-_]")))
    if len(found) > 1:
        raise DataError(f"{folder}: both {found[0].name} and {found[1].name}; keep one of them")
    return found[0] if found else None
