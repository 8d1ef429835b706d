"""Facts about a finished comparison, for reports: its edition, its lists and its images."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from replearn.artefacts.files import read_json, write_json
from replearn.errors import DataError

_NAME = "comparison.json"


@dataclass(frozen=True)
class ComparisonFacts:
    """The content of `comparison.json`; paths are relative to its folder and may be outdated.

    Attributes:
        edition: year of ImageCLEF whose rules hold.
        scored: part of the data that the scores are of, `test` or `valid`.
        names: names of the concepts by id.
        parts: path of the list of each part.
        images: path of the image set of each encoder.
        groups: path of the file of groups, None if there is none.
    """

    edition: int
    scored: str
    names: dict[str, str]
    parts: dict[str, str]
    images: dict[str, str]
    groups: str | None = None


def write_facts(folder: Path, facts: ComparisonFacts) -> None:
    """Write `comparison.json` in the folder of a comparison."""
    write_json(folder / _NAME, asdict(facts))


def has_facts(folder: Path) -> bool:
    """Tell whether a folder is that of a comparison."""
    return (folder / _NAME).exists()


def read_facts(folder: Path) -> ComparisonFacts:
    """Read `comparison.json` in the folder of a comparison.

    Raises:
        DataError: the file is missing or is not that of a comparison.
    """
    content = read_json(folder / _NAME)
    try:
        return ComparisonFacts(
            edition=content["edition"],
            scored=content["scored"],
            names=content["names"],
            parts=content["parts"],
            images=content["images"],
            groups=content.get("groups"),  # comparisons of the first edition have none
        )
    except (KeyError, TypeError) as error:
        raise DataError(f"{folder / _NAME}: not of a comparison (lacks {error})") from None


def refuse_other_files(folder: Path, names: Iterable[str]) -> None:
    """Refuse a folder that is of no comparison and has files which one would replace.

    Args:
        folder: where a comparison is about to be written.
        names: of the files that it writes anew each time, without asking.

    Raises:
        DataError: there is such a file.
    """
    if has_facts(folder):
        read_facts(folder)
        return
    there = [name for name in names if (folder / name).exists()]
    if there:
        raise DataError(
            f"{folder / there[0]}: is of no comparison and would be replaced; move it away or "
            "choose another place"
        )
