"""Stratified parts: whole groups, each concept as frequent in each part as in all."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.multioutput import MultiOutputClassifier

import replearn
from pipelines.__main__ import main
from replearn.concepts.splitting.folds import MultiLabelStratifiedGroupKFold
from replearn.concepts.splitting.split import split
from replearn.concepts.splitting.stratification import deviations, stratify
from replearn.concepts.table import ConceptTable, read_ids
from replearn.errors import DataError, UsageError
from tests.concepts.test_split import grouped

SHARES = np.array([0.8, 0.1, 0.1])


def long_tail(count: int, seed: int = 0) -> sparse.csr_array:
    """Return labels 0/1 [count, 60] of which few are frequent, as in the benchmark."""
    shares = 0.5 / np.arange(1, 61)
    drawn = np.random.default_rng(seed).random((count, 60)) < shares
    return sparse.csr_array(sparse.coo_array(drawn.astype(np.float32)))


def in_groups(count: int, seed: int = 0) -> NDArray[np.intp]:
    sizes = np.random.default_rng(seed).integers(1, 9, count)
    return np.repeat(np.arange(count), sizes)[:count]


@given(grouped(), st.sampled_from([0.1, 0.2, 0.3]), st.sampled_from([0, 0.15]), st.integers(0, 9))
def test_stratified_parts_are_disjoint_complete_and_of_whole_groups(
    images: tuple[ConceptTable, dict[str, str]], valid: float, test: float, seed: int
) -> None:
    table, groups = images
    options = {"valid": valid, "test": test, "seed": seed, "groups": groups}
    parts = split(table, **options, stratified=True)  # type: ignore[arg-type]
    assert sorted(id_ for part in parts.values() for id_ in part.ids) == sorted(table.ids)
    homes = {(groups[id_], name) for name in parts for id_ in parts[name].ids if id_ in groups}
    assert len(homes) == len(set(groups.values()))
    turned = table.select(table.ids[::-1])
    again = split(turned, **options, stratified=True)  # type: ignore[arg-type]
    assert {name: set(part.ids) for name, part in again.items()} == {
        name: set(part.ids) for name, part in parts.items()
    }


@pytest.mark.parametrize("folds", [2, 5, 10])
def test_where_every_concept_can_be_divided_evenly_it_is(folds: int) -> None:
    labels = sparse.csr_array(np.eye(7)[np.arange(700) % 7])
    part = stratify(labels, np.arange(700), np.full(folds, 1 / folds), seed=1)
    assert (np.bincount(part) == 700 // folds).all()
    assert deviations(labels, part, folds) == pytest.approx(0, abs=1e-12)


def test_parts_have_the_sizes_asked_for() -> None:
    part = stratify(long_tail(1000), np.arange(1000), SHARES, seed=0)
    assert np.abs(np.bincount(part) - 1000 * SHARES).max() <= 1


@pytest.mark.parametrize("seed", range(3))
def test_groups_are_dealt_at_least_twice_as_evenly_as_at_random(seed: int) -> None:
    labels, groups = long_tail(4000, seed), in_groups(4000, seed)
    part = stratify(labels, groups, SHARES, seed)
    drawn = np.random.default_rng(seed).choice(3, groups.max() + 1, p=SHARES)[groups]
    ours, random = (deviations(labels, given, 3).mean() for given in (part, drawn))
    assert ours < random / 2
    assert np.abs(np.bincount(part) / 4000 - SHARES).max() < 0.005


def test_the_deviation_is_that_of_the_definition() -> None:
    labels, part = long_tail(300), np.arange(300) % 3
    dense = labels.toarray()
    kept = dense.sum(axis=0) >= 10
    expected = [
        np.mean(
            [abs(dense[part == k, c].mean() - dense[:, c].mean()) for c in np.flatnonzero(kept)]
        )
        for k in range(3)
    ]
    assert deviations(labels, part, 3) == pytest.approx(expected)
    assert deviations(labels[:9], part[:9], 3).tolist() == [0, 0, 0]  # none has ten images


def test_the_command_stratifies_and_says_how_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "all.tsv").write_text("".join(f"i{n}\tC{n % 4}\n" for n in range(40)))
    assert main(["split", str(tmp_path / "all.tsv"), str(tmp_path / "out"), "--stratify"]) == 0
    valid = [int(id_[1:]) % 4 for id_ in read_ids(tmp_path / "out/valid-concepts.tsv")]
    assert sorted(valid) == [0, 1, 2, 3]
    said = capsys.readouterr().err
    assert "at least 10 images: train 0.000000, valid 0.000000" in said


def test_folds_serve_scikit_learn() -> None:
    labels, groups = long_tail(120).toarray()[:, :3].astype(int), in_groups(120)
    features = np.random.default_rng(0).normal(size=(120, 4)) + labels[:, :1]
    folds = MultiLabelStratifiedGroupKFold(3)
    model = MultiOutputClassifier(LogisticRegression())
    predicted = cross_val_predict(model, features, labels, cv=folds, groups=groups)
    assert predicted.shape == labels.shape
    tests = [test for _, test in folds.split(features, labels, groups)]
    assert sorted(np.concatenate(tests).tolist()) == list(range(120))
    homes = {(groups[row], fold) for fold, test in enumerate(tests) for row in test}
    assert len(homes) == len(set(groups.tolist()))
    assert folds.get_n_splits() == 3
    assert repr(folds) == "MultiLabelStratifiedGroupKFold(n_splits=3, random_state=0)"


def test_folds_of_one_label_an_image_and_of_sparse_labels() -> None:
    folds = MultiLabelStratifiedGroupKFold(5)
    names = np.array(["a", "b", "c", "d"] * 25)
    for labels in (names, sparse.csr_array(names[:, None] == np.unique(names))):
        for _, test in folds.split(names, labels):
            assert np.unique(names[test], return_counts=True)[1].tolist() == [5, 5, 5, 5]


def test_what_cannot_be_divided_is_refused() -> None:
    labels = np.eye(4)
    with pytest.raises(UsageError, match="at least 2 folds"):
        MultiLabelStratifiedGroupKFold(1)
    folds = replearn.MultiLabelStratifiedGroupKFold(3)
    for given_labels, groups, words in (
        (None, None, "y is None"),
        (labels[:, :, None], None, "0/1"),
        (labels, [1, 1, 2, 2], "2 groups for 3 folds"),
    ):
        with pytest.raises(DataError, match=words):
            list(folds.split(labels, given_labels, groups))
