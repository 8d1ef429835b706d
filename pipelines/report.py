"""report: an encoder or a comparison -> one HTML file to look at."""

from pathlib import Path
from typing import Annotated

import typer

from replearn.artefacts.outputs import Result, is_stream, refuse_taken, write_results
from replearn.concepts.reading import Reading
from replearn.report.build import REPORT, build_report

from .options import ColumnsOption, LayoutOption, SeparatorOption, UncertainOption


def report(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of an encoder or of a comparison.")
    ],
    out: Annotated[
        Path, typer.Argument(metavar="OUT.html", help="HTML file to write; - is stdout.")
    ],
    features: Annotated[
        Path | None,
        typer.Option(help="Features of the encoder; default: the largest file beside its folder."),
    ] = None,
    images: Annotated[Path | None, typer.Option(help="The images, if they were moved.")] = None,
    concepts: Annotated[
        Path | None, typer.Option(help="For an encoder: concepts of the images.")
    ] = None,
    layout: LayoutOption = None,
    separator: SeparatorOption = None,
    columns: ColumnsOption = None,
    uncertain: UncertainOption = None,
    names: Annotated[
        Path | None, typer.Option(help="Names of concepts: lines of `concept TAB name`.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="For a comparison: its data folder, if it was moved."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an old report.")] = False,
) -> None:
    """Write one HTML file that shows what an encoder learned, or what a comparison found.

    Example: replearn report runs/demo runs/demo/report.html
    """
    inputs = [run, features, images, concepts, names, data]
    refuse_taken(out, REPORT, inputs)
    html = build_report(
        run,
        features=features,
        images=images,
        concepts=concepts,
        names=names,
        data=data,
        reading=Reading.of_options(layout, separator, columns, uncertain),
    )
    write_results({out: Result(html, REPORT)}, overwrite=overwrite, inputs=inputs)
    if not is_stream(out):
        print(out)
