"""Score files side by side: images and concepts are found by their names, never by their place.

What a member lacks, an image or a concept, is filled with the prior of each concept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Floats
from replearn.console import warn
from replearn.detection.ensembles.concept_scores import ConceptScores
from replearn.errors import quoted, some_of
from replearn.ids import normal, rows_of


@dataclass(frozen=True)
class Joined:
    """The scores of all members for the same images and concepts.

    Attributes:
        scores: float32 [N, M, L].
        lacking: what each member lacks, as words for a message; empty where it has everything.
    """

    scores: NDArray[np.float32]
    lacking: list[str]


def ids_of(members: Sequence[ConceptScores]) -> list[str]:
    """Return the ids of all members, each once and as the first that has it writes it."""
    first: dict[str, str] = {}
    for member in members:
        for id_ in member.ids:
            first.setdefault(normal(id_), id_)
    return list(first.values())


def join(
    members: Sequence[ConceptScores],
    ids: Sequence[str],
    vocabulary: Sequence[str],
    prior: Floats,
) -> Joined:
    """Return the scores of each member for these images and concepts.

    Args:
        members: the score files [M].
        ids: of the images [N], compared in Unicode normal form C.
        vocabulary: the concepts [L].
        prior: the probability of each concept where a member does not say [L].
    """
    shape = (len(ids), len(members), len(vocabulary))
    scores = np.empty(shape, np.float32)
    scores[:] = prior
    lacking = []
    for number, member in enumerate(members):
        rows, columns = rows_of(member.ids), {c: n for n, c in enumerate(member.vocabulary)}
        images = [n for n, id_ in enumerate(ids) if id_ in rows]
        concepts = [n for n, concept in enumerate(vocabulary) if concept in columns]
        from_rows = [rows[ids[n]] for n in images]
        from_columns = [columns[vocabulary[n]] for n in concepts]
        found = np.asarray(member.scores)[np.ix_(from_rows, from_columns)]
        scores[np.ix_(images, [number], concepts)] = found[:, None, :]
        lacking.append(_lacking(ids, images, "images") + _lacking(vocabulary, concepts, "concepts"))
    return Joined(scores, [" and ".join(words) for words in lacking])


def _lacking(names: Sequence[str], found: Sequence[int], what: str) -> list[str]:
    there = set(found)
    missing = [name for number, name in enumerate(names) if number not in there]
    examples = some_of(missing, form=quoted)
    return [f"{len(missing):,} of {len(names):,} {what} ({examples})"] if missing else []


def warn_of_lacking(joined: Joined, names: Sequence[str]) -> None:
    """Warn of what each member lacks; the names [M] are those of the members in messages."""
    for name, words in zip(names, joined.lacking, strict=True):
        if words:
            warn(f"{name}: lacks {words}; their prior stands for them")
