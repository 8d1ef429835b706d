"""Score files joined by name: no score reaches another image or another concept."""

import json
import unicodedata
from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replearn.concepts.table import ConceptTable
from replearn.detection.detector import load_detector
from replearn.detection.ensembles.concept_scores import ConceptScores
from replearn.detection.ensembles.fit_ensemble import fit_ensemble
from replearn.detection.ensembles.joining import ids_of, join
from replearn.detection.ensembles.scorer import EnsembleScorer
from replearn.detection.prediction import join_scores
from replearn.detection.scorers import ConstantScorer
from replearn.errors import DataError, ReplearnWarning, UsageError

IDS = [*(f"image_{n}" for n in range(12)), "café", "x/1", "y/1", "1"]
WORDS = [f"C{n}" for n in range(9)]
PRIOR = {word: 0.9 + 0.01 * n for n, word in enumerate(WORDS)}


def told(member: int, id_: str, word: str) -> float:
    """Return a score that no other member has for any other image or concept."""
    return (IDS.index(id_) * len(WORDS) + WORDS.index(word) + member / 8) / 200


def scores_of(member: int, ids: list[str], words: list[str]) -> ConceptScores:
    values = [[told(member, id_, word) for word in words] for id_ in ids]
    shape = (len(ids), len(words))
    return ConceptScores(
        ids, np.array(values, np.float32).reshape(shape), words, f"detector:{member}"
    )


some_ids = st.lists(st.sampled_from(IDS), unique=True, min_size=1)
some_words = st.lists(st.sampled_from(WORDS), unique=True, min_size=1)
members = st.lists(st.tuples(some_ids, some_words), min_size=1, max_size=4).map(
    lambda parts: [scores_of(number, *part) for number, part in enumerate(parts)]
)


@given(members, some_ids, some_words)
def test_no_score_reaches_another_image_or_another_concept(
    given_members: list[ConceptScores], ids: list[str], words: list[str]
) -> None:
    prior = np.array([PRIOR[word] for word in words], np.float32)
    joined = join(given_members, ids, words, prior)
    for row, id_ in enumerate(ids):
        for number, member in enumerate(given_members):
            for column, word in enumerate(words):
                has = id_ in member.ids and word in member.vocabulary
                expected = told(number, id_, word) if has else PRIOR[word]
                assert joined.scores[row, number, column] == np.float32(expected)
    for number, member in enumerate(given_members):
        lacks = not (set(ids) <= set(member.ids) and set(words) <= set(member.vocabulary))
        assert bool(joined.lacking[number]) == lacks


@given(members.filter(lambda some: len(some) > 1), st.randoms(use_true_random=False))
def test_the_order_of_images_concepts_and_members_changes_nothing(
    given_members: list[ConceptScores], random: st.DataObject
) -> None:
    ids = ids_of(given_members)
    shown = [tuple(w for n, w in enumerate(WORDS) if (row + n) % 3 == 0) for row in range(len(ids))]
    table = ConceptTable(ids, shown)
    fitted = fit_ensemble(given_members, table, weights="mean", rule="threshold").detector
    turned = []
    for member in given_members:
        rows, columns = [*range(len(member.ids))], [*range(len(member.vocabulary))]
        random.shuffle(rows)  # type: ignore[attr-defined]
        random.shuffle(columns)  # type: ignore[attr-defined]
        ids_then = [member.ids[row] for row in rows]
        words = [member.vocabulary[column] for column in columns]
        values = member.scores[np.ix_(rows, columns)]
        turned.append(ConceptScores(ids_then, values, words, member.detector))
    again = fit_ensemble(turned, table, weights="mean", rule="threshold").detector
    first, second = (
        detector.concept_scores(join_scores(detector, some[::step]))
        for detector, some, step in ((fitted, given_members, 1), (again, turned, -1))
    )
    assert first.vocabulary == second.vocabulary
    rows = [second.ids.index(id_) for id_ in first.ids]
    assert np.allclose(first.scores, np.asarray(second.scores)[rows], atol=1e-6)


def test_accents_in_two_unicode_forms_are_one_image() -> None:
    split = unicodedata.normalize("NFD", "café")
    first, second = scores_of(0, ["café"], ["C1"]), scores_of(1, ["café"], ["C1"])
    second = ConceptScores([split], second.scores, ["C1"])
    assert ids_of([first, second]) == ["café"]
    assert not any(join([first, second], ["café"], ["C1"], np.array([0.5])).lacking)


def two(first: list[str], second: list[str]) -> list[ConceptScores]:
    return [scores_of(n, ids, ["C0", "C1"]) for n, ids in enumerate((first, second))]


