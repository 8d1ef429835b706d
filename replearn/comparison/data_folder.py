"""Data folders: images and concept lists of their parts, found by their file names."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from replearn.comparison.results import Protocol
from replearn.concepts.table import read_names
from replearn.errors import DataError


@dataclass(frozen=True)
class DataFolder:
    """Images with concept lists of their parts.

    Attributes:
        images: folder of the images.
        train: concept file for training.
        valid: concept file for validation, None if there is none.
        test: concept file or id list of the test images, None if there is none.
        groups: file of the group of each image, as its patient, None if there is none.
        names: names of the concepts by id.
        tuning: concept file of the images that settings and rules are chosen on, None where these
            are the validation images.
        valid_given: whether the validation list came with the folder, not from a split of `train`.
        by_ids: whether `train` lists the validation images too, and ids say which these are.
    """

    images: Path
    train: Path
    valid: Path | None
    test: Path | None
    groups: Path | None
    names: dict[str, str]
    tuning: Path | None = None
    valid_given: bool = False
    by_ids: bool = False

    @property
    def parts(self) -> dict[str, Path]:
        """The lists by part."""
        lists = {
            "train": self.train,
            "tuning": self.tuning,
            "valid": self.valid,
            "test": self.test,
        }
        return {part: path for part, path in lists.items() if path}

    @property
    def scored(self) -> str:
        """The part whose scores a table shows: test if its concepts are known, else validation."""
        labelled = self.test is not None and "concepts" in self.test.name
        return "test" if labelled else "valid"

    @property
    def chosen_on(self) -> str:
        """The part that settings and rules are chosen on."""
        return "tuning" if self.tuning else "valid"

    @cached_property
    def protocol(self) -> Protocol:
        """What choices are made on and what is scored."""
        groups = read_names(self.groups) if self.groups else {}
        return Protocol(self.scored, self.chosen_on, groups)


def find_data_folder(folder: Path) -> DataFolder:
    """Find the parts of a data folder by their names; `valid` may be missing.

    Raises:
        DataError: images or training concepts are not there, or a list is there twice.
    """
    images = folder / "images"
    together = _only(folder, "concepts.*")
    train = _only(folder, "train-concepts.*") or together
    if train is None or not images.exists():
        raise DataError(
            f"{folder}: not a data folder; it needs images/ and train-concepts.tsv (or .csv, "
            ".txt), or concepts.csv with ids that say train and valid"
        )
    names = _only(folder, "concept-names.*") or _only(folder, "cui-mapping.*")
    if names is None and train == together:  # in the download of 2026 it may lie above
        names = _only(folder.parent, "cui-mapping.*")
    valid = _only(folder, "valid-concepts.*")
    return DataFolder(
        images=images,
        train=train,
        valid=valid,
        test=_only(folder, "test-concepts.*") or _only(folder, "test-images.*"),
        groups=_only(folder, "groups.*"),
        names=read_names(names) if names else {},
        valid_given=valid is not None or train == together,
        by_ids=train == together,
    )


def _only(folder: Path, pattern: str) -> Path | None:
    # The organisers of ImageCLEF write train_concepts.csv.
    paths = sorted(folder.glob(pattern.replace("-", "[-_]")))
    if len(paths) > 1:
        raise DataError(f"{folder}: both {paths[0].name} and {paths[1].name}; keep one of them")
    return paths[0] if paths else None
