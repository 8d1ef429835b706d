"""extract: an encoder and images -> features."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from replearn import extraction
from replearn.artefacts import say
from replearn.concepts import read_ids
from replearn.encoders import load_encoder
from replearn.images import open_images


def extract(
    encoder_folder: Annotated[
        Path, typer.Argument(metavar="ENCODER", help="Folder of a trained encoder.")
    ],
    source: Annotated[
        Path, typer.Argument(metavar="IMAGES", help="Image set, folder, .zip, .tar or list.")
    ],
    out: Annotated[Path, typer.Argument(metavar="FEATURES.h5", help="Where the features go.")],
    ids: Annotated[
        Path | None, typer.Option(help="Only the ids in the first column, in that order.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    max_errors: Annotated[
        float, typer.Option(help="Stop if a larger share of the images is missing or unreadable.")
    ] = 0.05,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace other features.")] = False,
) -> None:
    """Turn images into features with a trained encoder.

    Example: replearn extract runs/aae images.h5 train.h5 --ids train.tsv
    """
    encoder = load_encoder(encoder_folder, device)
    images = open_images(
        source,
        size=encoder.description.size,
        channels=encoder.description.channels,
        fit=encoder.description.fit,
        ids=read_ids(ids) if ids else None,
        max_errors=max_errors,
    )
    hints = {
        "encoder_path": os.path.relpath(encoder_folder, out.parent),
        "images_path": os.path.relpath(source, out.parent),
    }
    start = time.perf_counter()
    features = extraction.extract(encoder, images, out, hints=hints, overwrite=overwrite)
    seconds = time.perf_counter() - start
    count, width = features.vectors.shape
    left_out = f", {len(features.errors)} without" if features.errors else ""
    say(f"{out}: {count:,} x {width:,} features{left_out}, {count / seconds:,.0f} images/s")
