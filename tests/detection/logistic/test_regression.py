"""Many-label logistic regression against scikit-learn's exact solver, label by label."""

import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import h5py
import joblib
import numpy as np
import pytest
from joblib.parallel import ThreadingBackend
from numpy.typing import NDArray
from scipy import sparse, special
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.multiclass import OneVsRestClassifier
from sklearn.utils.estimator_checks import check_estimator

from replearn.artefacts.disk_rows import DiskRows, Segment
from replearn.detection.logistic import loss
from replearn.detection.logistic.regression import MultiLabelLogisticRegression
from replearn.errors import DataError
from replearn.features import Features

Matrix = NDArray[np.float64]

POSITIVES = (1, 3, 12, 200, 1000, 1990)  # of 2,000 images: prevalences 0.05 % to 99.5 %
PENALTIES = (0.01, 1.0, 100.0)


@cache
def data() -> tuple[Matrix, Matrix]:
    """Return correlated features of differing scale [2000, 12] and labels of POSITIVES [2000, 6].

    The labels of a share p are the p highest of a noisy linear score.
    """
    generator = np.random.default_rng(0)
    X = generator.normal(size=(2000, 12)) @ generator.normal(size=(12, 12))
    X = 5 + X * np.logspace(-2, 2, 12)
    directions = generator.normal(size=(12, len(POSITIVES)))
    scores = standardised(X) @ directions / 4 + generator.logistic(size=(2000, len(POSITIVES)))
    ranks = (-scores).argsort(axis=0).argsort(axis=0)
    return X, (ranks < POSITIVES).astype(np.float64)


def standardised(X: Matrix) -> Matrix:
    return np.asarray((X - X.mean(axis=0)) / X.std(axis=0))


def objectives(X: Matrix, Y: Matrix, coef: Any, intercept: Any, C: float) -> Matrix:
    """Return scikit-learn's objective of each label [L], in double precision."""
    logits = X @ coef.T.astype(np.float64) + intercept
    losses = (np.logaddexp(0, logits) - Y * logits).sum(axis=0)
    return np.asarray(C * losses + (coef.astype(np.float64) ** 2).sum(axis=1) / 2)


@cache
def least_objectives(C: float) -> Matrix:
    """Return the least objective of each label of `data` [L], by scikit-learn."""
    X, Y = standardised(data()[0]), data()[1]
    exact = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-10, max_iter=300)
    fitted = [clone(exact).fit(X, y) for y in Y.T]
    coef = np.vstack([one.coef_ for one in fitted])
    return objectives(X, Y, coef, np.concatenate([one.intercept_ for one in fitted]), C)


def excess(model: MultiLabelLogisticRegression) -> Matrix:
    """Return by what share the objective of each label of `data` [L] is above the least."""
    X, Y = standardised(data()[0]), data()[1]
    least = least_objectives(model.C)
    return (objectives(X, Y, model.coef_, model.intercept_, model.C) - least) / least


@pytest.mark.parametrize("C", PENALTIES)
def test_the_objective_of_every_label_is_the_least_one(C: float) -> None:
    model = MultiLabelLogisticRegression(C=C).fit(*data())
    np.testing.assert_array_less(np.abs(excess(model)), 1e-6)


@pytest.mark.parametrize("C", PENALTIES)
def test_features_of_single_precision_reach_the_least_objective_too(C: float) -> None:
    X, Y = data()
    model = MultiLabelLogisticRegression(C=C).fit(X.astype(np.float32), Y)
    np.testing.assert_array_less(np.abs(excess(model)), 1e-6)


@pytest.mark.parametrize(("rows", "axes"), [(60, 60), (200, 60), (200, 200)])
def test_features_with_too_many_axes_reach_the_least_objective_too(
    rows: int, axes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss, "_WIDE", axes)
    generator = np.random.default_rng(0)
    X = generator.normal(size=(rows, 80)) @ generator.normal(size=(80, 80)) / 9
    Y = (X[:, :3] + generator.logistic(size=(rows, 3)) > 1).astype(np.float64)
    model = MultiLabelLogisticRegression(standardize=False).fit(X, Y)
    exact = LogisticRegression(solver="newton-cholesky", tol=1e-10)
    for label, y in enumerate(Y.T):
        exact.fit(X, y)
        least = objectives(X, y[:, None], exact.coef_, exact.intercept_, 1.0)
        coef, intercept = model.coef_[[label]], model.intercept_[[label]]
        assert objectives(X, y[:, None], coef, intercept, 1.0) == pytest.approx(least, rel=2e-6)


