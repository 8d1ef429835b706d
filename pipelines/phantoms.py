"""phantoms: labelled synthetic radiographs, in a folder laid out like a user's own data."""

from pathlib import Path
from typing import Annotated

import typer

from replearn.artefacts.outputs import Result, refuse_taken, write_results
from replearn.console import say
from replearn.phantoms.concepts import CONCEPTS
from replearn.phantoms.data_folder import FACTORS, factor_table, write_data_folder


def phantoms(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Data folder to write.")],
    count: Annotated[int, typer.Option(help="Number of images.")] = 2400,
    seed: Annotated[int, typer.Option(help="Image i depends only on the seed and i.")] = 0,
    size: Annotated[int, typer.Option(help="Height and width in pixels.")] = 64,
    channels: Annotated[int, typer.Option(help="1 (grey) or 3 (colour).")] = 1,
    factors: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Also write region, view, turn, exposure, noise of each image."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write anew, and replace other phantoms.")
    ] = False,
) -> None:
    """Draw labelled synthetic radiographs, to try the other stages.

    DIR gets images/, {train,valid,test}-concepts.tsv and concept-names.tsv.

    Example: replearn phantoms data --count 2400
    """
    if factors:
        refuse_taken(factors, FACTORS, [folder])
    if write_data_folder(
        folder, count=count, seed=seed, size=size, channels=channels, overwrite=overwrite
    ):
        say(f"{folder}: {count:,} phantoms, {len(CONCEPTS)} concepts")
    if factors:
        table = Result(factor_table(count, seed), FACTORS)
        write_results({factors: table}, overwrite=overwrite)
