"""Fitting a detector from Python: pairs joined by id, one settings object, a folder made once."""

import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from replearn.concepts.table import ConceptTable
from replearn.detection.detector import Detector, load_detector
from replearn.detection.fit_detector import fit_detector, make_detector
from replearn.detection.scorers import LinearScorer, NeighbourScorer
from replearn.detection.settings import DetectorSettings, Method, Resources, Scoring
from replearn.detection.task import DetectionTask, LabelledFeatures, load_task
from replearn.errors import DataError, ReplearnWarning, UsageError
from replearn.features import Features
from replearn.neighbors.build_index import build_index

Pair = tuple[Features, ConceptTable]


def pair(part: str, count: int, seed: int) -> Pair:
    """Return features with concepts: C0 to C2 where one is high."""
    vectors = np.random.default_rng(seed).normal(size=(count, 5)).astype(np.float32)
    concepts = [tuple(f"C{column}" for column in np.flatnonzero(row[:3] > 0.4)) for row in vectors]
    ids = [f"{part}-{number}" for number in range(count)]
    return Features(ids, vectors, f"features:{part}", encoder="encoder:1"), ConceptTable(
        ids, concepts
    )


TRAIN, VALID = pair("train", 80, 0), pair("valid", 40, 1)
EVERY_ID = [*TRAIN[0].ids, *VALID[0].ids]
QUERIES = pair("test", 20, 2)[0].vectors
# From names alone a detector has texts: `test_zero_shot.py`.
LEARNED = [method for method in get_args(Method) if method != "zero-shot"]
QUICK = DetectorSettings(rule="threshold", neighbours=5, vote="uniform")


def named(detector: Detector) -> list[list[str]]:
    return detector.concepts(QUERIES)


@pytest.mark.parametrize("method", LEARNED)
def test_features_and_concepts_are_joined_by_id(method: Method) -> None:
    (features, table), (others, _) = TRAIN, VALID
    order = np.random.default_rng(3).permutation(len(features) + len(others))
    ids = [*features.ids, *others.ids]
    both = replace(
        features,
        ids=[ids[row] for row in order],
        vectors=np.concatenate([features.vectors, others.vectors])[order],
    )
    apart = fit_detector(TRAIN, VALID, QUICK, method=method)
    together = fit_detector((both, table), (both, VALID[1]), QUICK, method=method)
    assert apart.scorer.kind == method
    assert named(together) == named(apart)
    assert together.validation == apart.validation


def test_concepts_without_features_are_left_out_with_a_warning() -> None:
    features, table = TRAIN
    more = ConceptTable(["unread", *table.ids], [("C0",), *table.concepts])
    told = "the training concepts: 1 of 81 images have no features"
    with pytest.warns(ReplearnWarning, match=told):
        detector = fit_detector((features, more), VALID, QUICK)
    assert named(detector) == named(fit_detector(TRAIN, VALID, QUICK))


def test_concepts_of_other_images_are_refused() -> None:
    with pytest.raises(DataError, match="none of its 40 ids has features in the training features"):
        fit_detector((TRAIN[0], VALID[1]), VALID)
    with pytest.raises(DataError, match="the validation concepts: has no images"):
        fit_detector(TRAIN, (VALID[0], ConceptTable([], [])))


def test_features_of_another_encoder_or_width_are_refused() -> None:
    features, table = VALID
    with pytest.raises(DataError, match="the encoder of the validation features and of the train"):
        fit_detector(TRAIN, (replace(features, encoder="encoder:2"), table))
    with pytest.raises(DataError, match="features of width 4, those of the training features"):
        fit_detector(TRAIN, (replace(features, vectors=features.vectors[:, :4]), table))