@pytest.mark.parametrize("label", range(len(POSITIVES)))
def test_a_label_does_not_depend_on_the_others_beside_it(label: int) -> None:
    X, Y = data()
    together = MultiLabelLogisticRegression(tol=1e-6).fit(X, Y)
    alone = MultiLabelLogisticRegression(tol=1e-6).fit(X, Y[:, [label]])
    np.testing.assert_allclose(alone.coef_[0], together.coef_[label], atol=1e-4)
    np.testing.assert_allclose(alone.intercept_[0], together.intercept_[label], atol=1e-3)


def test_standardising_inside_equals_standardising_by_hand() -> None:
    X, Y = data()
    inside = MultiLabelLogisticRegression().fit(X, Y)
    by_hand = MultiLabelLogisticRegression(standardize=False).fit(standardised(X), Y)
    np.testing.assert_allclose(inside.coef_, by_hand.coef_, atol=1e-4)
    np.testing.assert_allclose(
        inside.predict_proba(X), by_hand.predict_proba(standardised(X)), atol=1e-4
    )


def test_shifting_and_scaling_features_changes_no_probability() -> None:
    X, Y = data()
    moved = X * np.linspace(30, 0.1, X.shape[1]) - 7
    before = MultiLabelLogisticRegression().fit(X, Y).predict_proba(X)
    after = MultiLabelLogisticRegression().fit(moved, Y).predict_proba(moved)
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_small_features_beside_huge_ones_count_as_much() -> None:
    X, Y = data()
    moved = X * np.geomspace(1e-5, 1e9, X.shape[1])  # as a volume in mm3 beside a roundness
    before = MultiLabelLogisticRegression().fit(X, Y).predict_proba(X)
    after = MultiLabelLogisticRegression().fit(moved, Y).predict_proba(moved)
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_a_feature_that_is_all_but_zero_makes_no_weight_infinite() -> None:
    X, Y = data()
    wider = np.hstack([X, np.exp(-90 - np.abs(X[:, :1]))])  # as a saturated unit
    weights, intercepts = MultiLabelLogisticRegression().fit(wider, Y).folded()
    assert np.isfinite(weights.astype(np.float32)).all()
    assert np.isfinite(intercepts).all()


