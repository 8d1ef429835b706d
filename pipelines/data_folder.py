"""A data folder: images and the lists of its parts, found by their names."""

from dataclasses import dataclass
from pathlib import Path

from pipelines.split import split
from replearn.concepts import read_names
from replearn.errors import DataError


@dataclass(frozen=True)
class Data:
    """Images and the lists of its parts.

    Attributes:
        images: folder of the images.
        train: concept file to learn from.
        valid: concept file to choose on.
        test: concept file or id list to predict, None if there is none.
        names: names of the concepts by id.
    """

    images: Path
    train: Path
    valid: Path
    test: Path | None
    names: dict[str, str]

    @property
    def parts(self) -> dict[str, Path]:
        """The lists by part."""
        parts = {"train": self.train, "valid": self.valid}
        return parts | {"test": self.test} if self.test else parts

    @property
    def scored(self) -> str:
        """The part that a table is about: test where its truth is known, else validation."""
        known = self.test is not None and "concepts" in self.test.name
        return "test" if known else "valid"


def find_data(folder: Path, out: Path, *, overwrite: bool = False) -> Data:
    """Find the parts of a data folder; without validation, train is split into `out`.

    Raises:
        DataError: images or training concepts are not there.
    """
    images = folder / "images"
    train = _only(folder, "train-concepts.*")
    if train is None or not images.exists():
        raise DataError(
            f"{folder}: not a data folder; it needs images/ and train-concepts.tsv (or .csv, .txt)"
        )
    valid = _only(folder, "valid-concepts.*")
    test = _only(folder, "test-concepts.*") or _only(folder, "test-images.*")
    if valid is None:
        groups = _only(folder, "groups.*")
        split(train, out / "split", valid=0.1, groups=groups, overwrite=overwrite)
        train, valid = (out / "split" / f"{part}-concepts.tsv" for part in ("train", "valid"))
    names = _only(folder, "concept-names.*")
    return Data(images, train, valid, test, read_names(names) if names else {})


def _only(folder: Path, pattern: str) -> Path | None:
    found = sorted(folder.glob(pattern))
    if len(found) > 1:
        raise DataError(f"{folder}: both {found[0].name} and {found[1].name}; keep one of them")
    return found[0] if found else None
