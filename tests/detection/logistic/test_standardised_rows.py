"""Features in blocks of rows: moments and standardising."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from replearn.detection.logistic import standardised_rows
from replearn.detection.logistic.standardised_rows import (
    StandardisedRows,
    StoredRows,
    each_block,
    moments,
)
from replearn.errors import DataError


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standardised_rows, "BLOCK", 64)


def features(count: int = 500, width: int = 7) -> np.ndarray:
    generator = np.random.default_rng(0)
    return generator.normal(size=(count, width)) * np.logspace(-3, 3, width) + 5000


@pytest.mark.parametrize("count", [1, 63, 64, 65, 500])
def test_the_moments_are_those_of_all_rows(count: int) -> None:
    X = features(count)
    mean, deviation = moments(X)
    np.testing.assert_allclose(mean, X.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(deviation, X.std(axis=0), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_rows_that_are_not_finite_are_named(value: float) -> None:
    X = features()
    X[[3, 70, 71, 400], 2] = value
    with pytest.raises(DataError, match="row 3, 70, 71 of the features holds NaN or infinity"):
        moments(X)


@pytest.mark.parametrize("memory", [0, 1e9])
def test_rows_are_standardised_and_end_in_a_one(memory: float) -> None:
    X = features()
    rows = StandardisedRows(X, *moments(X), memory)
    assert rows.shape == (500, 8)
    block = rows[slice(100, 130)]
    expected = (X[100:130] - X.mean(axis=0)) / X.std(axis=0)
    np.testing.assert_allclose(block[:, :-1], expected, atol=1e-5)
    np.testing.assert_array_equal(block[:, -1], 1)


def test_rows_on_the_way_are_the_same_as_rows_kept() -> None:
    X = features()
    kept, made = (StandardisedRows(X, *moments(X), memory) for memory in (1e9, 0))
    np.testing.assert_array_equal(kept[slice(0, 500)], made[slice(0, 500)])


def test_stored_rows_are_those_of_the_file(tmp_path: Path) -> None:
    X = features()
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("vectors", data=X, chunks=(50, 7))
    stored = StoredRows(str(tmp_path / "x.h5"), "vectors", X.shape)
    np.testing.assert_array_equal(stored[slice(40, 90)], X[40:90])


@pytest.mark.parametrize("count", [0, 1, 64, 65, 500])
def test_every_row_is_in_one_block_and_blocks_come_in_order(count: int) -> None:
    blocks = each_block(lambda rows: list(range(rows.start, rows.stop)), count)
    assert [row for block in blocks for row in block] == list(range(count))
