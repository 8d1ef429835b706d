"""The concepts of a table: counts, vocabulary and multi-hot matrix, images, co-occurrence."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
from scipy import sparse

from replearn.concepts.table import ConceptTable
from replearn.console import warn
from replearn.errors import DataError, quoted, some_of
from replearn.ids import normal


def pool(tables: Iterable[ConceptTable]) -> ConceptTable:
    """Return the images of all tables; one that several have shows what any of them says."""
    pooled: dict[str, tuple[str, ...]] = {}
    written: dict[str, str] = {}
    for table in tables:
        for id_, concepts in zip(table.ids, table.concepts, strict=True):
            key = normal(id_)
            written.setdefault(key, id_)
            pooled[key] = tuple(dict.fromkeys(pooled.get(key, ()) + concepts))
    return ConceptTable(list(written.values()), list(pooled.values()))


def images_of(table: ConceptTable, words: Sequence[str]) -> dict[str, list[str]]:
    """Return the inverse map: the ids of the images that show each of the words."""
    images: dict[str, list[str]] = {word: [] for word in words}
    for id_, concepts in zip(table.ids, table.concepts, strict=True):
        for concept in concepts:
            if concept in images:
                images[concept].append(id_)
    return images


def co_occurrence(table: ConceptTable, words: Sequence[str]) -> sparse.csr_array:
    """Return how many images show both of two words, int64 [L, L]; the diagonal has the counts.

    Only pairs that occur take memory, so at most L^2 cells and often far fewer.
    """
    shown = multi_hot(table, words).astype(np.int64)
    return sparse.csr_array(shown.T @ shown)


def frequent_pairs(table: ConceptTable, words: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    """Yield (concept, concept, images) for each pair that occurs, the most frequent first."""
    pairs = sparse.triu(co_occurrence(table, words), k=1, format="coo")
    for place in np.lexsort((pairs.col, pairs.row, -pairs.data)):
        yield words[pairs.row[place]], words[pairs.col[place]], int(pairs.data[place])


def count_concepts(table: ConceptTable, top: int | None = None) -> dict[str, int]:
    """Return how many images show each concept, most first, ties by name; at most `top`."""
    counts = Counter(concept for concepts in table.concepts for concept in concepts)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:top])


def vocabulary(table: ConceptTable, top: int | None = None) -> list[str]:
    """Return the concepts of the table in the order of `count_concepts`."""
    return list(count_concepts(table, top))


def check_known(table: ConceptTable, train: ConceptTable, name: str, train_name: str) -> None:
    """Warn of concepts that no training image shows, and refuse a table of such alone.

    Args:
        table: of the images that a detector is chosen or scored on.
        train: of the images that it learns from.
        name: of the table in messages.
        train_name: of the training table in messages.

    Raises:
        DataError: the table has concepts, and none of them is known.
    """
    known, counts = set(chain.from_iterable(train.concepts)), count_concepts(table)
    unknown = {concept: count for concept, count in counts.items() if concept not in known}
    if not unknown:
        return
    examples = some_of([*unknown], form=quoted)
    if len(unknown) == len(counts):
        raise DataError(
            f"{name}: none of its {len(counts):,} concepts ({examples}) is among those of "
            f"{train_name} ({some_of(sorted(known), form=quoted)}); are both files read in one way?"
        )
    warn(
        f"{name}: {len(unknown):,} of {len(counts):,} concepts, {sum(unknown.values()):,} of "
        f"{sum(counts.values()):,} labels, are of no image of {train_name} ({examples})"
    )


def multi_hot(table: ConceptTable, vocabulary: Sequence[str]) -> sparse.csr_array:
    """Return the table as a sparse 0/1 matrix float32 [N, L]; other concepts are left out."""
    columns = {concept: column for column, concept in enumerate(vocabulary)}
    known = [sorted(columns[c] for c in cs if c in columns) for cs in table.concepts]
    starts = np.concatenate([[0], np.cumsum([len(row) for row in known])]).astype(np.int32)
    indices = np.array([column for row in known for column in row], dtype=np.int32)
    shape = (len(table), len(vocabulary))
    return sparse.csr_array((np.ones(len(indices), np.float32), indices, starts), shape=shape)
