"""Index folders as artefacts: created from features once, and changed by adding or removing images.

The format of such a folder, and opening it to search, are in `storage.py`.
"""

import logging
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from replearn.artefacts.files import publish
from replearn.artefacts.identity import check_same, digest, identify
from replearn.artefacts.outputs import place_of, refuse_inputs
from replearn.artefacts.workspace import creating, workspace
from replearn.concepts.reading import AS_FOUND, Reading
from replearn.concepts.table import ConceptTable, read_with_layout
from replearn.console import warn
from replearn.errors import DataError
from replearn.features import Features
from replearn.ids import IdList
from replearn.matching import ids_meant, match_names
from replearn.neighbors.build_index import Builder, build_index, build_with_faiss, match_concepts
from replearn.neighbors.engine import Metric
from replearn.neighbors.index import Index
from replearn.neighbors.sharded_engine import build_shards
from replearn.neighbors.storage import (
    INDEX,
    collection_of,
    open_to_change,
    relative_hints,
    save_index,
)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class IndexSettings:
    """The metric, the structure and the place of an index.

    Attributes:
        metric: `cosine` or `l2`.
        factory: of FAISS; `Flat` is exact.
        recall: share of the 10 nearest that an approximate index is to find.
        shards: parts that are built and searched separately.
        jobs: parts that are built at a time.
        milvus: address of a Milvus that keeps the vectors, or `file` for one in the folder; None
            for FAISS.
    """

    metric: Metric = "cosine"
    factory: str = "Flat"
    recall: float = 0.95
    shards: int = 1
    jobs: int = 1
    milvus: str | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """The settings that are part of an index's identity."""
        return {
            "metric": self.metric,
            "factory": self.factory,
            # Settings that were not given leave the identity as it was.
            **({"shards": self.shards} if self.shards > 1 else {}),
            **({"recall": self.recall} if self.factory != "Flat" else {}),
            **({"milvus": self.milvus} if self.milvus else {}),
        }


def create_index(
    folder: Path,
    features: Features,
    concepts: ConceptTable | None = None,
    settings: IndexSettings | None = None,
    *,
    source: Path | None = None,
    overwrite: bool = False,
    inputs: Iterable[Path | None] = (),
) -> Index | None:
    """Build an index of features into a new folder.

    Args:
        folder: where the index goes.
        features: of the images to find.
        concepts: joined by id; an image that is not in the table has none.
        settings: how to build it; by default, exact and by cosine.
        source: the file of the features, to which their hints are relative; without it the index
            does not know where encoder and images lie.
        overwrite: make it in any case, and replace another index.
        inputs: files that features and concepts are read from, which are never replaced.

    Returns:
        The index as it was built, None if the same lies there already.  To search it, open the
        folder by `load_index`.

    Raises:
        DataError: the features cannot be indexed, or something else lies in the folder.
        UsageError: FAISS or Milvus does not know the factory string.
    """
    settings, folder = settings or IndexSettings(), place_of(folder)
    left_out = 0 if concepts is None else _without_features(concepts, features)
    if concepts is not None:
        concepts = match_concepts(concepts, features.ids)
    identity = identify(
        "index",
        features=features.identity,
        concepts=None if concepts is None else concepts.digest,
        **settings.facts,
    )
    read = [source, *inputs]
    with creating(folder, identity, INDEX, overwrite=overwrite, inputs=read) as made:
        if made is None:
            return None
        index = build_index(
            features,
            concepts=concepts,
            metric=settings.metric,
            factory=settings.factory,
            recall=settings.recall,
            build=_builder(settings, made, identity),
        )
        hints = relative_hints(features.hints, source, folder) if source else {}
        index = replace(index, identity=identity, hints=hints)
        save_index(made, index)
        replaced = collection_of(folder)
    if replaced:
        warn(f"{replaced} was that of the replaced index; drop it there if nothing else needs it")
    _report(folder, index, left_out)
    return index


def _builder(settings: IndexSettings, folder: Path, identity: str) -> Builder:
    """Return a function that builds the engine: FAISS here, in shards, or Milvus."""
    if settings.shards > 1:
        return lambda space, vectors, factory, recall: build_shards(
            folder,
            space,
            vectors,
            factory=factory,
            number=settings.shards,
            recall=recall,
            jobs=settings.jobs,
        )
    if settings.milvus is not None:
        from replearn.neighbors import milvus_engine  # pymilvus only where it is asked for

        # A file's own name must last until it is published with the rest of the index.
        in_file = settings.milvus == "file"
        uri = str(folder / milvus_engine.FILE) if in_file else settings.milvus
        # Not by the identity alone: two folders of the same index must not change each other's.
        collection = f"replearn_{identity.partition(':')[2]}_{secrets.token_hex(4)}"
        return milvus_engine.builder(uri, collection)
    return build_with_faiss


