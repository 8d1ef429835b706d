"""Runs merged: set arithmetic on any runs, and refusal of what does not belong together."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replearn.concepts.table import ConceptTable
from replearn.errors import DataError, UsageError
from replearn.imageclef import merge_runs

IDS = ["a", "b", "c"]
cuis = st.lists(st.sampled_from(["C1", "C2", "C3", "C4"]), unique=True).map(tuple)


@st.composite
def runs_over(draw: st.DrawFn) -> dict[Path, ConceptTable]:
    """Draw up to 4 runs over the same images, each in an order of its own."""
    runs = {}
    for number in range(draw(st.integers(1, 4))):
        ids = draw(st.permutations(IDS))
        runs[Path(f"run{number}")] = ConceptTable(ids, [draw(cuis) for _ in ids])
    return runs


@given(runs_over())
def test_merging_is_set_arithmetic_whatever_the_order_of_the_ids(
    runs: dict[Path, ConceptTable],
) -> None:
    sets = {id_: [set(run.concepts[run.ids.index(id_)]) for run in runs.values()] for id_ in IDS}
    union, all_of = merge_runs(runs), merge_runs(runs, "intersection")
    majority = merge_runs(runs, "votes")
    assert union.ids == all_of.ids == majority.ids == next(iter(runs.values())).ids
    for row, id_ in enumerate(union.ids):
        assert set(union.concepts[row]) == set.union(*sets[id_])
        assert set(all_of.concepts[row]) == set.intersection(*sets[id_])
        counts = {word: sum(word in one for one in sets[id_]) for word in set.union(*sets[id_])}
        over_half = {word for word, count in counts.items() if count > len(runs) / 2}
        assert set(majority.concepts[row]) == over_half
        assert len(set(union.concepts[row])) == len(union.concepts[row])
    assert merge_runs(runs, "votes", 1) == union
    assert merge_runs(runs, "votes", len(runs)) == all_of


def tables(**runs: str) -> dict[Path, ConceptTable]:
    """Return runs given as `a:C1;C2 b:`."""
    made = {}
    for name, text in runs.items():
        rows = [row.split(":") for row in text.split()]
        concepts = [tuple(field.split(";")) if field else () for _, field in rows]
        made[Path(name)] = ConceptTable([id_ for id_, _ in rows], concepts)
    return made


def test_the_concepts_of_most_runs_come_first_and_case_makes_no_difference() -> None:
    merged = merge_runs(tables(x="a:C1;c2", y="a:C3;C2", z="a:C2;C3"))
    assert merged.concepts == [("c2", "C3", "C1")]


def test_groups_of_concepts_are_joined() -> None:
    groups = tables(first="a:C1 b:C2", second="b: a:C3;C4")
    assert merge_runs(groups, "groups") == ConceptTable(["a", "b"], [("C1", "C3", "C4"), ("C2",)])
    with pytest.raises(DataError, match="second: shares 1 concepts with first: 'C2'"):
        merge_runs(tables(first="a:C1 b:C2", second="a:c2 b:"), "groups")


@pytest.mark.parametrize(
    ("other", "words"),
    [("a:C1", "lacks 'b'"), ("a: b: c:", "has also 'c'"), ("a: x:", "1 missing, 1 more")],
)
def test_runs_over_other_images_are_refused(other: str, words: str) -> None:
    with pytest.raises(DataError, match=f"y: is not a run over the 2 images of x: .*{words}"):
        merge_runs(tables(x="a: b:", y=other))


def test_votes_are_a_number_of_runs_and_only_for_voting() -> None:
    runs = tables(x="a:", y="a:")
    for how, votes in (("votes", 0), ("votes", 3), ("union", 1)):
        with pytest.raises(UsageError, match=f"votes {votes}: give 1 to 2, .* and how: votes"):
            merge_runs(runs, how, votes)  # type: ignore[arg-type]
