"""convert: a concept or run file of any layout -> a run file of an edition."""

from pathlib import Path
from typing import Annotated

import typer

from replearn import imageclef
from replearn.concepts.id_lists import read_id_list
from replearn.concepts.reading import Reading
from replearn.concepts.table import ConceptTable, arrange, read_with_layout
from replearn.console import say, warn

from .options import ColumnsOption, LayoutOption, SeparatorOption, UncertainOption


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="CONCEPTS", help="Concept or run file of any layout.")
    ],
    run_file: Annotated[Path, typer.Argument(metavar="RUN_FILE", help="Run file to write.")],
    edition: Annotated[int, typer.Option(help="Year of ImageCLEF (format to write).")] = 2018,
    ids: Annotated[
        Path | None,
        typer.Option(help="Write exactly the ids in the first column of this file, in its order."),
    ] = None,
    layout: LayoutOption = None,
    separator: SeparatorOption = None,
    columns: ColumnsOption = None,
    uncertain: UncertainOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace another run file.")
    ] = False,
) -> None:
    """Write a concept file of any layout as a valid file of an edition, or write nothing.

    Reports the layout that it found.  Drops spaces around concepts, empty and repeated concepts.

    Example: replearn convert run-2018.txt run-2026.csv --edition 2026
    """
    rules = imageclef.edition(edition)
    reading = Reading.of_options(layout, separator, columns, uncertain)
    found, table = read_with_layout(source, reading)
    say(f"{source}: {found}; {len(table):,} images")
    if ids:
        table = arrange(table, read_id_list(ids), source)
    if rules.refuses("form"):
        table = _in_capitals(source, table)
    for warning in imageclef.write_submission(
        run_file, table.ids, table.concepts, rules, overwrite=overwrite, inputs=[source, ids]
    ):
        warn(f"{run_file}: {warning}")
    say(f"{run_file}: {len(table):,} images, {table.counts.mean():.2f} concepts each, {edition}")


def _in_capitals(source: Path, table: ConceptTable) -> ConceptTable:
    """Return the table as evaluators see it, since the edition refuses lower case."""
    concepts = [tuple(dict.fromkeys(map(str.upper, named))) for named in table.concepts]
    changed = sum(new != old for new, old in zip(concepts, table.concepts, strict=True))
    if changed:
        warn(f"{source}: concepts of {changed:,} images were put into capitals")
    return ConceptTable(table.ids, concepts)
