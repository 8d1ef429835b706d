"""split: one concept file -> train, validation and test lists."""

from pathlib import Path
from typing import Annotated

import typer

from replearn.concepts.reading import LayoutName, Reading, Uncertain
from replearn.concepts.split import write_split


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
    seed: Annotated[int, typer.Option(help="The same seed gives the same parts.")] = 0,
    layout: Annotated[
        LayoutName | None, typer.Option(help="Layout of CONCEPTS, if it is in doubt.")
    ] = None,
    separator: Annotated[
        str | None, typer.Option(help="What stands between the concepts of a field.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(metavar="ID,CONCEPTS", help="Columns of ids and concepts: header or number."),
    ] = None,
    uncertain: Annotated[
        Uncertain | None, typer.Option(help="What -1 among columns of 1 and 0 counts as.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write anew, and replace other lists.")
    ] = False,
) -> None:
    """Divide a concept file into train, validation and test lists.

    Example: replearn split concepts.tsv lists --groups patients.tsv
    """
    write_split(
        concept_file,
        folder,
        valid=valid,
        test=test,
        seed=seed,
        groups=groups,
        overwrite=overwrite,
        reading=Reading.of_options(layout, separator, columns, uncertain),
    )