@pytest.mark.parametrize("constant", [0.0, 0.1, 1000.3])
def test_a_constant_feature_changes_nothing(constant: float) -> None:
    X, Y = data()
    noise = np.random.default_rng(1).normal(size=(len(X), 1))
    wider = np.hstack([X, constant * (1 + 1e-9 * noise)])  # but for its rounding errors
    without = MultiLabelLogisticRegression().fit(X, Y)
    model = MultiLabelLogisticRegression().fit(wider, Y)
    np.testing.assert_allclose(model.coef_[:, -1], 0, atol=1e-4)
    np.testing.assert_allclose(model.predict_proba(wider), without.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("value", [0, 1])
def test_a_label_of_all_or_no_image_is_predicted_with_certainty(value: int) -> None:
    X, Y = data()
    model = MultiLabelLogisticRegression().fit(X, np.hstack([Y, np.full((len(X), 1), value)]))
    np.testing.assert_allclose(model.predict_proba(100 * X)[:, -1], value, atol=1e-6)
    np.testing.assert_array_less(np.abs(excess_of_first(model)), 1e-6)


def excess_of_first(model: MultiLabelLogisticRegression) -> Matrix:
    """Return `excess` of a model of the labels of `data` and one more."""
    shorter = clone(model)
    shorter.coef_, shorter.intercept_ = model.coef_[:-1], model.intercept_[:-1]
    return excess(shorter)


def test_labels_that_are_all_constant_need_no_step() -> None:
    X, _ = data()
    model = MultiLabelLogisticRegression().fit(X, np.tile([0.0, 1.0], (len(X), 1)))
    assert model.n_iter_ == 0
    np.testing.assert_array_equal(model.predict(X), np.tile([0, 1], (len(X), 1)))


def test_a_warm_start_reaches_the_same_optimum_in_fewer_steps() -> None:
    X, Y = data()
    cold = MultiLabelLogisticRegression(C=1.2).fit(X, Y)
    warm = MultiLabelLogisticRegression(C=1.0, warm_start=True).fit(X, Y)
    warm.set_params(C=1.2).fit(X, Y)
    np.testing.assert_array_less(np.abs(excess(warm)), 1e-6)
    assert warm.n_iter_ < cold.n_iter_


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_warm_start_forgets_labels_that_become_or_were_constant(value: float) -> None:
    X, Y = data()
    constant = Y.copy()
    constant[:, 3] = value
    model = MultiLabelLogisticRegression(warm_start=True).fit(X, Y).fit(X, constant)
    np.testing.assert_allclose(model.predict_proba(X)[:, 3], value, atol=1e-6)
    np.testing.assert_array_less(np.abs(excess(model.fit(X, Y))), 1e-6)


def test_a_warm_start_with_other_labels_starts_afresh() -> None:
    X, Y = data()
    model = MultiLabelLogisticRegression(warm_start=True).fit(X, Y[:, :2]).fit(X, Y)
    np.testing.assert_array_less(np.abs(excess(model)), 1e-6)


def test_without_a_warm_start_the_last_fit_leaves_no_trace() -> None:
    X, Y = data()
    once = MultiLabelLogisticRegression().fit(X, Y)
    twice = MultiLabelLogisticRegression().fit(X, 1 - Y).fit(X, Y)
    np.testing.assert_array_equal(twice.coef_, once.coef_)


def test_probabilities_are_the_sigmoid_of_the_decision_function() -> None:
    X, Y = data()
    model = MultiLabelLogisticRegression().fit(X, Y)
    logits = standardised(X) @ model.coef_.T + model.intercept_
    np.testing.assert_allclose(model.decision_function(X), logits, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.predict_proba(X), special.expit(logits), atol=1e-5)
    np.testing.assert_array_equal(model.predict(X), model.predict_proba(X) > 0.5)


def test_the_mean_probability_of_a_label_is_its_prevalence() -> None:
    # The intercept is free, so its gradient, the sum of p - y, is zero at the optimum.
    X, Y = data()
    model = MultiLabelLogisticRegression(tol=1e-7).fit(X, Y)
    np.testing.assert_allclose(model.predict_proba(X).mean(axis=0), Y.mean(axis=0), rtol=1e-4)


def test_a_smaller_c_gives_smaller_weights() -> None:
    X, Y = data()
    norms = [np.square(MultiLabelLogisticRegression(C=C).fit(X, Y).coef_).sum() for C in PENALTIES]
    assert norms == sorted(norms)


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_array, np.array])
@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.bool_])
def test_labels_of_any_form_give_the_same_model(kind: type, dtype: type) -> None:
    X, Y = data()
    model = MultiLabelLogisticRegression().fit(X, kind(Y.astype(dtype)))
    np.testing.assert_array_equal(model.coef_, MultiLabelLogisticRegression().fit(X, Y).coef_)


def test_fitting_changes_neither_features_nor_labels() -> None:
    X, Y = (array.copy() for array in data())
    MultiLabelLogisticRegression().fit(X, Y)
    np.testing.assert_array_equal(X, data()[0])
    np.testing.assert_array_equal(Y, data()[1])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_row_that_is_not_finite_is_refused_by_its_number(value: float) -> None:
    X, Y = data()[0].copy(), data()[1]
    X[17, 4] = value
    with pytest.raises(DataError, match="row 17 "):
        MultiLabelLogisticRegression().fit(X, Y)


def test_different_numbers_of_rows_are_refused() -> None:
    X, Y = data()
    with pytest.raises(DataError, match="1999 rows of features for 2000 rows of labels"):
        MultiLabelLogisticRegression().fit(X[1:], Y)


def test_a_model_that_is_not_fitted_says_so() -> None:
    with pytest.raises(NotFittedError):
        MultiLabelLogisticRegression().predict_proba(data()[0])


def test_a_clone_has_the_settings_and_not_the_fit() -> None:
    model = MultiLabelLogisticRegression(C=3.0, standardize=False, max_iter=70).fit(*data())
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert (copy.C, copy.standardize, copy.max_iter) == (3.0, False, 70)
    assert not hasattr(copy, "coef_")


