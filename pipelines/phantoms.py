"""phantoms: labelled synthetic radiographs in a folder, as a user's own data would lie there."""

from pathlib import Path
from typing import Annotated

import cv2
import typer
from tqdm import tqdm

from replearn.artefacts.files import identity_in, publish, write_json
from replearn.artefacts.identity import already_made, identify
from replearn.artefacts.workspace import workspace
from replearn.concepts.table import ConceptTable, write_concepts
from replearn.console import say
from replearn.errors import UsageError
from replearn.phantoms import CONCEPTS, render

# Shares of the images; the rest is for training.
_VALID = _TEST = 0.15


def phantoms(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the data folder goes.")],
    count: Annotated[int, typer.Option(help="How many images.")] = 2400,
    seed: Annotated[int, typer.Option(help="Image i depends on seed and i alone.")] = 0,
    size: Annotated[int, typer.Option(help="Height and width in pixels.")] = 64,
    channels: Annotated[int, typer.Option(help="1 (grey) or 3 (colour).")] = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another folder.")] = False,
) -> None:
    """Draw labelled synthetic radiographs to try everything on.

    DIR gets images/, {train,valid,test}-concepts.tsv and concept-names.tsv.

    Example: replearn phantoms data --count 2400
    """
    if count < 10 or not 16 <= size <= 512 or channels not in (1, 3) or seed < 0:
        raise UsageError(
            f"--count {count} --size {size} --channels {channels} --seed {seed}: at least 10 "
            "images, of 16 to 512 pixels, in 1 or 3 channels, with a seed of at least 0"
        )
    identity = identify("phantoms", count=count, seed=seed, size=size, channels=channels)
    with workspace(folder) as work:
        existing = identity_in(folder / "phantoms.json")
        if already_made(folder, existing, identity, overwrite=overwrite):
            return
        made = work / "phantoms"
        (made / "images").mkdir(parents=True)
        table = _draw(made / "images", count, seed, size, channels)
        for part, rows in _parts(count).items():
            text = write_concepts(table.select([table.ids[row] for row in rows]))
            (made / f"{part}-concepts.tsv").write_text(text, encoding="utf-8")
        names = "".join(f"{concept}\t{name}\n" for concept, name in CONCEPTS.items())
        (made / "concept-names.tsv").write_text(names, encoding="utf-8")
        write_json(made / "phantoms.json", {"identity": identity})
        publish(made, folder)
    say(f"{folder}: {count:,} phantoms, {len(CONCEPTS)} concepts")


def _draw(folder: Path, count: int, seed: int, size: int, channels: int) -> ConceptTable:
    """Write the images as PNG and return their concepts."""
    table = ConceptTable([], [])
    for number in tqdm(range(count), unit="image", delay=1, disable=None):
        phantom = render(number, seed, size=size, channels=channels)
        id_ = f"phantom_{number:06d}"
        picture = phantom.pixels.transpose(1, 2, 0)[..., ::-1]  # OpenCV writes blue first
        _, data = cv2.imencode(".png", picture)
        (folder / f"{id_}.png").write_bytes(data.tobytes())
        table.ids.append(id_)
        table.concepts.append(phantom.concepts)
    return table


def _parts(count: int) -> dict[str, range]:
    """Return the rows of each part; images are independent, so any cut is a random one."""
    valid, test = round(_VALID * count), round(_TEST * count)
    train = count - valid - test
    return {
        "train": range(train),
        "valid": range(train, train + valid),
        "test": range(train + valid, count),
    }
