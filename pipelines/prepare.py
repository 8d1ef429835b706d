"""prepare: a folder, archive or list of images -> one image set."""

from pathlib import Path
from typing import Annotated

import typer

from replearn.concepts.id_lists import read_id_list
from replearn.images.form import Fit, parse_range
from replearn.images.frames import Frames, Pages
from replearn.images.ids import Selection
from replearn.images.preparation import prepare as prepare_images

from .options import IdsFromOption


def prepare(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGES",
            help="A folder, .zip, .tar, series of .tar, parquet, HDF5, .npy, .npz or text list of "
            "paths.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT.h5", help="Image set to write.")],
    ids: Annotated[
        Path | None,
        typer.Option(help="Prepare only the ids in the first column of this file, in its order."),
    ] = None,
    size: Annotated[int, typer.Option(help="Height and width to resize to.")] = 64,
    channels: Annotated[int, typer.Option(help="1 (grey) or 3 (red, green, blue).")] = 1,
    fit: Annotated[
        Fit,
        typer.Option(help="Stretch to a square, or keep the aspect ratio and pad with black."),
    ] = "stretch",
    ids_from: IdsFromOption = "name",
    frames: Annotated[
        Frames,
        typer.Option(help="DICOM files with several frames: read the middle one, or all."),
    ] = "middle",
    pages: Annotated[
        Pages,
        typer.Option(help="TIFF, GIF and WebP with several pages: read the first one, or all."),
    ] = "first",
    bits: Annotated[
        int | None,
        typer.Option(
            help="Bits of samples that have more than 8, but not of DICOM: 2^bits - 1 is white; "
            "default: for each image those that it uses."
        ),
    ] = None,
    value_range: Annotated[
        str | None,
        typer.Option(
            "--range",
            metavar="BLACK,WHITE",
            help="Range of signed and floating-point samples, as 0,1; they cannot be read without.",
        ),
    ] = None,
    max_errors: Annotated[
        float, typer.Option(help="Stop if a larger share of the images is missing or unreadable.")
    ] = 0.05,
    jobs: Annotated[
        int | None, typer.Option(help="Number of processes; default: as many as pay off.")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="ray, or ray://host:port.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Prepare anew, and replace another set.")
    ] = False,
) -> None:
    """Decode and resize images into one image set.

    A name that ends in .h5 is one file; any other is a folder of shards, for many images.

    Example: replearn prepare archive.zip images.h5 --size 128 --fit pad
    """
    prepare_images(
        source,
        out,
        size=size,
        channels=channels,
        fit=fit,
        bits=bits,
        value_range=None if value_range is None else parse_range(value_range),
        selection=Selection(
            read_id_list(ids) if ids else None, ids_from, frames, max_errors, pages
        ),
        jobs=jobs,
        cluster=cluster,
        overwrite=overwrite,
    )