def test_no_label_takes_more_passes_than_allowed_and_that_is_said() -> None:
    with pytest.warns(ConvergenceWarning, match=r"C 1: \d+ of \d+ labels .* after 2 passes"):
        assert MultiLabelLogisticRegression(max_iter=2).fit(*data()).n_iter_ == 2


# Where features come from and who does the work changes nothing ----------------------------------


@pytest.mark.parametrize("memory", [0, 1e9])
@pytest.mark.parametrize("chunks", [None, (300, 5)])
def test_features_in_a_file_give_the_model_of_features_in_memory(
    tmp_path: Path, memory: float, chunks: tuple[int, int] | None
) -> None:
    X, Y = data()
    expected = MultiLabelLogisticRegression().fit(X, Y)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        stored = file.create_dataset("vectors", data=X, chunks=chunks)
        model = MultiLabelLogisticRegression(memory=memory).fit(stored, Y)
        probabilities = model.predict_proba(stored)
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-6)
    np.testing.assert_allclose(model.intercept_, expected.intercept_, atol=1e-6)
    np.testing.assert_allclose(probabilities, expected.predict_proba(X), atol=1e-6)


def test_features_with_ids_give_the_model_of_their_vectors() -> None:
    X, Y = data()
    vectors = X.astype(np.float32)
    features = Features([str(row) for row in range(len(X))], vectors, "features:1")
    model = MultiLabelLogisticRegression().fit(features, Y)
    expected = MultiLabelLogisticRegression().fit(vectors, Y)
    np.testing.assert_array_equal(model.coef_, expected.coef_)
    np.testing.assert_array_equal(model.predict(features), expected.predict(vectors))


def test_cross_validation_predicts_probabilities_as_of_one_model_for_each_label() -> None:
    X, Y = standardised(data()[0]), data()[1][:, 2:]  # what every fold has
    each = OneVsRestClassifier(LogisticRegression(C=0.1))
    model = MultiLabelLogisticRegression(C=0.1, standardize=False)
    predicted, expected = (
        cross_val_predict(one, X, Y, cv=3, method="predict_proba") for one in (model, each)
    )
    np.testing.assert_allclose(predicted, expected, atol=2e-3)
    assert model.fit(X, Y).classes_.tolist() == [0, 1, 2, 3]


def test_several_tasks_give_the_model_of_one() -> None:
    X, Y = data()
    expected = MultiLabelLogisticRegression().fit(X, Y)
    model = MultiLabelLogisticRegression(n_jobs=2).fit(X, Y)
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=2e-5)
    np.testing.assert_allclose(model.intercept_, expected.intercept_, atol=2e-5)
    assert model.n_iter_ == expected.n_iter_


Place = Literal["memory", "dataset", "map", "shards"]


@contextmanager
def lying(place: Place, folder: Path) -> Iterator[Any]:
    """Give the features of `data` from memory, or from files of one of three kinds."""
    X = data()[0]
    with h5py.File(folder / "x.h5", "w") as file:
        file["vectors"] = X
    (folder / "shards").mkdir()
    ranges = [range(0, 700), range(700, 2000)]
    for rows in ranges:
        X[rows.start : rows.stop].tofile(folder / f"shards/{rows.start}")
    X.tofile(folder / "x.raw")
    segments = [
        Segment(f"{folder}/shards/{rows.start}", 0, X.dtype.str, (len(rows), X.shape[1]))
        for rows in ranges
    ]
    with h5py.File(folder / "x.h5", "r") as file:
        places = {
            "memory": X,
            "dataset": file["vectors"],
            "map": np.memmap(folder / "x.raw", X.dtype, "r", shape=X.shape),
            "shards": DiskRows(segments),
        }
        yield places[place]


@pytest.mark.parametrize("backend", ["loky", "threading"])
@pytest.mark.parametrize("place", get_args(Place))
def test_every_task_finds_the_bits_that_one_process_finds_for_its_labels(
    tmp_path: Path, backend: str, place: Place
) -> None:
    X, Y = data()
    with joblib.parallel_config(backend, n_jobs=2), lying(place, tmp_path) as features:
        model = MultiLabelLogisticRegression().fit(features, Y)
    for first in range(2):
        alone = MultiLabelLogisticRegression().fit(X, Y[:, first::2])
        np.testing.assert_array_equal(model.coef_[first::2], alone.coef_)
        np.testing.assert_array_equal(model.intercept_[first::2], alone.intercept_)


