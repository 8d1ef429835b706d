"""split: one concept file -> train, validation and test lists."""

from pathlib import Path
from typing import Annotated

import typer

from replearn.concepts.reading import Reading
from replearn.concepts.splitting.split import Division, write_split

from .options import ColumnsOption, LayoutOption, SeparatorOption, UncertainOption


def split(
    concept_file: Annotated[
        Path, typer.Argument(metavar="CONCEPTS", help="Concept file of any layout.")
    ],
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder to write {train,valid,test}-concepts.tsv to."),
    ],
    valid: Annotated[float, typer.Option(help="Share of the images for validation.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share of the images for test.")] = 0.0,
    groups: Annotated[
        Path | None,
        typer.Option(help="Lines of `id TAB group`: a group (patient) stays in one part."),
    ] = None,
    stratify: Annotated[
        bool, typer.Option("--stratify", help="Make each concept as frequent in every part.")
    ] = False,
    seed: Annotated[int, typer.Option(help="The same seed gives the same parts.")] = 0,
    layout: LayoutOption = None,
    separator: SeparatorOption = None,
    columns: ColumnsOption = None,
    uncertain: UncertainOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write anew, and replace other lists.")
    ] = False,
) -> None:
    """Divide a concept file into train, validation and test lists.

    Example: replearn split concepts.tsv lists --groups patients.tsv --stratify
    """
    write_split(
        concept_file,
        folder,
        Division(valid, test, seed, stratify),
        groups=groups,
        overwrite=overwrite,
        reading=Reading.of_options(layout, separator, columns, uncertain),
    )