def test_members_are_known_by_their_detectors_and_others_refused() -> None:
    pair = two(IDS[:6], IDS[:6])
    table = ConceptTable(IDS[:6], [("C0",), ("C1",)] * 3)
    detector = fit_ensemble(pair, table, names=["a.h5", "b.h5"]).detector
    join_again = partial(join_scores, detector)
    assert np.array_equal(join_again(pair).vectors, join_again(pair[::-1]).vectors)
    other = ConceptScores(IDS[:6], pair[0].scores, ["C0", "C1"], "detector:9")
    with pytest.raises(DataError, match=r"new\.h5: scores of detector:9, which is no member"):
        join_again([pair[0], other], ["a.h5", "new.h5"])
    with pytest.raises(DataError, match="give each member once"):
        join_again([pair[0], pair[0]], ["a.h5", "c.h5"])
    with pytest.raises(DataError, match=r"1 score files for an ensemble of 2: .* a\.h5, b\.h5"):
        join_again(pair[:1])


def test_what_a_member_lacks_is_named_and_gets_the_prior() -> None:
    pair = two(IDS[:8], IDS[:6])
    table = ConceptTable(IDS[:8], [("C0",), ("C0", "C1")] * 4)
    with pytest.warns(ReplearnWarning, match=r"b: lacks 2 of 8 images \('image_6', 'image_7'\)"):
        detector = fit_ensemble(pair, table, names=["a", "b"]).detector
    assert detector.vocabulary == ["C0", "C1"]
    assert isinstance(detector.scorer, EnsembleScorer)
    assert detector.scorer.prior == pytest.approx([8.5 / 9, 4.5 / 9])
    single = replace(detector, scorer=ConstantScorer([0], 2))
    with pytest.raises(UsageError, match="a single detector, which reads features"):
        join_scores(single, pair)


def test_an_ensemble_is_the_same_after_loading_and_refused_when_damaged(tmp_path: Path) -> None:
    pair = two(IDS[:8], IDS[2:8])
    table = ConceptTable(IDS[:8], [("C0",), ("C0", "C1")] * 4)
    detector = fit_ensemble(pair, table, weights="log-linear").detector
    detector.save(tmp_path / "both")
    loaded = load_detector(tmp_path / "both")
    assert loaded == detector
    again, first = (join_scores(one, pair) for one in (loaded, detector))
    assert np.array_equal(loaded.predict_proba(again), detector.predict_proba(first))
    path = tmp_path / "both/detector.json"
    facts = json.loads(path.read_text())
    del facts["combination"]
    path.write_text(json.dumps(facts))
    with pytest.raises(DataError, match=r"lacks .*'combination'.* classify again"):
        load_detector(tmp_path / "both")


def test_scores_that_belong_to_nothing_are_refused() -> None:
    pair = two(IDS[:4], IDS[:4])
    with pytest.raises(DataError, match="none of its 1 images has scores"):
        fit_ensemble(pair, ConceptTable(["other"], [("C0",)]))
    with pytest.raises(DataError, match="two members or more"):
        fit_ensemble(pair[:1], ConceptTable(IDS[:4], [("C0",)] * 4))
    with pytest.raises(DataError, match="no image counts"):
        fit_ensemble(pair, ConceptTable(IDS[:4], [()] * 4))
    with pytest.raises(UsageError, match="weights"):
        fit_ensemble(pair, ConceptTable(IDS[:4], [("C0",)] * 4), weights="best")


def test_score_files_hold_what_was_saved_and_files_of_others_are_read(tmp_path: Path) -> None:
    scores = scores_of(0, IDS, WORDS)
    scores.save(tmp_path / "a.h5")
    loaded = ConceptScores.load(tmp_path / "a.h5")
    assert (loaded.ids, loaded.vocabulary, loaded.detector) == (IDS, WORDS, "detector:0")
    assert np.array_equal(loaded.scores, scores.scores)
    assert loaded.scores.dtype == np.float32
    assert loaded.identity == scores.identity
    scores.save(tmp_path / "a.h5")  # the same again
    with pytest.raises(DataError, match="--overwrite"):
        scores_of(1, IDS, WORDS).save(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["scores"], file["ids"], file["vocabulary"] = [[0.5, 1]], ["x"], ["C1", "C2"]
    assert ConceptScores.load(tmp_path / "b.h5").vocabulary == ["C1", "C2"]


@pytest.mark.parametrize(
    ("scores", "ids", "words", "message"),
    [
        ([[0.5, 1.5]], ["x"], ["C1", "C2"], "the score 1.5 of 'x' for 'C2' is no probability"),
        ([[np.nan]], ["x"], ["C1"], "the score nan of 'x'"),
        ([[0.5, 0.5]], ["x"], ["C1", "C1"], "the concept 'C1' stands there twice"),
        ([[0.5], [0.5]], ["x", "x"], ["C1"], "'x' stands there twice"),
        ([[0.5]], ["x"], ["C1", "C2"], "for 1 ids and 2 concepts"),
        ([[0.5]], ["x"], None, "has no vocabulary; write probabilities"),
    ],
)
def test_a_score_file_that_is_wrong_is_refused(
    scores: list[list[float]],
    ids: list[str],
    words: list[str] | None,
    message: str,
    tmp_path: Path,
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["scores"], file["ids"] = scores, ids
        if words is not None:
            file["vocabulary"] = words
    with pytest.raises(DataError, match=message):
        ConceptScores.load(tmp_path / "a.h5")
