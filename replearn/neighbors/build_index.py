"""Building an index in memory: of features, or of vectors of any origin."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from replearn.arrays import Vectors
from replearn.artefacts.identity import identify
from replearn.concepts.table import ConceptTable
from replearn.errors import DataError
from replearn.features import Features
from replearn.matching import match_names
from replearn.neighbors.engine import Engine, Metric, Space
from replearn.neighbors.index import Index, check_vectors
from replearn.neighbors.recall import Recall, tune_recall

# Builds an engine from its space, vectors [N, D], a factory string and the wanted recall; returns
# it with the recall that it reaches if it is approximate.
Builder = Callable[[Space, Vectors, str, float], tuple[Engine, Recall | None]]


def build_with_faiss(
    space: Space, vectors: Vectors, factory: str, recall: float
) -> tuple[Engine, Recall | None]:
    """Return an engine of FAISS in this process, and its recall if it is approximate."""
    from replearn.neighbors import faiss_engine

    engine = faiss_engine.build(space, vectors, factory)
    return engine, None if engine.exact else tune_recall(recall, engine, vectors)


def build_index(
    features: Features,
    *,
    concepts: ConceptTable | None = None,
    metric: Metric = "cosine",
    factory: str = "Flat",
    recall: float = 0.95,
    build: Builder = build_with_faiss,
) -> Index:
    """Index features in memory; `index_folder.create_index` makes a folder.

    Args:
        features: of the images to find.
        concepts: joined by id; an image that is not in the table has none.
        metric: `cosine` or `l2`.
        factory: of FAISS; `Flat` is exact.
        recall: share of the 10 nearest that an approximate index is to find.
        build: makes the engine; in this process, if nothing else is given.

    Raises:
        DataError: there is no vector, an id stands twice, or a vector holds NaN or infinity, or
            for cosine is zero.
        UsageError: FAISS does not know the factory string.

    Example:
        >>> index = replearn.build_index(features, concepts=concepts)
        >>> index.search(features.vectors[:5], k=10).distances.shape
        (5, 10)
    """
    index = index_vectors(
        features.ids,
        features.vectors,
        concepts=concepts,
        metric=metric,
        factory=factory,
        recall=recall,
        build=build,
    )
    # Every exact index of the same features finds the same.
    identity = features.identity
    if factory != "Flat":
        facts = {"metric": metric, "factory": factory, "recall": recall}
        identity = identify("index", features=features.identity, **facts)
    return replace(index, encoder=features.encoder, identity=identity, history=(features.identity,))


def index_vectors(
    ids: Sequence[str],
    vectors: Vectors,
    *,
    concepts: ConceptTable | None = None,
    metric: Metric = "cosine",
    factory: str = "Flat",
    recall: float = 0.95,
    build: Builder = build_with_faiss,
) -> Index:
    """Index vectors [N, D] of any origin under their ids [N], all different.

    The vectors may be a memory map, of which little is resident at a time.  All else is as in
    `build_index`.

    Raises:
        DataError: as `build_index`.
        UsageError: as `build_index`.
    """
    centre = check_vectors(ids, vectors, metric)
    engine, reached = build(Space(metric, centre), vectors, factory, recall)
    known = None if concepts is None else match_concepts(concepts, list(ids))
    return Index(list(ids), engine, recall=reached, concept_source=known)


def match_concepts(table: ConceptTable, ids: list[str]) -> ConceptTable:
    """Return the concepts of the images of these ids; an image without a row has none.

    Raises:
        DataError: the table has none of the images, or two rows of one.
    """
    if table.ids == ids:
        return table
    meant = match_names(table.ids, ids, "the concepts")
    of_name = dict(zip(table.ids, table.concepts, strict=True))
    known = {id_: of_name[name] for name, id_ in meant.items()}
    if not known:
        raise DataError(f"concepts of none of the {len(ids)} images to index; check the ids")
    return ConceptTable(ids, [known.get(id_, ()) for id_ in ids])
