"""draw: an encoder and some images -> sheets of what it makes of them."""

from pathlib import Path
from typing import Annotated

import typer

from replearn.concepts.table import read_ids
from replearn.encoders.encoder import load_encoder
from replearn.encoders.preprocessing import centre_crop, to_float
from replearn.encoders.sheets import fixed_images, grids_of, write_sheets
from replearn.errors import DataError, UsageError
from replearn.images.opening import open_images


def draw(
    encoder: Annotated[Path, typer.Argument(metavar="ENCODER", help="A trained encoder's folder.")],
    source: Annotated[
        Path, typer.Argument(metavar="IMAGES", help="Image set, folder, .zip, .tar or list.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the sheets.")],
    images: Annotated[
        list[str] | None,
        typer.Option(
            "--image",
            metavar="ID",
            help="Draw these, in this order: two give an interpolation, three a - b + c, with a "
            "model that encodes and decodes.",
        ),
    ] = None,
    ids: Annotated[
        Path | None, typer.Option(help="Draw some of the ids in the first column of this file.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    max_errors: Annotated[
        float, typer.Option(help="Stop if a larger share of the images is missing or unreadable.")
    ] = 0.05,
) -> None:
    """Draw reconstructions, samples, interpolations and arithmetic on codes.

    Example: replearn draw runs/aae images.h5 sheets --image one --image two
    """
    if images and ids:
        raise UsageError("--image and --ids: give one of the two")
    if folder.exists() and any(folder.iterdir()):
        raise DataError(f"{folder}: not empty; choose another place, or empty it")
    loaded = load_encoder(encoder, device)
    form = loaded.description
    wanted = images or (read_ids(ids) if ids else None)
    found = open_images(
        source,
        size=form.size,
        channels=form.channels,
        fit=form.fit,
        ids=wanted,
        max_errors=max_errors,
    )
    shown = (
        to_float(centre_crop(found.pixels[:], form.crop))
        if images
        else fixed_images(found.pixels, form.crop)
    )
    grids = grids_of(loaded.model, shown.to(loaded.device))
    if not grids:
        raise DataError(
            f"{encoder}: the model {form.model} has no pictures to show; take another encoder"
        )
    for path in write_sheets(folder, grids):
        print(path)