class Weighed(ThreadingBackend):  # type: ignore[misc]
    """A backend of joblib that notes how many bytes of each task would travel."""

    sent: ClassVar[list[int]] = []

    def submit(self, func: Any, callback: Any = None) -> Any:
        self.sent.append(len(pickle.dumps(func)))
        return super().submit(func, callback)


@pytest.mark.parametrize("place", get_args(Place))
def test_features_in_files_are_not_sent_to_the_tasks(tmp_path: Path, place: Place) -> None:
    joblib.register_parallel_backend("weighed", Weighed)
    Weighed.sent.clear()
    X, Y = data()
    with joblib.parallel_config("weighed", n_jobs=2), lying(place, tmp_path) as features:
        MultiLabelLogisticRegression().fit(features, Y)
    assert len(Weighed.sent) == 2
    assert all((sent > X.nbytes) == (place == "memory") for sent in Weighed.sent)


@pytest.mark.parametrize("memory", [0, 1e9])
def test_torch_reaches_the_least_objective_too(memory: float) -> None:
    model = MultiLabelLogisticRegression(device="cpu", memory=memory).fit(*data())
    np.testing.assert_array_less(np.abs(excess(model)), 1e-6)


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(DataError, match="device 'none': "):
        MultiLabelLogisticRegression(device="none").fit(*data())


def test_features_in_a_file_of_another_width_are_refused(tmp_path: Path) -> None:
    X, Y = data()
    model = MultiLabelLogisticRegression().fit(X, Y)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        narrow = file.create_dataset("vectors", data=X[:, 1:])
        with pytest.raises(DataError, match=r"\[2000, 11\] where \[N, 12\] is expected"):
            model.predict(narrow)


