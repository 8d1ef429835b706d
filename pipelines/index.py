"""index: features -> a search index."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from replearn.artefacts import already_made, identify, identity_in, publish, say, warn, workspace
from replearn.concepts import ConceptTable, read_concepts
from replearn.errors import DataError
from replearn.features import Features
from replearn.neighbors import build_index, save_index


def index(
    features_path: Annotated[
        Path, typer.Argument(metavar="FEATURES", help="Features of the images to find.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="INDEX", help="Where the index goes.")],
    concepts: Annotated[
        Path | None, typer.Option(help="Concepts of the images, shown with every hit.")
    ] = None,
    metric: Annotated[Literal["cosine", "l2"], typer.Option(help="What near means.")] = "cosine",
    factory: Annotated[str, typer.Option(help="FAISS factory string; Flat is exact.")] = "Flat",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another index.")] = False,
) -> None:
    """Build a search index of features.

    Example: replearn index train.h5 runs/index --concepts train.tsv
    """
    features = Features.load(features_path)
    table = _concepts_of(features, features_path, concepts) if concepts else None
    identity = identify(
        "index",
        features=features.identity,
        metric=metric,
        factory=factory,
        concepts=table and table.digest,
    )
    with workspace(folder) as work:
        existing = identity_in(folder / "index.json")
        if already_made(folder, existing, identity, overwrite=overwrite):
            return
        hints = _hints_from(features, features_path, folder)
        built = build_index(
            features.ids,
            features.vectors,
            metric=metric,
            factory=factory,
            encoder=features.encoder,
            identity=identity,
            concepts=table,
            hints=hints,
        )
        save_index(work / "index", built)
        publish(work / "index", folder)
    say(f"{folder}: {len(built):,} images, {metric}, {factory}")


def _concepts_of(features: Features, path: Path, concepts: Path) -> ConceptTable:
    """Return the concepts of the indexed images; an image without a line has none."""
    table = read_concepts(concepts)
    known = dict(zip(table.ids, table.concepts, strict=True))
    without = sum(id_ not in known for id_ in features.ids)
    if without == len(features):
        raise DataError(f"{concepts}: has a line for none of the {without} images of {path}")
    if without:
        warn(f"{concepts}: {without} of {len(features)} images of {path} have no line in it")
    return ConceptTable(features.ids, [known.get(id_, ()) for id_ in features.ids])


def _hints_from(features: Features, path: Path, folder: Path) -> dict[str, str]:
    """Turn hints that are relative to the features into hints relative to the index."""
    return {
        key: os.path.relpath(path.parent / hint, folder) for key, hint in features.hints.items()
    }
