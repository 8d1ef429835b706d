"""compare: encoders x detectors on one data folder -> one table.

Every row of the table comes from artefacts that you can inspect. A second run does only what is
missing.
"""

from pathlib import Path
from typing import Annotated

import typer

from replearn.comparison.compare import compare as run_comparison
from replearn.comparison.settings import read_comparison
from replearn.concepts.reading import Reading

from .options import ColumnsOption, IdsFromOption, LayoutOption, SeparatorOption, UncertainOption


def compare(
    config: Annotated[
        Path,
        typer.Argument(
            metavar="CONFIG",
            help="YAML file with encoders and detectors, or the name of a shipped one.",
        ),
    ],
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Folder of images/, train-concepts.*, valid-concepts.* (else split from train), "
            "test-concepts.* or test-images.txt, and groups.*. Without test-concepts.* the table "
            "is of the validation images, and choices are made on a quarter of train.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write everything to.")],
    seeds: Annotated[
        int, typer.Option(min=1, help="Train every encoder with this many seeds.")
    ] = 1,
    ids_from: IdsFromOption = "name",
    layout: LayoutOption = None,
    separator: SeparatorOption = None,
    columns: ColumnsOption = None,
    uncertain: UncertainOption = None,
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
    """Compare pairs of encoder and detector on one data folder, in one table.

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
        ids_from=ids_from,
    )
    print((out / "table.md").read_text(encoding="utf-8"), end="")
