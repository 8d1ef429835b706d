"""index: features -> a search index; or more images into one, or some out of it."""

import secrets
from pathlib import Path
from typing import Annotated, Literal

import typer

from replearn.artefacts.files import identity_in, publish
from replearn.artefacts.identity import already_made, check_same, digest, identify
from replearn.artefacts.workspace import workspace
from replearn.concepts.table import ConceptTable, read_concepts, read_ids
from replearn.console import say, warn
from replearn.errors import DataError, UsageError
from replearn.features import Features
from replearn.neighbors.index import Builder, Index, build_index, build_with_faiss
from replearn.neighbors.sharded_engine import build_shards
from replearn.neighbors.storage import collection_of, open_to_change, relative, save_index


def index(
    features_path: Annotated[
        Path,
        typer.Argument(
            metavar="FEATURES", help="Features of the images to find; with --remove, a list of ids."
        ),
    ],
    folder: Annotated[Path, typer.Argument(metavar="INDEX", help="Where the index goes.")],
    concepts: Annotated[
        Path | None, typer.Option(help="Concepts of the images, shown with every hit.")
    ] = None,
    metric: Annotated[
        Literal["cosine", "l2"] | None, typer.Option(help="What near means; else cosine.")
    ] = None,
    factory: Annotated[
        str | None,
        typer.Option(help="FAISS factory string; else Flat, exact. See docs/retrieval.md."),
    ] = None,
    recall: Annotated[
        float | None,
        typer.Option(
            help="Share of the 10 nearest that an approximate index is to find; else 0.95."
        ),
    ] = None,
    shards: Annotated[int, typer.Option(min=1, help="Build and search in so many parts.")] = 1,
    jobs: Annotated[int, typer.Option(min=1, help="Parts that are built at a time.")] = 1,
    milvus: Annotated[
        str | None,
        typer.Option(help="Keep vectors in Milvus at this address; `file`: embedded in INDEX."),
    ] = None,
    add: Annotated[bool, typer.Option("--add", help="Add these images to INDEX.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take these ids out of INDEX.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another index.")] = False,
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
        _remove(read_ids(features_path), features_path, folder)
        return
    features = Features.load(features_path)
    table = _concepts_of(features, features_path, concepts) if concepts else None
    if add:
        _add(features, table, features_path, folder)
        return
    metric, factory, recall = metric or "cosine", factory or "Flat", recall or 0.95
    identity = identify(
        "index",
        features=features.identity,
        metric=metric,
        factory=factory,
        concepts=table and table.digest,
        # What was not asked for leaves the identity as it was.
        **({"shards": shards} if shards > 1 else {}),
        **({"recall": recall} if factory != "Flat" else {}),
        **({"milvus": milvus} if milvus else {}),
    )
    with workspace(folder) as work:
        existing = identity_in(folder / "index.json")
        if already_made(folder, existing, identity, overwrite=overwrite):
            return
        made = work / "index"
        made.mkdir()
        built = build_index(
            features.ids,
            features.vectors,
            metric=metric,
            factory=factory,
            recall=recall,
            encoder=features.encoder,
            identity=identity,
            concepts=table,
            hints=relative(features.hints, features_path.parent, folder),
            origin=features.identity,
            build=_builder(made, shards, jobs, milvus, identity),
        )
        save_index(made, built)
        left = collection_of(folder)
        publish(made, folder)
    if left:
        warn(f"{left} was that of the replaced index; drop it there if nothing else needs it")
    _report(folder, built)


def _builder(made: Path, shards: int, jobs: int, milvus: str | None, identity: str) -> Builder:
    """Return what builds the engine: FAISS here, in shards, or Milvus."""
    if shards > 1:
        return lambda space, vectors, factory, recall: build_shards(
            made, space, vectors, factory=factory, number=shards, recall=recall, jobs=jobs
        )
    if milvus is not None:
        from replearn.neighbors import milvus_engine

        # A file's own name must last until it is published with the rest of the index.
        uri = str(made / milvus_engine.FILE) if milvus == "file" else milvus
        # Not by the identity alone: two folders of the same index must not change each other's.
        collection = f"replearn_{identity.partition(':')[2]}_{secrets.token_hex(4)}"
        return milvus_engine.builder(uri, collection)
    return build_with_faiss


def _add(features: Features, table: ConceptTable | None, path: Path, folder: Path) -> None:
    with workspace(folder) as work:
        old = open_to_change(folder, work)
        if old.history[-1:] == (features.identity,):
            say(f"{folder}: has these images already, nothing to do")
            return
        check_same(old.encoder, features.encoder, f"the encoder of {path} and of {folder}")
        new = old.with_added(
            features.ids, features.vectors, concepts=table, origin=features.identity
        )
        save_index(work / "index", new)
        publish(work / "index", folder)
    _report(folder, new)


def _remove(ids: list[str], path: Path, folder: Path) -> None:
    origin = f"removed:{digest(*ids)}"
    with workspace(folder) as work:
        old = open_to_change(folder, work)
        if old.history[-1:] == (origin,):
            say(f"{folder}: these images are out of it already, nothing to do")
            return
        new = old.without(ids, origin=origin)
        save_index(work / "index", new)
        publish(work / "index", folder)
    _report(folder, new)


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


def _report(folder: Path, built: Index) -> None:
    kind = "exact" if built.engine.exact else str(built.recall)
    say(f"{folder}: {len(built):,} images, {built.metric}, {kind}")
    if built.recall and built.recall.at_10 < built.recall.wanted - 0.02:
        warn(
            f"{folder}: finds {built.recall.at_10:.3f} of the 10 nearest, not "
            f"{built.recall.wanted}; take another --factory (see docs/retrieval.md)"
        )
