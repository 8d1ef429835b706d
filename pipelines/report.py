"""report: an encoder or a comparison -> one HTML file to look at."""

from pathlib import Path
from typing import Annotated

import typer

from replearn.artefacts.outputs import Result, is_stream, refuse_taken, write_results
from replearn.concepts.reading import LayoutName, Reading, Uncertain
from replearn.report.build import REPORT, build_report


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
    layout: Annotated[
        LayoutName | None, typer.Option(help="Layout of --concepts, if it is in doubt.")
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
    names: Annotated[
        Path | None, typer.Option(help="Names of concepts: lines of `concept TAB name`.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="For a comparison: its data folder, if it was moved."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another report.")] = False,
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