def add_images(
    folder: Path,
    features: Features,
    concepts: ConceptTable | None = None,
    *,
    source: Path | None = None,
    inputs: Iterable[Path | None] = (),
) -> Index | None:
    """Add images to an index folder.

    Args:
        folder: of the index.
        features: of the new images.
        concepts: of the same images; an index with concepts needs them.
        source: the file of the features, for messages.
        inputs: files that features and concepts are read from, which are never replaced.

    Returns:
        The changed index, None if these images were the last ones added.

    Raises:
        DataError: the features are of another encoder, these images were added with other concepts,
            `Index.with_added` refuses them, or the folder holds other files.
        UsageError: the engine cannot add vectors.
    """
    folder = _to_change(folder, [source, *inputs])
    left_out = 0 if concepts is None else _without_features(concepts, features)
    if concepts is not None:
        concepts = match_concepts(concepts, features.ids)
    with workspace(folder) as work:
        old = open_to_change(folder, work)
        INDEX.refuse_others(folder)
        if old.history[-1:] == (features.identity,):
            _refuse_other_concepts(folder, old, features.ids, concepts)
            _logger.info(f"{folder}: has these images already, nothing to do")
            return None
        origin = source or "the new features"
        check_same(old.encoder, features.encoder, f"the encoder of {origin} and of {folder}")
        new = old.with_added(
            features.ids, features.vectors, concepts=concepts, origin=features.identity
        )
        save_index(work / "index", new)
        publish(work / "index", folder)
    _report(folder, new, left_out)
    return new


def remove_images(
    folder: Path, ids: Sequence[str] | IdList, *, inputs: Iterable[Path | None] = ()
) -> Index | None:
    """Remove images from an index folder.

    Args:
        folder: of the index.
        ids: of the images, or a file's list of them.
        inputs: files that the ids are read from, which are never replaced.

    Returns:
        The changed index, None if these images were the last ones removed.

    Raises:
        DataError: an id is not in the index, nothing would be left, or the folder holds other
            files.
        UsageError: the engine cannot remove vectors.
    """
    folder = _to_change(folder, inputs)
    with workspace(folder) as work:
        old = open_to_change(folder, work)
        INDEX.refuse_others(folder)
        ids = ids_meant(ids, old.ids, folder)
        origin = f"removed:{digest(*ids)}"
        if old.history[-1:] == (origin,):
            _logger.info(f"{folder}: these images are out of it already, nothing to do")
            return None
        new = old.without(ids, origin=origin)
        save_index(work / "index", new)
        publish(work / "index", folder)
    _report(folder, new)
    return new


def _without_features(concepts: ConceptTable, features: Features) -> int:
    return len(concepts) - len(match_names(concepts.ids, features.ids, "the concepts"))


def _to_change(folder: Path, inputs: Iterable[Path | None]) -> Path:
    """Return where an index lies that is about to change and is read by nothing else."""
    place = place_of(folder)
    refuse_inputs(place, inputs)
    return place


def _refuse_other_concepts(
    folder: Path, index: Index, ids: list[str], concepts: ConceptTable | None
) -> None:
    if concepts is None or index.concepts is None:
        return
    if index.concepts.select(ids).concepts != concepts.concepts:
        raise DataError(
            f"{folder}: has these images with other concepts; remove them, then add them again"
        )


def read_concepts_of(
    features: Features, source: Path, path: Path, reading: Reading = AS_FOUND
) -> ConceptTable:
    """Read the concepts of the images to index, and maybe of others; one without a line has none.

    Args:
        features: of the images.
        source: the file of the features, for messages.
        path: a concept file of any layout.
        reading: what is said of its layout.

    Raises:
        DataError: the file cannot be read, or has a line for none of the images.
    """
    table = read_with_layout(path, reading)[1]
    without = len(features) - len(match_names(table.ids, features.ids, path))
    if without == len(features):
        raise DataError(f"{path}: has a line for none of the {without} images of {source}")
    if without:
        warn(f"{path}: {without} of {len(features)} images of {source} have no line in it")
    return table


def _report(folder: Path, index: Index, left_out: int = 0) -> None:
    kind = "exact" if index.engine.exact else str(index.recall)
    rest = f"; {left_out:,} images with concepts have no features" if left_out else ""
    _logger.info(f"{folder}: {len(index):,} images, {index.metric}, {kind}{rest}")
    if index.recall and index.recall.at_10 < index.recall.wanted - 0.02:
        warn(
            f"{folder}: finds {index.recall.at_10:.3f} of the 10 nearest, not "
            f"{index.recall.wanted}; take another --factory (see docs/retrieval.md)"
        )