@pytest.mark.parametrize("method", LEARNED)
def test_features_that_are_not_finite_are_refused_before_anything_is_fitted(method: Method) -> None:
    features, table = VALID
    vectors = features.vectors.copy()
    vectors[3] = np.nan
    with pytest.raises(DataError, match="row 3 of the validation features holds NaN"):
        fit_detector(TRAIN, (replace(features, vectors=vectors), table), QUICK, method=method)


def test_groups_of_other_images_are_refused_and_images_without_one_are_told() -> None:
    with pytest.raises(DataError, match="groups: has a group for none of the 120 images, such as"):
        fit_detector(TRAIN, VALID, QUICK, groups={"train_0": "patient"})
    with pytest.warns(ReplearnWarning, match="groups: 119 of 120 images have no group and are one"):
        fit_detector(TRAIN, VALID, QUICK, groups={"train-0": "patient"})


def test_groups_are_found_by_any_name_of_their_images() -> None:
    named = {id_: f"patient {n // 2}" for n, id_ in enumerate(EVERY_ID)}
    other = {f"images/{id_}.png": patient for id_, patient in named.items()}
    by_id, by_path = (fit_detector(TRAIN, VALID, QUICK, groups=of) for of in (named, other))
    assert by_path.identity == by_id.identity


def test_settings_are_an_object_or_keywords_which_replace_its_own() -> None:
    settings = DetectorSettings(method="knn", neighbours=3, vote="rank", metric="l2")
    scorer = fit_detector(TRAIN, VALID, settings, vote="uniform").scorer
    assert isinstance(scorer, NeighbourScorer)
    assert (scorer.vote.kind, scorer.vote.k, scorer.index.metric) == ("uniform", 3, "l2")
    alone = fit_detector(TRAIN, VALID, method="knn", neighbours=3, vote="uniform", metric="l2")
    assert named(alone) == named(fit_detector(TRAIN, VALID, settings, vote="uniform"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"neighbors": 3}, "neighbors: no such setting; known: method, concepts, penalty"),
        ({"method": "forest"}, "method: 'forest' does not fit"),
        ({"concepts": 0}, "concepts: 0 does not fit"),
        ({"method": "knn", "refit": True}, "refit: only for method linear, not knn"),
    ],
)
def test_a_setting_that_is_not_known_or_does_not_fit_is_refused(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        fit_detector(TRAIN, VALID, **options)


def test_a_number_of_concepts_that_is_set_is_no_default() -> None:
    assert DetectorSettings().with_default_concepts(7).concepts == 7
    assert DetectorSettings(concepts=500).with_default_concepts(7).concepts == 500


def test_a_refitted_detector_has_the_settings_of_the_one_before() -> None:
    before, after = (fit_detector(TRAIN, VALID, QUICK, refit=refit) for refit in (False, True))
    assert isinstance(before.scorer, LinearScorer)
    assert isinstance(after.scorer, LinearScorer)
    assert before.scorer.C == after.scorer.C
    assert (before.scorer.coefficients != after.scorer.coefficients).any()


def test_an_index_of_the_training_features_is_searched_and_no_other() -> None:
    features, _ = TRAIN
    index = build_index(features, metric="l2")
    scorer = fit_detector(TRAIN, VALID, QUICK, method="knn", index=index).scorer
    assert isinstance(scorer, NeighbourScorer)
    assert scorer.index.engine is index.engine
    other = build_index(replace(features, identity="features:other"))
    with pytest.raises(DataError, match="index: made of features:other, not of features:train"):
        fit_detector(TRAIN, VALID, method="knn", index=other)


def test_what_determines_a_detector_is_in_its_identity() -> None:
    settings = QUICK.model_copy(update={"method": "knn"})
    one = fit_detector(TRAIN, VALID, settings)
    assert (
        fit_detector(TRAIN, VALID, settings, resources=Resources(jobs=1)).identity == one.identity
    )
    assert fit_detector(TRAIN, VALID, settings, concepts=9).identity == one.identity, "of linear"
    indexes = [
        build_index(TRAIN[0]),
        build_index(TRAIN[0], factory="HNSW8"),
        build_index(TRAIN[0], factory="IVF2,Flat"),
        build_index(TRAIN[0], factory="IVF2,Flat", recall=1.0),
    ]
    others = [
        fit_detector(TRAIN, VALID, settings, neighbours=4),
        fit_detector(TRAIN, VALID, settings, rule="top-k"),
        fit_detector(TRAIN, VALID, settings, scoring=Scoring("match")),
        fit_detector(TRAIN, VALID, settings, scoring=Scoring(limit=3)),
        fit_detector(TRAIN, VALID, settings, groups={id_: id_ for id_ in EVERY_ID}),
        fit_detector(VALID, TRAIN, settings),
        *(fit_detector(TRAIN, VALID, settings, index=index) for index in indexes),
    ]
    assert len({one.identity, *(other.identity for other in others)}) == 1 + len(others)


@pytest.mark.parametrize(
    ("scoring", "message"),
    [({"empty": "Skip"}, "empty 'Skip': give one of skip, match"), ({"limit": -1}, "limit -1: ")],
)
def test_a_scoring_that_means_nothing_is_refused(scoring: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Scoring(**scoring)


def test_a_cluster_and_a_device_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="with --cluster its processors compute"):
        Resources(cluster="ray", device="cuda")


@pytest.fixture
def task() -> DetectionTask:
    train, valid = (LabelledFeatures.join(*part, "features", "table") for part in (TRAIN, VALID))
    return DetectionTask(train, valid, "skip")


def test_a_detector_is_made_once_and_replaced_only_if_asked(
    task: DetectionTask, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    made = make_detector(tmp_path / "detector", task, QUICK)
    assert made is not None
    assert named(load_detector(tmp_path / "detector")) == named(made)
    assert make_detector(tmp_path / "detector", task, QUICK) is None
    other = QUICK.model_copy(update={"rule": "top-k"})
    with pytest.raises(DataError, match="choose another place or give --overwrite"):
        make_detector(tmp_path / "detector", task, other)
    again = make_detector(tmp_path / "detector", task, other, overwrite=True)
    assert again is not None
    assert load_detector(tmp_path / "detector").rule.name == "top-k"
    assert "already made from the same inputs" in caplog.text


def test_a_detector_in_memory_is_that_of_the_folder(task: DetectionTask, tmp_path: Path) -> None:
    make_detector(tmp_path / "detector", task, QUICK)
    stored, fitted = load_detector(tmp_path / "detector"), fit_detector(TRAIN, VALID, QUICK)
    assert stored.identity == fitted.identity
    assert named(stored) == named(fitted)


def test_a_task_is_read_from_files_with_their_names_in_its_warnings(
    tmp_path: Path,
) -> None:
    for name, (features, table) in (("train", TRAIN), ("valid", VALID)):
        features.save(tmp_path / f"{name}.h5")
        lines = zip(table.ids[1:], table.concepts[1:], strict=True)
        text = "".join(f"{id_}\t{';'.join(concepts)}\n" for id_, concepts in lines)
        (tmp_path / f"{name}.tsv").write_text(text)
    train, valid = ((tmp_path / f"{n}.h5", tmp_path / f"{n}.tsv") for n in ("train", "valid"))
    told = f"{train[0]}: 1 of 80 images have no line in {train[1]}"
    with pytest.warns(ReplearnWarning, match=re.escape(told)):
        task = load_task(train, valid, Scoring("match", 9))
    assert (len(task.train.concepts), len(task.valid.concepts)) == (79, 39)
    assert (task.empty, task.limit, task.groups) == ("match", 9, None)
    assert task.train.identity == TRAIN[0].identity


def test_a_setting_that_is_null_has_its_default() -> None:
    given = {"method": "knn", "concepts": None, "vote": None, "neighbours": None}
    assert DetectorSettings.model_validate(given) == DetectorSettings(method="knn")
