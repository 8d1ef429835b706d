"""diagnose: an encoder and images, or two sets of features -> numbers, and a page."""

import json
from pathlib import Path
from typing import Annotated

import typer

from replearn.artefacts.identity import identify
from replearn.diagnostics.diagnose import diagnose_features
from replearn.features import Features
from replearn.report.diagnosis_folder import PAGE, write_diagnosis


def diagnose(
    first: Annotated[Path, typer.Argument(metavar="REAL.h5", help="Features of real images.")],
    second: Annotated[
        Path, typer.Argument(metavar="FAKE.h5", help="Features of samples, by the same encoder.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Measure anew, and replace another diagnosis.")
    ] = False,
) -> None:
    """Tell what is wrong with a generator or an encoder, in numbers with intervals.

    OUT gets diagnosis.json and diagnosis.html.

    Example: replearn diagnose real.h5 fake.h5 diagnosis
    """
    real, fake = Features.load(first), Features.load(second)
    content = write_diagnosis(
        out,
        identify("diagnosis", real=real.identity, fake=fake.identity),
        lambda: diagnose_features(real, fake),
        overwrite=overwrite,
        inputs=[first, second],
    )
    print(json.dumps(content) if as_json else out / PAGE)
