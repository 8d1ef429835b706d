"""Nearest neighbours of features: images by id, whatever engine searches their vectors.

Exact search is the default.  Approximate structures are set to the wanted recall, and the recall
that they reach is measured.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Vectors, fit_float32
from replearn.artefacts.identity import identify
from replearn.concepts.table import ConceptTable
from replearn.console import warn
from replearn.errors import DataError, some_of
from replearn.ids import IdMap, normal, rows_of
from replearn.neighbors.engine import Engine, Hits, Metric, blocks_of
from replearn.neighbors.recall import Recall


@dataclass(frozen=True, eq=False)
class Index:
    """Indexed images: their ids, a search engine of their vectors, and their concepts if known.

    Attributes:
        ids: one for each indexed image [N], all different.
        engine: searches their vectors, row by row in the order of the ids.
        encoder: identity of the encoder of the vectors, None if not known.
        identity: of the index; of an exact one in memory, that of its features.
        hints: where encoder and images lay, relative to the index; may be stale.
        recall: of an approximate engine, None for an exact one.
        history: identities of the features it was made of and of all changes, the latest last.
        concept_source: the concepts of the images, or a function that reads them when they are
            first needed; None if they are not known.

    Example:
        >>> hits = index.search(features.vectors[:2], k=3)
        >>> hits.rows.shape, [index.ids[row] for row in hits.rows[:, 0]] == features.ids[:2]
        ((2, 3), True)
    """

    ids: list[str]
    engine: Engine
    encoder: str | None = None
    identity: str = ""
    hints: dict[str, str] = field(default_factory=dict)
    recall: Recall | None = None
    history: tuple[str, ...] = ()
    concept_source: ConceptTable | Callable[[], ConceptTable] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def metric(self) -> Metric:
        """The metric by which vectors are compared, `cosine` or `l2`."""
        return self.engine.space.metric

    @cached_property
    def concepts(self) -> ConceptTable | None:
        """The concepts of the images, None if they are not known."""
        source = self.concept_source
        return source if source is None or isinstance(source, ConceptTable) else source()

    @cached_property
    def rows(self) -> IdMap[int]:
        """The row of each id."""
        return rows_of(self.ids)

    def with_concepts(self, concepts: ConceptTable | None) -> "Index":
        """Return the same index with these concepts, in the order of its ids."""
        return replace(self, concept_source=concepts)

    def search(self, vectors: Vectors, k: int) -> Hits:
        """Return the min(k, N) nearest of each vector [M, D].

        An approximate index may find fewer, with a warning; -1 fills up.

        Raises:
            DataError: the vectors have another width than the indexed ones.
        """
        width = self.engine.space.width
        if vectors.ndim != 2 or vectors.shape[1] != width:
            found = vectors.shape[1] if vectors.ndim == 2 else list(vectors.shape)
            raise DataError(
                f"vectors of width {found} cannot be searched in an index of width "
                f"{width}; use features of the same encoder"
            )
        hits = self.engine.search(vectors, min(k, len(self)))
        short = int((hits.rows[:, -1:] < 0).sum())
        if short:
            fewest = int((hits.rows >= 0).sum(axis=1).min())
            warn(
                f"{short:,} of {len(vectors):,} queries find fewer than {min(k, len(self))} of the "
                f"{len(self):,} indexed images, {fewest} at least: the index looks through a part "
                "of them; index with a higher --recall, or exactly"
            )
        return hits

    def search_others(
        self,
        vectors: Vectors,
        k: int,
        ids: Sequence[str],
        groups: Mapping[str, str] | None = None,
    ) -> Hits:
        """Return the k nearest that are not the image itself, nor of its group.

        An image is recognised by its id, not by its rank among the hits: exact copies tie.

        Args:
            vectors: of the query images [M, D].
            k: how many of each; where there are fewer, -1 fills up.
            ids: of the same images [M].
            groups: the group (patient, study) of each id; an id without one is on its own.
        """
        if groups is None:  # then without looking at all of the N ids
            own = np.array([self.rows.get(id_, -1) for id_ in ids])
            hits = self.search(vectors, k + int((own >= 0).any()))
            return hits.without(hits.rows == own[:, None], k)
        group = _Groups(self.ids, groups)
        hits = self.search(vectors, k + group.most(ids))
        return hits.without(group.indexed[hits.rows] == group.of(ids)[:, None], k)

    def vectors(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """Return the indexed vectors [M, D] of these ids, as exactly as the engine keeps them.

        Raises:
            DataError: an id is not in the index.
        """
        unknown = [id_ for id_ in ids if id_ not in self.rows]
        if unknown:
            raise DataError(f"{some_of(unknown)}: not among the {len(self)} indexed images")
        return self.engine.vectors([self.rows[id_] for id_ in ids])

    def check_made_of(self, ids: Sequence[str], features: str, what: str) -> None:
        """Refuse other images, or other features of the same images, than the indexed ones.

        Raises:
            DataError: the ids differ, or the identity of the features; the text names `what`.
        """
        both = sum(id_ in self.rows for id_ in ids)
        if not both == len(ids) == len(self.ids):
            raise DataError(
                f"{what}: the index is of {len(self)} images, of which it shares {both} of "
                f"{len(ids)}; index these features"
            )
        if any(self.history) and features not in self.history:
            raise DataError(
                f"{what}: made of {', '.join(self.history)}, not of {features}; index these "
                "features"
            )

    def with_added(
        self,
        ids: Sequence[str],
        vectors: Vectors,
        *,
        concepts: ConceptTable | None = None,
        origin: str = "",
    ) -> "Index":
        """Return the index with more images behind the others; its engine is changed.

        Args:
            ids: of the new images [M].
            vectors: of the same images [M, D].
            concepts: of the same images; an index with concepts needs them.
            origin: identity of what is added.

        Raises:
            DataError: an id stands twice, a vector cannot be indexed, or concepts are missing.
            UsageError: the engine cannot add vectors.
        """
        if vectors.shape[1] != self.engine.space.width:
            raise DataError(
                f"vectors of width {vectors.shape[1]} cannot join an index of width "
                f"{self.engine.space.width}; use features of the same encoder"
            )
        if (concepts is None) != (self.concepts is None):
            has = "has no concepts" if self.concepts is None else "has concepts"
            raise DataError(f"the index {has}: add images in the same way")
        check_vectors([*self.ids, *ids], vectors, self.metric, first=len(self))
        self.engine.add(vectors)
        return self._changed(
            [*self.ids, *ids], _concatenate(self.concepts, concepts), origin, len(ids)
        )

    def without(self, ids: Sequence[str], *, origin: str = "") -> "Index":
        """Return the index without these images; its engine is changed.

        Raises:
            DataError: an id is not in the index, or nothing would be left.
            UsageError: the engine cannot remove vectors.
        """
        unknown = [id_ for id_ in ids if id_ not in self.rows]
        if unknown:
            raise DataError(f"{some_of(unknown)}: not among the {len(self)} indexed images")
        gone = {self.rows[id_] for id_ in ids}
        kept = [id_ for row, id_ in enumerate(self.ids) if row not in gone]
        if not kept:
            raise DataError(f"all {len(self)} images would be removed; delete the index instead")
        concepts = None if self.concepts is None else self.concepts.select(kept)
        self.engine.remove(np.array(sorted(gone), np.int64))
        return self._changed(kept, concepts, origin, len(gone))

    def _changed(
        self, ids: list[str], concepts: ConceptTable | None, origin: str, count: int
    ) -> "Index":
        # Measuring again would take all vectors, which compressed structures do not give back.
        recall = self.recall and replace(self.recall, changed=self.recall.changed + count)
        return replace(
            self,
            ids=ids,
            identity=identify("index", of=self.identity, then=origin),
            recall=recall,
            history=(*self.history, origin),
            concept_source=concepts,
        )


def check_vectors(
    ids: Sequence[str], vectors: Vectors, metric: Metric, *, first: int = 0
) -> NDArray[np.float32]:
    """Check what is to be indexed and return its centre, float32 [D]; zero for cosine.

    Args:
        ids: of all images.
        vectors: of those from number `first` on.
        metric: `cosine` or `l2`.
        first: how many of the ids are indexed already.

    Raises:
        DataError: there is no vector, an id stands twice, or a vector holds NaN or infinity, or
            for cosine is zero.
    """
    if len(vectors) == 0:
        raise DataError("no vectors to index")
    if len(ids) - first != len(vectors):
        raise ValueError(f"{len(ids) - first} ids for {len(vectors)} vectors")
    twice = [id_ for id_, count in Counter(ids).items() if count > 1]
    if twice:
        raise DataError(f"{some_of(twice)}: more than one vector under one id; ids must be unique")
    total = np.zeros(vectors.shape[1])
    broken, zero, row = [], [], first
    for block in blocks_of(vectors):
        fitting = fit_float32(block)
        broken += [ids[row + offset] for offset in np.flatnonzero(~fitting).tolist()]
        zero += [ids[row + offset] for offset in np.flatnonzero(~block.any(axis=1)).tolist()]
        total += block.sum(axis=0, dtype=np.float64)
        row += len(block)
    if broken:
        raise DataError(
            f"{len(broken)} vectors hold NaN or infinity ({some_of(broken)}), or numbers beyond "
            "float32; extract them again"
        )
    if zero and metric == "cosine":
        raise DataError(
            f"{len(zero)} vectors are zero and have no direction for cosine ({some_of(zero)}); "
            "use --metric l2 or leave those images out"
        )
    return (total / len(vectors) if metric == "l2" else 0 * total).astype(np.float32)


class _Groups:
    """The groups of indexed images, as numbers [N]."""

    def __init__(self, ids: Sequence[str], groups: Mapping[str, str]) -> None:
        self.groups = groups
        self.number: dict[str, int] = {}
        keys = [self._key(id_) for id_ in ids]
        self.indexed = np.array([self.number.setdefault(k, len(self.number)) for k in keys])
        self.sizes = np.bincount(self.indexed)

    def _key(self, id_: str) -> str:
        # No id can be taken for a group.
        return self.groups.get(id_, f"\0{normal(id_)}")

    def of(self, ids: Sequence[str]) -> NDArray[np.intp]:
        """Return the number of each id's group [M]; -1 where none is indexed."""
        return np.array([self.number.get(self._key(id_), -1) for id_ in ids], np.intp)

    def most(self, ids: Sequence[str]) -> int:
        """Return how many indexed images the largest group of these ids has."""
        numbers = self.of(ids)
        return int(self.sizes[numbers[numbers >= 0]].max(initial=0))


def _concatenate(old: ConceptTable | None, new: ConceptTable | None) -> ConceptTable | None:
    if old is None or new is None:
        return None
    return ConceptTable([*old.ids, *new.ids], [*old.concepts, *new.concepts])
