"""diagnose: an encoder and images, or two sets of features -> numbers, and a page."""

import json
from pathlib import Path
from typing import Annotated

import typer

from replearn.console import say
from replearn.diagnostics.opening import Wanted, open_subject
from replearn.report.diagnosis_folder import PAGE, write_diagnosis


def diagnose(
    first: Annotated[
        Path, typer.Argument(metavar="ENCODER|REAL.h5", help="An encoder, or real features.")
    ],
    second: Annotated[
        Path,
        typer.Argument(metavar="IMAGES|FAKE.h5", help="Images it learned from, or made features."),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write.")],
    ids: Annotated[
        Path | None, typer.Option(help="Only images of the ids in the first column of this file.")
    ] = None,
    trained: Annotated[
        Path | None,
        typer.Option(help="Ids that it learned from, in the first column; others are held out."),
    ] = None,
    count: Annotated[int, typer.Option(help="Look at so many images at most, drawn at random.")] = (
        2000
    ),
    judge: Annotated[
        Path | None,
        typer.Option(
            metavar="ENCODER", help="By whose features samples are judged; default: pixels."
        ),
    ] = None,
    concepts: Annotated[
        Path | None, typer.Option(help="Concepts of the images: F1 by the number of labels.")
    ] = None,
    factors: Annotated[
        Path | None, typer.Option(help="Factors of the images, as of phantoms --factors.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Measure anew, and replace another diagnosis.")
    ] = False,
) -> None:
    """Tell what is wrong with an encoder or generator, in numbers with intervals.

    OUT gets diagnosis.json and diagnosis.html.

    Example: replearn diagnose runs/aae images.h5 diagnosis
    """
    wanted = Wanted(
        count=count,
        ids=ids,
        trained=trained,
        judge=judge,
        concepts=concepts,
        factors=factors,
        device=device,
    )
    inputs = [first, second, ids, trained, judge, concepts, factors]
    content = write_diagnosis(
        out, open_subject(first, second, wanted), overwrite=overwrite, inputs=inputs
    )
    if as_json:
        print(json.dumps(content))
        return
    for fault in content["faults"]:
        say(f"{fault['name']}: {fault['because']}; {fault['remedy']}")
    print(out / PAGE)
