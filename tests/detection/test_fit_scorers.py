"""What is chosen on validation images, and that no image speaks for itself or its group."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse

from replearn.concepts.table import ConceptTable
from replearn.concepts.vocabulary import multi_hot
from replearn.detection.fit_scorers import (
    FittedScorer,
    best_vote,
    fit_fused,
    fit_linear,
    fit_neighbours,
)
from replearn.detection.fusion import Fusion
from replearn.detection.logistic.regression import MultiLabelLogisticRegression
from replearn.detection.scorers import FusedScorer, LinearScorer, NeighbourScorer
from replearn.detection.task import DetectionTask, LabelledFeatures
from replearn.detection.voting import Vote
from replearn.errors import DataError
from replearn.neighbors.build_index import index_vectors
from replearn.neighbors.engine import Hits
from replearn.neighbors.index import Index


def labelled(part: str, count: int, seed: int) -> LabelledFeatures:
    """Return features with concepts: one of four where it is high, one of 30 rare ones."""
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(count, 6)).astype(np.float32)
    concepts = [
        (*(f"C{column}" for column in np.flatnonzero(row > 0.7)), f"rare{int(40 * last) % 30}")
        for row, last in zip(vectors[:, :4], vectors[:, 4], strict=True)
    ]
    return LabelledFeatures(vectors, ConceptTable([f"{part}-{n}" for n in range(count)], concepts))


def index_of(images: LabelledFeatures) -> Index:
    return index_vectors(images.concepts.ids, images.vectors, concepts=images.concepts)


ON = DetectionTask(labelled("train", 200, 0), labelled("valid", 90, 1), "match")


def test_the_vote_is_the_best_of_those_tried() -> None:
    fitted = fit_neighbours(ON, index_of(ON.train), ks=(1, 4, 15, 60, 500))
    scorer = fitted.scorer
    assert isinstance(scorer, NeighbourScorer)
    reached = ON.threshold(fitted.scores, fitted.vocabulary).f1
    for k in (1, 4, 15, 60, 200):
        other = replace(scorer, vote=Vote("similarity", k))
        scores = other.scores(ON.valid.vectors)
        assert ON.threshold(scores, fitted.vocabulary).f1 <= reached + 1e-9


def test_one_search_finds_all_neighbours_that_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    search = Index.search

    def counted(self: Index, vectors: NDArray[np.float32], k: int) -> Hits:
        asked.append(k)
        return search(self, vectors, k)

    monkeypatch.setattr(Index, "search", counted)
    fit_neighbours(ON, index_of(ON.train), ks=(1, 10, 50))
    assert asked == [50]


@given(st.lists(st.floats(0, 1), min_size=7, max_size=7), st.integers(0, 6))
def test_the_first_kind_is_tried_with_every_k(heights: list[float], peak: int) -> None:
    heights[peak] = 2.0
    ks = [1, 2, 3, 5, 8, 13, 21]
    value = dict(zip(ks, heights, strict=True))
    vote = best_vote(lambda vote: value[vote.k], [("similarity", 1.0), ("rank", 1.0)], ks, [1])
    assert (vote.kind, vote.k, vote.smoothing) == ("similarity", ks[peak], 0)


@given(st.integers(0, 6), st.integers(0, 6))
def test_other_kinds_climb_to_their_own_k(first: int, second: int) -> None:
    ks = [1, 2, 3, 5, 8, 13, 21]

    def score(vote: Vote) -> float:
        peak, height = {"rank": (second, 0.5)}.get(vote.kind, (first, 0.0))
        return height - abs(ks.index(vote.k) - peak) + vote.smoothing / 10

    vote = best_vote(score, [("similarity", 1.0), ("rank", 1.0)], ks, [0.5, 1.0])
    assert vote == Vote("rank", ks[second], 1.0, 1.0)


def test_an_image_does_not_vote_for_itself() -> None:
    on = DetectionTask(ON.train, ON.train, "match")
    scores = fit_neighbours(on, index_of(ON.train), vote="uniform", ks=(1,)).scores
    # Each image's nearest but for itself, which would give it all its concepts.
    _, rows = index_of(ON.train).search(ON.train.vectors, 2)
    shown = ON.train.concepts.concepts
    found = [set(shown[row]) for row in rows[:, 1]]
    words = fit_neighbours(on, index_of(ON.train), vote="uniform", ks=(1,)).vocabulary
    for image, concepts in enumerate(found):
        assert {words[column] for column in scores[[image]].nonzero()[1]} == concepts


def test_the_fewest_common_images_are_judged_by_the_others_or_refused() -> None:
    def first(count: int) -> LabelledFeatures:
        ids = ON.train.concepts.ids[:count]
        return LabelledFeatures(ON.train.vectors[:count], ON.train.concepts.select(ids))

    few = first(3)
    parts = DetectionTask(ON.train, few, "match").folds()
    assert sorted(row for _, judge in parts for row in judge.tolist()) == [0, 1, 2]
    assert all(len(judge) for _, judge in parts)
    (learn, judge), *more = DetectionTask(ON.train, first(1), "match").folds()
    assert not more
    assert 0 not in learn
    assert judge.tolist() == [0]
    one = fit_linear(DetectionTask(ON.train, first(1), "match"), top=10, Cs=(1.0,))
    whole = fit_linear(ON, top=10, Cs=(1.0,))
    assert isinstance(one.scorer, LinearScorer)
    assert isinstance(whole.scorer, LinearScorer)
    np.testing.assert_allclose(one.scorer.coefficients, whole.scorer.coefficients, atol=1e-3)
    patient = dict.fromkeys(ON.train.concepts.ids, "one patient")
    with pytest.raises(DataError, match="nothing is left to learn from"):
        DetectionTask(ON.train, few, "match", groups=patient).folds()


def test_nor_does_an_image_of_its_group() -> None:
    # Twins in training and validation, told apart by nothing but a little noise.
    valid = LabelledFeatures(ON.train.vectors + 1e-3, replace(ON.train.concepts))
    ids = [f"twin-of-{id_}" for id_ in ON.train.concepts.ids]
    valid = replace(valid, concepts=ConceptTable(ids, ON.train.concepts.concepts))
    groups = {id_: id_.removeprefix("twin-of-") for id_ in [*ids, *ON.train.concepts.ids]}
    reached = []
    for known in (None, groups):
        on = DetectionTask(ON.train, valid, "match", groups=known)
        linear = fit_linear(on, top=10, Cs=(1.0,))
        neighbours = fit_neighbours(on, index_of(ON.train))
        reached.append([on.threshold(f.scores, f.vocabulary).f1 for f in (neighbours, linear)])
    assert reached[0][0] == pytest.approx(1)
    assert reached[1][0] < 0.9
    assert reached[1][1] < reached[0][1]


def test_the_regression_is_judged_on_images_that_it_has_not_learned_from() -> None:
    overlapping = DetectionTask(ON.train, ON.train, "match")
    fitted = fit_linear(overlapping, top=30, Cs=(10.0,))
    seen = fitted.scorer.scores(ON.train.vectors)
    truth = multi_hot(ON.train.concepts, fitted.vocabulary).toarray()
    held_out = np.asarray(fitted.scores)

    def loss(p: NDArray[np.floating[Any]]) -> float:
        p = np.clip(p, 1e-6, 1 - 1e-6)
        return float(-(truth * np.log(p) + (1 - truth) * np.log(1 - p)).mean())

    assert loss(held_out) > 1.2 * loss(np.asarray(seen))
    apart = fit_linear(ON, top=30, Cs=(10.0,))
    again = np.asarray(apart.scorer.scores(ON.valid.vectors))
    np.testing.assert_allclose(np.asarray(apart.scores), again)


def test_c_rises_past_those_that_leave_no_weight() -> None:
    model = MultiLabelLogisticRegression(penalty="l1")
    empty = [fit_linear(ON, top=10, model=model, Cs=(C,)).scorer for C in (0.001, 0.01)]
    chosen = fit_linear(ON, top=10, model=model).scorer
    for scorer in (*empty, chosen):
        assert isinstance(scorer, LinearScorer)
        assert scorer.coefficients.any() == (scorer is chosen)


def fused(top: int) -> tuple[FittedScorer, FittedScorer, FittedScorer]:
    linear = fit_linear(ON, top=top)
    neighbours = fit_neighbours(ON, index_of(ON.train))
    return linear, neighbours, fit_fused(ON, linear, neighbours)


def test_fused_is_at_least_as_good_as_its_parts_where_each_knows_something() -> None:
    linear, neighbours, both = fused(10)
    test = labelled("test", 300, 2)
    on = replace(ON, valid=test)
    parts = (linear, neighbours, both)
    f1 = [on.threshold(part.scorer.scores(test.vectors), part.vocabulary).f1 for part in parts]
    assert f1[2] >= max(f1[:2]) - 0.005


@pytest.mark.parametrize("top", [4, 500])
def test_fused_scores_are_what_its_decision_was_chosen_on(top: int) -> None:
    both = fused(top)[2]
    assert isinstance(both.scorer, FusedScorer)
    again = both.scorer.scores(ON.valid.vectors)
    dense = [s if isinstance(s, np.ndarray) else s.toarray() for s in (again, both.scores)]
    np.testing.assert_allclose(dense[0], dense[1], rtol=1e-5)
    assert dense[0].shape == (90, len(both.vocabulary))


def test_concepts_that_the_regression_does_not_know_are_named_by_neighbours() -> None:
    linear, neighbours, both = fused(4)
    assert both.vocabulary[:4] == linear.vocabulary
    assert both.vocabulary == neighbours.vocabulary
    scores = both.scorer.scores(ON.valid.vectors)
    assert not isinstance(scores, np.ndarray)
    votes = sparse.csr_array(neighbours.scorer.scores(ON.valid.vectors))[:, 4:].toarray()
    np.testing.assert_array_equal(scores[:, 4:].toarray() > 0, votes > 0)


def test_a_regression_alone_has_its_own_scores() -> None:
    linear, _, both = fused(500)
    assert isinstance(both.scorer, FusedScorer)
    alone = replace(both.scorer, fusion=Fusion(1.0, 0.0, 0.0))
    np.testing.assert_allclose(
        np.asarray(alone.scores(ON.valid.vectors)), np.asarray(linear.scores), atol=2e-6
    )


def test_two_of_a_kind_are_not_fused() -> None:
    linear = fit_linear(ON, top=4, Cs=(1.0,))
    with pytest.raises(TypeError, match="linear and linear"):
        fit_fused(ON, linear, linear)
