"""Several runs over the same images made one: what any, all, or enough of them name."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from replearn.concepts.table import ConceptTable
from replearn.errors import DataError, UsageError
from replearn.ids import IdMap, rows_of
from replearn.imageclef.faults import quoted_names

How = Literal["union", "intersection", "votes", "groups"]


def merge_runs(
    runs: Mapping[Path, ConceptTable], how: How = "union", votes: int | None = None
) -> ConceptTable:
    """Return one run over the images of the first, in its order.

    Concepts that differ in case alone are one, as evaluators see them.  In each image the
    concepts of most runs come first.

    Args:
        runs: what is merged, by the file it comes from; the ids of all, in any order, are the same.
        how: `union` and `intersection` of the sets of each image; `votes`: what at least `votes`
            runs name; `groups`: the union of runs that share no concept, each of which was made
            for a group of the vocabulary.
        votes: for `votes`; by default more than half of the runs.

    Raises:
        UsageError: the number of votes is out of range, or given where nothing is voted on.
        DataError: the runs are of different images, or two groups share a concept.
    """
    if votes is not None and (how != "votes" or not 1 <= votes <= len(runs)):
        raise UsageError(
            f"votes {votes}: give 1 to {len(runs)}, the number of runs, and how: votes"
        )
    _refuse_other_images(runs)
    if how == "groups":
        _refuse_shared_concepts(runs)
    majority = len(runs) // 2 + 1
    needed = {"intersection": len(runs), "votes": votes or majority}.get(how, 1)
    by_id = [IdMap(zip(run.ids, run.concepts, strict=True)) for run in runs.values()]
    ids = next(iter(runs.values())).ids
    return ConceptTable(ids, [_named([run[id_] for run in by_id], needed) for id_ in ids])


def _named(sets: Sequence[tuple[str, ...]], needed: int) -> tuple[str, ...]:
    spelled = {concept.upper(): concept for named in reversed(sets) for concept in reversed(named)}
    votes = Counter(word for named in sets for word in dict.fromkeys(map(str.upper, named)))
    return tuple(spelled[word] for word, count in votes.most_common() if count >= needed)


def _refuse_other_images(runs: Mapping[Path, ConceptTable]) -> None:
    (first, expected), *others = ((path, rows_of(run.ids)) for path, run in runs.items())
    for path, found in others:
        lacking = [id_ for id_ in expected if id_ not in found]
        more = [id_ for id_ in found if id_ not in expected]
        if lacking or more:
            text = f"lacks {quoted_names(lacking)}" if lacking else f"has also {quoted_names(more)}"
            raise DataError(
                f"{path}: is not a run over the {len(expected)} images of {first}: {text} "
                f"({len(lacking)} missing, {len(more)} more); merge runs over the same images"
            )


def _refuse_shared_concepts(runs: Mapping[Path, ConceptTable]) -> None:
    owner: dict[str, Path] = {}
    for path, run in runs.items():
        found = {concept.upper() for concepts in run.concepts for concept in concepts}
        if shared := sorted(found & owner.keys()):
            raise DataError(
                f"{path}: shares {len(shared)} concepts with {owner[shared[0]]}: "
                f"{quoted_names(shared)}; groups must not overlap, or take the union"
            )
        owner |= dict.fromkeys(found, path)
