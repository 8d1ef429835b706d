"""What a concept table holds, seen from its concepts: counts, images, companions."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from scipy import sparse

from replearn.concepts.table import ConceptTable, multi_hot


def pool(tables: Iterable[ConceptTable]) -> ConceptTable:
    """Return the images of all tables; one that several have shows what any of them says."""
    pooled: dict[str, tuple[str, ...]] = {}
    for table in tables:
        for id_, concepts in zip(table.ids, table.concepts, strict=True):
            pooled[id_] = tuple(dict.fromkeys(pooled.get(id_, ()) + concepts))
    return ConceptTable(list(pooled), list(pooled.values()))


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
