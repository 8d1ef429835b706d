"""extract: an encoder and images -> features."""

from pathlib import Path
from typing import Annotated

import typer

from replearn.artefacts.outputs import place_of
from replearn.concepts.id_lists import read_id_list
from replearn.encoders import extraction
from replearn.encoders.embedding import Precision
from replearn.encoders.encoder import load_encoder
from replearn.images.frames import Frames, Pages
from replearn.images.ids import Selection
from replearn.images.opening import open_reader

from .options import IdsFromOption


def extract(
    encoder_folder: Annotated[
        Path, typer.Argument(metavar="ENCODER", help="Folder of a trained encoder.")
    ],
    source: Annotated[
        Path, typer.Argument(metavar="IMAGES", help="Image set, folder, archive, table or list.")
    ],
    out: Annotated[Path, typer.Argument(metavar="FEATURES.h5", help="Features to write.")],
    ids: Annotated[
        Path | None,
        typer.Option(help="Extract only the ids in the first column of this file, in its order."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    precision: Annotated[
        Precision, typer.Option(help="Precision of the network; bfloat16 is faster on a GPU.")
    ] = "float32",
    dtype: Annotated[
        extraction.Dtype,
        typer.Option("--dtype", help="Type of the stored numbers; float16 halves the file."),
    ] = "float32",
    views: Annotated[
        int,
        typer.Option(
            min=1,
            max=10,
            help="Average the features of so many crops and mirror images, as the encoder was "
            "trained with.",
        ),
    ] = 1,
    ids_from: IdsFromOption = "name",
    frames: Annotated[
        Frames, typer.Option(help="DICOM files with several frames: read the middle one, or all.")
    ] = "middle",
    pages: Annotated[
        Pages,
        typer.Option(help="TIFF, GIF and WebP with several pages: read the first one, or all."),
    ] = "first",
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
        bool, typer.Option("--overwrite", help="Extract anew, and replace other features.")
    ] = False,
) -> None:
    """Turn images into features with a trained encoder.

    A name that ends in .h5 is one file; any other is a folder of shards, for many images.

    Example: replearn extract runs/aae images.h5 train.h5 --ids train.tsv
    """
    encoder = load_encoder(encoder_folder, device)
    selection = Selection(read_id_list(ids) if ids else None, ids_from, frames, max_errors, pages)
    scratch = place_of(out).parent
    with open_reader(source, encoder.description.form, selection, scratch=scratch) as images:
        extraction.extract(
            encoder,
            images,
            out,
            max_errors=max_errors,
            numerics=extraction.Numerics(precision, dtype, views),
            jobs=jobs,
            cluster=cluster,
            overwrite=overwrite,
        )
