"""index: features -> a search index; or add images to one, or remove some."""

from pathlib import Path
from typing import Annotated

import typer

from replearn.concepts.id_lists import read_id_list
from replearn.concepts.reading import Reading
from replearn.errors import UsageError
from replearn.features import Features
from replearn.neighbors.engine import Metric
from replearn.neighbors.index_folder import (
    IndexSettings,
    add_images,
    create_index,
    read_concepts_of,
    remove_images,
)

from .options import ColumnsOption, LayoutOption, SeparatorOption, UncertainOption


def index(
    features_path: Annotated[
        Path,
        typer.Argument(
            metavar="FEATURES", help="Features of the images to find; with --remove, a list of ids."
        ),
    ],
    folder: Annotated[Path, typer.Argument(metavar="INDEX", help="Folder of the index.")],
    concepts: Annotated[
        Path | None, typer.Option(help="Concepts of the images, shown with every hit.")
    ] = None,
    layout: LayoutOption = None,
    separator: SeparatorOption = None,
    columns: ColumnsOption = None,
    uncertain: UncertainOption = None,
    metric: Annotated[Metric | None, typer.Option(help="The distance; default: cosine.")] = None,
    factory: Annotated[
        str | None,
        typer.Option(help="FAISS factory string; default: Flat, exact. See docs/retrieval.md."),
    ] = None,
    recall: Annotated[
        float | None,
        typer.Option(
            help="Share of the 10 nearest that an approximate index should find; default: 0.95."
        ),
    ] = None,
    shards: Annotated[int, typer.Option(min=1, help="Build and search in this many parts.")] = 1,
    jobs: Annotated[int, typer.Option(min=1, help="Parts to build at a time.")] = 1,
    milvus: Annotated[
        str | None,
        typer.Option(help="Keep vectors in Milvus at this address; `file`: embedded in INDEX."),
    ] = None,
    add: Annotated[bool, typer.Option("--add", help="Add these images to INDEX.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove these ids from INDEX.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Index anew, and replace another index.")
    ] = False,
) -> None:
    """Build a search index of features.

    Example: replearn index train.h5 runs/index --concepts train.tsv
    """
    if recall is not None and not 0 < recall <= 1:
        raise UsageError(f"--recall {recall}: above 0, at most 1")
    if (add or remove) and (metric or factory or recall):
        raise UsageError(
            f"--metric, --factory and --recall: {folder} has its own; leave them out, or index anew"
        )
    if add + remove + (shards > 1) + (milvus is not None) > 1:
        raise UsageError("--add, --remove, --shards and --milvus: one of them at a time")
    if jobs > 1 and shards == 1:
        raise UsageError(f"--jobs {jobs}: without --shards an index is built in one part")
    if remove:
        remove_images(folder, read_id_list(features_path), inputs=[features_path])
        return
    features = Features.load(features_path)
    reading = Reading.of_options(layout, separator, columns, uncertain)
    table = read_concepts_of(features, features_path, concepts, reading) if concepts else None
    if add:
        add_images(folder, features, table, source=features_path, inputs=[concepts])
        return
    settings = IndexSettings(
        metric or "cosine", factory or "Flat", recall or 0.95, shards, jobs, milvus
    )
    create_index(
        folder,
        features,
        table,
        settings,
        source=features_path,
        overwrite=overwrite,
        inputs=[concepts],
    )