@pytest.mark.parametrize("shape", [(2000,), (0, 12), (2000, 0), (20, 10, 12)])
def test_a_dataset_that_is_no_table_of_features_is_refused_by_its_shape(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        stored = file.create_dataset("vectors", data=np.zeros(shape))
        with pytest.raises(DataError, match=rf"{re.escape(str([*shape]))} where \[N, D\] is exp"):
            MultiLabelLogisticRegression().fit(stored, np.ones((len(stored), 3)))


# Forms of the solution ---------------------------------------------------------------------------


@pytest.mark.parametrize("standardize", [True, False])
def test_folded_weights_give_the_same_logits_on_features_as_they_are(standardize: bool) -> None:
    X, Y = data()
    X = standardised(X) * np.linspace(0.5, 2, X.shape[1]) + 1
    model = MultiLabelLogisticRegression(standardize=standardize).fit(X, Y)
    coef, intercept = model.folded()
    logits = model.decision_function(X)
    np.testing.assert_allclose(X @ coef.T + intercept, logits, rtol=1e-4, atol=1e-4)


def test_without_standardising_weights_are_on_the_features_as_they_are() -> None:
    X, Y = data()
    X = standardised(X) + 3
    model = MultiLabelLogisticRegression(standardize=False, tol=1e-9).fit(X, Y)
    exact = LogisticRegression(solver="newton-cholesky", tol=1e-10).fit(X, Y[:, 3])
    np.testing.assert_allclose(model.coef_[3], exact.coef_[0], atol=1e-4)
    np.testing.assert_allclose(model.intercept_[3], exact.intercept_[0], atol=5e-4)


@pytest.mark.parametrize("dtype", [np.int64, np.float64, np.bool_])
def test_predictions_are_of_the_type_of_the_labels(dtype: type) -> None:
    X, Y = data()
    assert MultiLabelLogisticRegression().fit(X, Y.astype(dtype)).predict(X).dtype == dtype


def test_separable_labels_reach_their_optimum_too() -> None:
    X = np.random.default_rng(0).normal(size=(300, 6))
    Y = (X > 0.9).astype(int)
    model = MultiLabelLogisticRegression(C=1000, standardize=False).fit(X, Y)
    exact = LogisticRegression(C=1000, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    fitted = [clone(exact).fit(X, y) for y in Y.T]
    coef, intercept = (
        np.concatenate(parts)
        for parts in zip(*[(one.coef_, one.intercept_) for one in fitted], strict=True)
    )
    least = objectives(X, Y, coef, intercept, 1000)
    found = objectives(X, Y, model.coef_, model.intercept_, 1000)
    np.testing.assert_array_less(found, least * (1 + 1e-6))


# L1 and elastic net ------------------------------------------------------------------------------


@pytest.mark.parametrize(("penalty", "share"), [("l1", 1.0), ("elasticnet", 0.3)])
@pytest.mark.parametrize("C", [0.02, 0.3])
def test_an_l1_penalty_has_the_optimum_and_the_zeros_of_saga(
    penalty: Literal["l1", "elasticnet"], share: float, C: float
) -> None:
    X, Y = standardised(data()[0]), data()[1]
    model = MultiLabelLogisticRegression(C=C, penalty=penalty, l1_ratio=share, tol=1e-8)
    coef, intercept = model.fit(X, Y).folded()
    exact = LogisticRegression(C=C, l1_ratio=share, solver="saga", tol=1e-8, max_iter=20000)
    for label in (2, 3, 4):
        fitted = clone(exact).fit(X, Y[:, label])
        least = penalised(X, Y[:, label], fitted.coef_[0], fitted.intercept_[0], C, share)
        found = penalised(X, Y[:, label], coef[label], intercept[label], C, share)
        assert found < least * (1 + 1e-6)
        np.testing.assert_array_equal(coef[label] == 0, fitted.coef_[0] == 0)


def penalised(X: Matrix, y: Matrix, w: Any, b: float, C: float, share: float) -> float:
    """Return the objective of the elastic net of one label, in double precision."""
    w = w.astype(np.float64)
    z = X @ w + b
    penalty = (1 - share) * (w @ w) / 2 + share * np.abs(w).sum()
    return float(C * (np.logaddexp(0, z) - y * z).sum() + penalty)


@pytest.mark.parametrize(("factor", "empty"), [(0.99, True), (1.01, False)])
def test_all_weights_are_zero_just_when_no_gradient_at_zero_exceeds_the_penalty(
    factor: float, empty: bool
) -> None:
    X, Y = standardised(data()[0]), data()[1][:, 3:4]
    bound = 1 / np.abs(X.T @ (Y - Y.mean())).max()
    model = MultiLabelLogisticRegression(C=factor * bound, penalty="l1", tol=1e-10).fit(X, Y)
    assert (not model.coef_.any()) == empty


def test_an_elastic_net_without_a_share_of_l1_is_the_l2_penalty() -> None:
    X, Y = data()
    net = MultiLabelLogisticRegression(penalty="elasticnet", l1_ratio=0.0).fit(X, Y)
    np.testing.assert_array_equal(net.coef_, MultiLabelLogisticRegression().fit(X, Y).coef_)


# What is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"penalty": "l3"}, "penalty 'l3': known are l2, l1, elasticnet"),
        ({"C": 0}, "C 0: "),
        ({"l1_ratio": 1.5}, "l1_ratio 1.5: it must be from 0 to 1"),
        ({"l1_ratio": float("nan")}, "l1_ratio nan: "),
        ({"max_iter": -1}, "max_iter -1: it must not be below 0"),
        ({"tol": -1e-9}, "tol -1e-09: "),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        MultiLabelLogisticRegression(**settings).fit(*data())


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(2000), "labels .2000. where 0/1 .N, L. is expected"),
        (np.full((2000, 2), 0.5), "continuous"),
        (np.full((2000, 2), 2), "others than 0 and 1"),
        (np.full((2000, 2), "yes"), "labels of <U3"),
    ],
)
def test_labels_that_are_not_0_and_1_are_refused(labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        MultiLabelLogisticRegression().fit(data()[0], labels)


# What scikit-learn asks of classifiers of one column of classes, and nothing of many labels could
# do: its data have classes of other names, or y of one dimension, where [N, L] of 0/1 is meant.
ONE_COLUMN = {
    "check_classifier_data_not_an_array",
    "check_classifier_not_supporting_multiclass",
    "check_classifiers_classes",
    "check_classifiers_one_label",
    "check_classifiers_regression_target",
    "check_classifiers_train",
    "check_decision_proba_consistency",
    "check_estimators_dtypes",
    "check_fit2d_1feature",
}


def test_every_check_of_scikit_learn_passes_that_many_labels_can() -> None:
    results = check_estimator(MultiLabelLogisticRegression(), on_fail=None, on_skip=None)
    failed = {one["check_name"] for one in results if one["status"] == "failed"}
    assert failed == ONE_COLUMN
    assert len(results) > 40
