"""split: one concept file -> train, validation and test lists."""

from pathlib import Path
from typing import Annotated

import typer

from replearn.artefacts.files import write_result
from replearn.concepts.split import split as split_table
from replearn.concepts.table import read_concepts, read_names, write_concepts
from replearn.console import say
from replearn.errors import DataError


def split(
    concept_file: Annotated[
        Path, typer.Argument(metavar="CONCEPTS", help="Concept file of any layout.")
    ],
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where {train,valid,test}-concepts.tsv go.")
    ],
    valid: Annotated[float, typer.Option(help="Share of the images for validation.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share of the images for test.")] = 0.0,
    groups: Annotated[
        Path | None,
        typer.Option(help="Lines of `id TAB group`: a group (patient) stays in one part."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same parts.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace other lists.")] = False,
) -> None:
    """Divide a concept file into train, validation and test lists.

    Example: replearn split concepts.tsv lists --groups patients.tsv
    """
    table = read_concepts(concept_file)
    group_of = read_names(groups) if groups else None
    parts = split_table(table, valid=valid, test=test, seed=seed, groups=group_of)
    _refuse_leftovers(folder, set(parts), overwrite=overwrite)
    for part, table in parts.items():
        path = folder / f"{part}-concepts.tsv"
        write_result(path, write_concepts(table), overwrite=overwrite)
    say(", ".join(f"{part} {len(table)}" for part, table in parts.items()) + f" images in {folder}")


def _refuse_leftovers(folder: Path, parts: set[str], *, overwrite: bool) -> None:
    """Keep no list of an earlier split beside the new ones: its images may be in train now."""
    for part in {"train", "valid", "test"} - parts:
        path = folder / f"{part}-concepts.tsv"
        if path.exists() and not overwrite:
            raise DataError(f"{path}: is of another split; choose another place or --overwrite")
        path.unlink(missing_ok=True)
