"""split: one concept file -> train, validation and test lists."""

from pathlib import Path
from typing import Annotated

import typer

from replearn.concepts.reading import Reading
from replearn.concepts.splitting.named_parts import write_split_by_ids
from replearn.concepts.splitting.split import Division, write_split
from replearn.errors import UsageError

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
    by_ids: Annotated[
        bool, typer.Option("--by-ids", help="Follow the word train, valid or test in each id.")
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
    reading = Reading.of_options(layout, separator, columns, uncertain)
    if by_ids:
        if groups or stratify or test:
            raise UsageError("--by-ids: the ids say all; leave out --groups, --stratify and --test")
        write_split_by_ids(concept_file, folder, overwrite=overwrite, reading=reading)
        return
    write_split(
        concept_file,
        folder,
        Division(valid, test, seed, stratify),
        groups=groups,
        overwrite=overwrite,
        reading=reading,
    )
