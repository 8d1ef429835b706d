"""merge: several run files over the same images -> one."""

from pathlib import Path
from typing import Annotated

import typer

from replearn import imageclef
from replearn.concepts.id_lists import read_id_list
from replearn.concepts.table import arrange, read_concepts
from replearn.console import say, warn
from replearn.errors import UsageError

from .options import SeparatorOption


def merge(
    run_files: Annotated[
        list[Path],
        typer.Argument(metavar="RUN_FILE", help="Runs of any edition, ids in any order."),
    ],
    out: Annotated[Path, typer.Option(help="Merged run file to write.")],
    edition: Annotated[int, typer.Option(help="Year of ImageCLEF (format to write).")] = 2018,
    how: Annotated[
        imageclef.How,
        typer.Option(
            help="Concepts of any run, of all runs, of at least --votes runs, or the union of "
            "runs made for groups of concepts that do not overlap."
        ),
    ] = "union",
    votes: Annotated[
        int | None,
        typer.Option(help="--how votes: runs that must predict a concept; default: over half."),
    ] = None,
    separator: SeparatorOption = None,
    ids: Annotated[
        Path | None, typer.Option(help="The ids of the test set, in the order to write them.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an old file.")] = False,
) -> None:
    """Merge run files over the same images into one valid run file, or write nothing.

    Example: replearn merge linear.csv knn.csv aae.csv --out all.csv --how votes
    """
    if len(run_files) < 2 or len({path.resolve() for path in run_files}) < len(run_files):
        raise UsageError("give at least two run files, each once")
    rules = imageclef.edition(edition)
    runs = {path: read_concepts(path, separator=separator) for path in run_files}
    merged = imageclef.merge_runs(runs, how, votes)
    if ids:
        merged = arrange(merged, read_id_list(ids), run_files[0])
    for warning in imageclef.write_submission(
        out, merged.ids, merged.concepts, rules, overwrite=overwrite, inputs=[*run_files, ids]
    ):
        warn(f"{out}: {warning}")
    means = ", ".join(f"{run.counts.mean():.2f}" for run in runs.values())
    say(
        f"{out}: {len(merged):,} images, {merged.counts.mean():.2f} concepts each "
        f"(merged: {means}), format of {edition}"
    )
