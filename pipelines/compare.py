"""compare: encoders x detectors on one data folder -> one table.

Every row of the table comes from artefacts that you can inspect. A second run does only what is
missing.
"""

from pathlib import Path
from typing import Annotated

import typer

from replearn.comparison.compare import compare as run_comparison
from replearn.comparison.settings import read_comparison
from replearn.concepts.reading import LayoutName, Reading, Uncertain


def compare(
    config: Annotated[
        Path,
        typer.Argument(
            metavar="CONFIG",
            help="Encoders and detectors: a YAML file, or the name of one that is shipped.",
        ),
    ],
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Folder of images/, train-concepts.*, valid-concepts.* (else split from train) "
            "and test-concepts.* or test-images.txt.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write everything to.")],
    seeds: Annotated[
        int, typer.Option(min=1, help="Train every encoder with this many seeds.")
    ] = 1,
    layout: Annotated[
        LayoutName | None,
        typer.Option(help="Layout of the concept lists, if it is in doubt."),
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
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a setting: encoders.aae.training.steps=500; may be repeated.",
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="Encoders to train at a time, each in its own process.")
    ] = 1,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make all anew, and replace other outputs.")
    ] = False,
) -> None:
    """Compare encoders x detectors on one data folder in one table.

    Example: replearn compare demo data runs/all --seeds 3
    """
    run_comparison(
        read_comparison(config, settings or ()),
        data,
        out,
        seeds=seeds,
        jobs=jobs,
        overwrite=overwrite,
        reading=Reading.of_options(layout, separator, columns, uncertain),
    )
    print((out / "table.md").read_text(encoding="utf-8"), end="")
