"""Data folders of phantoms: images and concept lists, laid out as a user's own data would be.

This is the one file here that imports from the rest of the library; what draws imports nothing.
"""

from dataclasses import asdict, fields
from pathlib import Path

import cv2

from replearn.artefacts.files import read_json, write_json
from replearn.artefacts.identity import identify
from replearn.artefacts.outputs import FileKind
from replearn.artefacts.workspace import FolderKind, creating
from replearn.console import progress
from replearn.errors import DamagedError, UsageError
from replearn.phantoms.concepts import CONCEPTS
from replearn.phantoms.rendering import Factors, factors, render

_FACTS = "phantoms.json"


def _columns() -> list[str]:
    return [field.name for field in fields(Factors)]


# Shares of the images; the rest is for training.
_VALID = _TEST = 0.15


def write_data_folder(
    folder: Path,
    *,
    count: int = 2400,
    seed: int = 0,
    size: int = 64,
    channels: int = 1,
    overwrite: bool = False,
) -> bool:
    """Write images/, {train,valid,test}-concepts.tsv and concept-names.tsv to a new folder.

    Args:
        folder: where the data folder goes.
        count: number of images, at least 10.
        seed: image i depends on seed and i alone.
        size: height and width in pixels.
        channels: 1 (grey) or 3 (colour).
        overwrite: write it in any case, and replace another data folder of phantoms.

    Returns:
        Whether it was written; False if the same data lies there already.

    Raises:
        UsageError: a number is out of its range.
        DataError: something else lies there.
    """
    if count < 10 or not 16 <= size <= 512 or channels not in (1, 3) or seed < 0:
        raise UsageError(
            f"--count {count} --size {size} --channels {channels} --seed {seed}: at least 10 "
            "images, of 16 to 512 pixels, in 1 or 3 channels, with a seed of at least 0"
        )
    identity = identify("phantoms", count=count, seed=seed, size=size, channels=channels)
    with creating(folder, identity, PHANTOMS, overwrite=overwrite) as made:
        if made is None:
            return False
        (made / "images").mkdir()
        lines = [
            _write_image(made / "images", number, seed, size, channels)
            for number in progress(range(count), unit="image")
        ]
        for part, numbers in _parts(count).items():
            _write_lines(made / f"{part}-concepts.tsv", [lines[number] for number in numbers])
        names = [f"{concept}\t{name}\n" for concept, name in CONCEPTS.items()]
        _write_lines(made / "concept-names.tsv", names)
        write_json(made / _FACTS, {"identity": identity, "count": count})
    return True


FACTORS = FileKind(
    "factors of phantoms",
    lambda data: data.startswith("\t".join(["id", *_columns()]).encode() + b"\n"),
)


def factor_table(count: int, seed: int = 0) -> str:
    """Return what generated each image of a set, as a table with tabs and a header.

    The images and their identity are the same with and without it.
    """
    lines = ["\t".join(["id", *_columns()])]
    for number in range(count):
        values = asdict(factors(number, seed)).values()
        texts = [f"{value:.6f}" if isinstance(value, float) else value for value in values]
        lines.append("\t".join([f"phantom_{number:06d}", *texts]))
    return "".join(f"{line}\n" for line in lines)


def _write_image(folder: Path, number: int, seed: int, size: int, channels: int) -> str:
    """Write one image as PNG and return its line of a concept file."""
    phantom = render(number, seed, size=size, channels=channels)
    id_ = f"phantom_{number:06d}"
    picture = phantom.pixels.transpose(1, 2, 0)[..., ::-1]  # OpenCV writes blue first
    _, data = cv2.imencode(".png", picture)
    (folder / f"{id_}.png").write_bytes(data.tobytes())
    return f"{id_}\t{';'.join(phantom.concepts)}\n"


def _write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("".join(lines), encoding="utf-8")


def _parts(count: int) -> dict[str, range]:
    """Return the images of each part; they are independent, so any cut is a random one."""
    valid, test = round(_VALID * count), round(_TEST * count)
    train = count - valid - test
    return {
        "train": range(train),
        "valid": range(train, train + valid),
        "test": range(train + valid, count),
    }


def _check(folder: Path) -> None:
    """Refuse a data folder in which an image or a list is missing."""
    lists = [folder / f"{part}-concepts.tsv" for part in ("train", "valid", "test")]
    missing = [path for path in (*lists, folder / "concept-names.tsv") if not path.exists()]
    count, there = read_json(folder / _FACTS).get("count"), len(list(folder.glob("images/*.png")))
    if missing or there < (count or 1):
        what = (
            f"{missing[0].name} is missing" if missing else f"{there} of {count} images are there"
        )
        raise DamagedError(f"{folder}: {what}", "give --overwrite to write it again")


PHANTOMS = FolderKind(
    "a data folder of phantoms",
    r"phantoms\.json|images/phantom_\d+\.png|(train|valid|test)-concepts\.tsv|concept-names\.tsv",
    facts=_FACTS,
    check=_check,
)
