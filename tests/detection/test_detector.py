"""Every kind of detector: tuned as promised, the same after loading, refused when damaged."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from replearn.concepts.table import ConceptTable
from replearn.concepts.vocabulary import multi_hot, vocabulary
from replearn.detection.decisions.rules import (
    RULES,
    GlobalThreshold,
    RuleName,
    held_out_f1,
)
from replearn.detection.decisions.scores import ScoredImages
from replearn.detection.decisions.threshold import best_constant
from replearn.detection.detector import Detector, load_detector, save_detector
from replearn.detection.fit_detector import fit_rule, refit_linear
from replearn.detection.fit_scorers import (
    fit_constant,
    fit_fused,
    fit_linear,
    fit_neighbours,
)
from replearn.detection.logistic.regression import MultiLabelLogisticRegression
from replearn.detection.scorers import SCORERS, ConstantScorer, LinearScorer
from replearn.detection.task import DetectionTask, LabelledFeatures
from replearn.errors import DamagedError, DataError, UsageError
from replearn.features import Features
from replearn.metrics import EmptyRule, bootstrap_interval, f1_of_sets
from replearn.neighbors.build_index import index_vectors
from tests.damage import Harm, change, cut, without_file

WIDTH = 6
DETECTORS = ["constant", "linear", "knn-union", "knn-vote", "fused"]
LEARNING = DETECTORS[1:]
EMPTY_RULES: list[EmptyRule] = ["skip", "match"]


def labelled(part: str, count: int, seed: int, images: str = "") -> LabelledFeatures:
    """Return features with concepts: C0 to C4 where one is high, C9 at random, a few of none."""
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(count, WIDTH)).astype(np.float32)
    often = generator.random(count) < 0.7
    concepts = [
        tuple(f"C{column}" for column in np.flatnonzero(row[:5] > 0.9)) + ("C9",) * bool(extra)
        for row, extra in zip(vectors, often, strict=True)
    ]
    # One concept that the training images do not have.
    concepts[0] += (f"only-{part}",)
    return LabelledFeatures(vectors, ConceptTable([f"{part}-{n}" for n in range(count)], concepts))


def task(empty: EmptyRule = "match", limit: int | None = None) -> DetectionTask:
    return DetectionTask(labelled("train", 200, 0), labelled("valid", 90, 1), empty, limit)


QUERIES = labelled("test", 40, 2).vectors


def fit(name: str, on: DetectionTask, rule: RuleName | None = None) -> Detector:
    if name == "constant":
        fitted = fit_constant(on)
    elif name == "linear":
        fitted = fit_linear(on, top=6)
    else:
        table = on.train.concepts
        index = index_vectors(table.ids, on.train.vectors, metric="l2", concepts=table)
        fitted = fit_neighbours(on, index, vote="union" if name == "knn-union" else "auto")
        if name == "fused":
            fitted = fit_fused(on, fit_linear(on, top=4), fitted)
    identity = f"detector:{name}"
    return fit_rule(fitted, on, encoder="encoder:1", identity=identity, rule=rule)


def plain_f1(detector: Detector, on: DetectionTask) -> list[float]:
    """Return the F1 of each counting validation image, by sets of concepts."""
    named = detector.concepts(on.valid.vectors, limit=on.limit)
    pairs = zip(on.valid.concepts.concepts, named, strict=True)
    counts = on.empty == "match"
    return [f1_of_sets(set(true), set(found)) for true, found in pairs if true or counts]


@pytest.mark.parametrize("limit", [None, 2])
@pytest.mark.parametrize("empty", EMPTY_RULES)
@pytest.mark.parametrize("name", DETECTORS)
def test_the_validation_f1_is_that_of_its_rule_on_images_held_out(
    name: str, empty: EmptyRule, limit: int | None
) -> None:
    on = task(empty, limit)
    detector = fit(name, on)
    concepts = on.valid.concepts
    truth = multi_hot(concepts, detector.vocabulary)
    scores = detector.scorer.scores(on.valid.vectors)
    f1 = held_out_f1(detector.rule.name, ScoredImages(scores, truth, concepts.counts, empty, limit))
    assert detector.validation["f1"] == pytest.approx(np.nanmean(f1))
    assert detector.validation["interval"] == pytest.approx(bootstrap_interval(f1))
    assert detector.validation["images"] == np.sum(~np.isnan(f1)) == len(plain_f1(detector, on))


@pytest.mark.parametrize("name", DETECTORS)
def test_the_rule_is_the_best_of_those_compared(name: str) -> None:
    detector = fit(name, task())
    several = set(RULES) - {"per-group"}  # which takes more than one group
    compared = {outcome["rule"]: outcome["f1"] for outcome in detector.comparison}
    assert set(compared) == (several if name in LEARNING else {"threshold"})
    assert compared[detector.rule.name] == max(compared.values()) == detector.validation["f1"]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", LEARNING)
def test_a_rule_that_is_asked_for_is_taken(name: str, rule: RuleName, tmp_path: Path) -> None:
    detector = fit(name, task(), rule)
    assert [outcome["rule"] for outcome in detector.comparison] == [rule]
    save_detector(tmp_path, detector)
    loaded = load_detector(tmp_path)
    assert loaded.rule == detector.rule
    assert loaded.rule.name == rule
    assert loaded.concepts(QUERIES, limit=3) == detector.concepts(QUERIES, limit=3)


@pytest.mark.parametrize("name", LEARNING)
def test_a_detector_is_better_than_the_constant(name: str) -> None:
    on = task()
    baseline = fit("constant", on).validation["f1"]
    assert fit(name, on).validation["f1"] > baseline + 0.02


@pytest.mark.parametrize("name", DETECTORS)
def test_no_other_threshold_is_better_on_validation(name: str) -> None:
    on = task()
    detector = fit(name, on, "threshold")
    rule = detector.rule
    assert isinstance(rule, GlobalThreshold)
    best = np.mean(plain_f1(detector, on))
    for factor in (0.0, 0.5, 0.8, 0.95, 1.05, 1.2, 2.0):
        other = replace(detector, rule=replace(rule, value=factor * detector.threshold))
        assert np.mean(plain_f1(other, on)) <= best + 1e-9


@pytest.mark.parametrize("name", DETECTORS)
def test_a_limit_bounds_the_concepts_of_every_image(name: str) -> None:
    detector = fit(name, task())
    free = detector.concepts(QUERIES)
    bound = detector.concepts(QUERIES, limit=1)
    assert max(map(len, free)) > 1 or name == "constant"
    for some, every in zip(bound, free, strict=True):
        assert len(some) == min(1, len(every))
        assert set(some) <= set(every)


@pytest.mark.parametrize("name", DETECTORS)
def test_a_loaded_detector_names_the_same_concepts(name: str, tmp_path: Path) -> None:
    saved = fit(name, task())
    save_detector(tmp_path, saved)
    loaded = load_detector(tmp_path)
    assert loaded.concepts(QUERIES) == saved.concepts(QUERIES)


@pytest.mark.parametrize("name", DETECTORS)
def test_a_loaded_detector_knows_all_that_the_saved_one_knew(name: str, tmp_path: Path) -> None:
    saved = fit(name, task())
    save_detector(tmp_path, saved)
    loaded = load_detector(tmp_path)
    assert loaded.scorer.kind == saved.scorer.kind == name.split("-")[0]
    facts = {*vars(saved)} - {"scorer"}
    for fact in facts:
        assert getattr(loaded, fact) == getattr(saved, fact), fact


@pytest.mark.parametrize("name", DETECTORS)
def test_an_image_is_described_alone_as_among_others(name: str) -> None:
    detector = fit(name, task())
    together = detector.concepts(QUERIES)
    alone = [detector.concepts(row[None])[0] for row in QUERIES]
    assert alone == together


@pytest.mark.parametrize("name", DETECTORS)
def test_no_image_has_no_description(name: str) -> None:
    assert fit(name, task()).concepts(QUERIES[:0]) == []


@pytest.mark.parametrize("empty", EMPTY_RULES)
def test_the_constant_detector_names_the_best_constant_everywhere(empty: EmptyRule) -> None:
    on = task(empty)
    detector = fit("constant", on)
    words = vocabulary(on.train.concepts)
    truth = multi_hot(on.train.concepts, words)
    columns, _ = best_constant(truth, on.train.concepts.counts, empty=empty)
    expected = sorted(words[column] for column in columns)
    assert [sorted(named) for named in detector.concepts(QUERIES)] == [expected] * len(QUERIES)


def test_the_constant_scores_of_many_images_take_no_room_for_what_is_zero() -> None:
    vectors = np.broadcast_to(np.float32(0), (1_000_000, WIDTH))
    scores = ConstantScorer([70_000, 5], 100_000).scores(vectors)  # dense, 373 GiB
    assert scores.nnz == 2 * len(vectors)
    assert scores[[999_999]].indices.tolist() == [5, 70_000]
    assert scores.has_canonical_format
    assert ConstantScorer([], 3).scores(vectors[:2]).toarray().tolist() == [[0] * 3] * 2


def test_the_constant_detector_names_nothing_where_that_is_better_on_validation() -> None:
    on = task()
    nothing = ConceptTable(on.valid.concepts.ids, [()] * len(on.valid.concepts))
    detector = fit(
        "constant", DetectionTask(on.train, LabelledFeatures(on.valid.vectors, nothing), "match")
    )
    assert detector.validation["f1"] == 1
    assert detector.concepts(QUERIES) == [[]] * len(QUERIES)


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_knows_the_constant_for_images_without_features(name: str) -> None:
    on = task()
    constant = fit("constant", on)
    assert fit(name, on).constant == constant.constant == ["C9"]


def test_a_linear_detector_gives_the_probabilities_of_the_logistic_regression() -> None:
    on = task()
    fitted = fit_linear(on, top=4)
    scorer, words = fitted.scorer, fitted.vocabulary
    assert isinstance(scorer, LinearScorer)
    assert words == vocabulary(on.train.concepts)[:4]
    model = MultiLabelLogisticRegression(C=scorer.C)
    model.fit(on.train.vectors, multi_hot(on.train.concepts, words))
    np.testing.assert_allclose(
        np.asarray(scorer.scores(QUERIES)), model.predict_proba(QUERIES), atol=1e-3
    )


@pytest.mark.parametrize("Cs", [(0.001,), (1e-6, 1.0), (1.0, 1e-6)])
def test_the_penalty_is_the_best_on_validation(Cs: tuple[float, ...]) -> None:
    scorer = fit_linear(task(), top=6, Cs=Cs).scorer
    assert isinstance(scorer, LinearScorer)
    assert max(Cs) == scorer.C


def test_a_refitted_detector_learnt_from_all_images_with_the_settings_that_were_chosen() -> None:
    on, before = task(), fit("linear", task())
    assert isinstance(before.scorer, LinearScorer)
    after = refit_linear(before, on)
    model = MultiLabelLogisticRegression(C=before.scorer.C)
    parts = (on.train, on.valid)
    labels = np.vstack([multi_hot(part.concepts, before.vocabulary).toarray() for part in parts])
    model.fit(np.vstack([part.vectors for part in parts]), labels)
    np.testing.assert_allclose(
        np.asarray(after.scorer.scores(QUERIES)), model.predict_proba(QUERIES), atol=1e-5
    )
    assert replace(after, scorer=before.scorer) == before


def test_the_penalty_on_sizes_leaves_weights_that_are_zero() -> None:
    model = MultiLabelLogisticRegression(penalty="l1")
    scorer = fit_linear(task(), top=6, model=model, Cs=(0.1,)).scorer
    assert isinstance(scorer, LinearScorer)
    assert 0.1 < (scorer.coefficients == 0).mean() < 1


@pytest.mark.parametrize("name", LEARNING)
@pytest.mark.parametrize("width", [WIDTH - 1, WIDTH + 1])
def test_features_of_another_width_are_refused(width: int, name: str) -> None:
    detector = fit(name, task())
    with pytest.raises(DataError, match=f"width {width} .*{WIDTH}; use features of the same"):
        detector.concepts(np.zeros((2, width), np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", DETECTORS)
def test_features_that_are_not_finite_are_refused_by_their_row(
    name: str, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replearn.detection.detector._BATCH", 16)
    detector, queries = fit(name, task()), QUERIES.copy()
    queries[37, 2] = value
    for ask in (detector.concepts, detector.predict, detector.predict_proba):
        with pytest.raises(DataError, match="row 37 of the features holds NaN or infinity"):
            ask(queries)


@pytest.mark.parametrize("name", DETECTORS)
def test_one_vector_alone_is_refused_by_its_shape(name: str) -> None:
    with pytest.raises(DataError, match=r"features \[6\] where \[N, D\] is expected"):
        fit(name, task()).predict(QUERIES[0])


@pytest.mark.parametrize("limit", [-1, 1.5])
def test_a_limit_that_is_no_number_of_concepts_is_refused(limit: Any) -> None:
    with pytest.raises(DataError, match=f"limit {limit}: give a whole number"):
        fit("linear", task()).concepts(QUERIES, limit=limit)


changed = partial(change, "detector.json")

HARM: dict[str, tuple[str, Harm, str]] = {
    "no detector.json": ("constant", without_file("detector.json"), "not a detector folder"),
    "empty detector.json": ("linear", cut("detector.json", 0), "not readable as JSON"),
    "cut detector.json": ("knn-vote", cut("detector.json", -9), "not readable as JSON"),
    "no threshold": ("constant", changed(threshold=...), "lacks .*'threshold'"),
    "no vocabulary": ("knn-vote", changed(vocabulary=...), "lacks .*'vocabulary'"),
    "no width": ("constant", changed(width=...), "lacks .*'width'"),
    "unknown rule": ("linear", changed(rule={"name": "oracle"}), "does not know 'oracle'"),
    "rule without its number": ("linear", changed(rule={"name": "top-k"}), "lacks .*'k'"),
    "unknown kind": ("linear", changed(kind="forest"), "does not know 'forest'"),
    "no weights": ("linear", without_file("detector.safetensors"), "missing or damaged"),
    "no whole weights": ("linear", cut("detector.safetensors", -1), "missing or damaged"),
    "cut in the header": ("linear", cut("detector.safetensors", 20), "missing or damaged"),
    "other vocabulary": ("linear", changed(vocabulary=["C1"]), "another vocabulary"),
    "no index": ("knn-union", without_file("index/index.json"), "not an index folder"),
    "cut index": ("knn-vote", cut("index/index.faiss", -1), "missing or damaged"),
    "no concepts": ("knn-union", without_file("index/concepts.tsv"), "missing, damaged"),
    "fewer concepts": ("knn-vote", cut("index/concepts.tsv", 200), "of another index"),
    "fused without weights": ("fused", without_file("detector.safetensors"), "missing or damaged"),
    "fused without index": ("fused", without_file("index/index.faiss"), "missing or damaged"),
    "no fusion": ("fused", changed(fusion=...), "lacks .*'fusion'"),
    "unknown vote": ("knn-vote", changed(vote={"kind": "rank", "size": 3}), "size"),
}


@pytest.mark.parametrize("harm", HARM)
def test_a_damaged_detector_is_refused_in_one_line(harm: str, tmp_path: Path) -> None:
    name, damage, message = HARM[harm]
    save_detector(tmp_path, fit(name, task()))
    load_detector(tmp_path)
    damage(tmp_path)
    with pytest.raises(DataError, match=message) as refusal:
        load_detector(tmp_path)
    assert "\n" not in str(refusal.value)
    assert str(tmp_path) in str(refusal.value)
    if isinstance(refusal.value, DamagedError):
        assert str(refusal.value).endswith(f"; remove {tmp_path} and classify again")


def test_every_kind_of_scorer_is_tested_here() -> None:
    here = {name.split("-")[0] for name in DETECTORS}
    # An ensemble reads scores, zero-shot texts: tests/detection/ensembles, test_zero_shot.py.
    assert set(SCORERS) == {"ensemble", "zero-shot"} | here


@pytest.mark.parametrize("name", DETECTORS)
def test_predictions_are_the_named_concepts_as_a_matrix(name: str) -> None:
    detector = fit(name, task())
    predicted = detector.predict(QUERIES)
    assert predicted.dtype == np.int8
    assert predicted.shape == (len(QUERIES), len(detector.vocabulary))
    for row, concepts in zip(predicted, detector.concepts(QUERIES), strict=True):
        assert detector.classes_[row == 1].tolist() == concepts
    assert detector.predict(QUERIES[:0]).shape == (0, len(detector.vocabulary))


@pytest.mark.parametrize("name", DETECTORS)
def test_probabilities_are_the_scores_that_the_rule_decides_by(name: str) -> None:
    detector = fit(name, task())
    scores = detector.predict_proba(QUERIES)
    assert scores.dtype == np.float32
    assert scores.min() >= 0
    assert scores.max() <= 1
    plain = detector.scorer.scores(QUERIES)
    dense = plain.toarray() if isinstance(plain, sparse.csr_array) else plain
    np.testing.assert_allclose(scores, np.minimum(dense, 1), rtol=1e-6)
    decided = detector.rule.decide(plain).toarray()
    np.testing.assert_array_equal(decided, detector.predict(QUERIES))
    assert scores[decided == 1].mean() > scores[decided == 0].mean()
    assert detector.predict_proba(QUERIES[:0]).shape == (0, len(detector.vocabulary))


def test_features_with_ids_are_decided_about_as_their_vectors() -> None:
    detector = fit("linear", task())
    ids = [str(number) for number in range(len(QUERIES))]
    features = Features(ids, QUERIES, "features:1", encoder="encoder:1")
    assert detector.concepts(features) == detector.concepts(QUERIES)
    with pytest.raises(DataError, match=r"encoder of the features: expected encoder:1, found e:2"):
        detector.concepts(replace(features, encoder="e:2"))


def test_a_detector_is_not_fitted_again_but_stands_frozen_in_a_pipeline() -> None:
    detector = fit("linear", task())
    with pytest.raises(UsageError, match=r"sklearn\.frozen\.FrozenEstimator"):
        detector.fit(QUERIES)
    chain = make_pipeline(FunctionTransformer(), FrozenEstimator(detector))
    chain.fit(QUERIES, detector.predict(QUERIES))
    np.testing.assert_array_equal(chain.predict_proba(QUERIES), detector.predict_proba(QUERIES))


def test_a_detector_is_saved_once_and_another_one_does_not_replace_it(tmp_path: Path) -> None:
    detector = fit("linear", task())
    for _ in range(2):  # the second time there is nothing to do
        detector.save(tmp_path / "detector")
    assert load_detector(str(tmp_path / "detector")).concepts(QUERIES) == detector.concepts(QUERIES)
    with pytest.raises(DataError, match="choose another place"):
        fit("knn", task()).save(tmp_path / "detector")
    fit("knn", task()).save(tmp_path / "detector", overwrite=True)
    assert load_detector(tmp_path / "detector").scorer.kind == "knn"
