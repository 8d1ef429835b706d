"""draw: an encoder and some images -> image grids."""

from pathlib import Path
from typing import Annotated

import typer

from replearn.concepts.id_lists import read_id_list
from replearn.encoders.sheets import draw_sheets
from replearn.errors import UsageError


def draw(
    encoder: Annotated[Path, typer.Argument(metavar="ENCODER", help="A trained encoder's folder.")],
    source: Annotated[
        Path, typer.Argument(metavar="IMAGES", help="Image set, folder, .zip, .tar or list.")
    ],
    folder: Annotated[
        Path, typer.Argument(metavar="OUT", help="Folder to write the image grids to.")
    ],
    images: Annotated[
        list[str] | None,
        typer.Option(
            "--image",
            metavar="ID",
            help="Draw this image; may be repeated: two give an interpolation, three a - b + c, "
            "if the model encodes and decodes.",
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
    paths = draw_sheets(
        encoder,
        source,
        folder,
        images=images,
        ids=read_id_list(ids) if ids else None,
        device=device,
        max_errors=max_errors,
    )
    for path in paths:
        print(path)
