"""ids: images -> the list of their ids, in natural order."""

from pathlib import Path
from typing import Annotated

import typer

from replearn.artefacts.outputs import Result, write_results
from replearn.console import say
from replearn.images.ids import ID_LIST
from replearn.images.opening import list_ids

from .options import IdsFromOption


def ids(
    source: Annotated[
        Path,
        typer.Argument(metavar="IMAGES", help="Image set, folder, archive, table or list."),
    ],
    out: Annotated[Path, typer.Option(help="File to write; by default stdout.")] = Path("-"),
    within: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Only the images in this folder of IMAGES.")
    ] = None,
    ids_from: IdsFromOption = "name",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another list.")] = False,
) -> None:
    """List the ids of images, one a line, in natural order: a_2 before a_10.

    Example: replearn ids data/images --within test --out test-images.txt
    """
    listed = list_ids(source, within=within, ids_from=ids_from)
    text = "".join(f"{id_}\n" for id_ in listed)
    write_results({out: Result(text, ID_LIST)}, overwrite=overwrite, inputs=[source])
    say(f"{source}: {len(listed):,} ids")
