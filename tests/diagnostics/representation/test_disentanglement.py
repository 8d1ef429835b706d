"""MIG and DCI of codes that hold each factor exactly, in one number or spread over all."""

import numpy as np
import pytest
from numpy.typing import NDArray

from replearn.diagnostics.representation.disentanglement import (
    Factor,
    dci,
    mutual_information_gap,
    read_factors,
)
from replearn.errors import DataError
from replearn.phantoms.data_folder import factor_table

COUNT = 400


@pytest.fixture
def factors() -> dict[str, Factor]:
    random = np.random.default_rng(0)
    return {
        "turn": random.uniform(-1, 1, COUNT),
        "noise": random.uniform(0, 1, COUNT),
        "view": random.choice(["frontal", "lateral"], COUNT),
    }


def exact(factors: dict[str, Factor], spare: int = 3) -> NDArray[np.float64]:
    """Return a code with one factor in each number, and numbers that hold none."""
    held = [factors["turn"], factors["noise"], factors["view"] == "lateral"]
    noise = np.random.default_rng(1).normal(size=(COUNT, spare))
    return np.column_stack([*held, noise]).astype(np.float64)


def test_a_code_that_holds_each_factor_in_one_number_has_a_gap_of_almost_one(
    factors: dict[str, Factor],
) -> None:
    found = mutual_information_gap(exact(factors), factors)
    assert found["mig_view"].value > 0.9
    assert found["mig"].value > 0.7  # 20 bins of 400 images share some information by chance
    for gap in found.values():
        assert gap.low <= gap.value <= gap.high
        assert gap.baseline is not None
        assert gap.baseline < 0.1


def test_a_turned_code_has_no_gap(factors: dict[str, Factor]) -> None:
    turned = exact(factors) @ np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))[0]
    assert mutual_information_gap(turned, factors)["mig"].value < 0.25
    twice = np.hstack([exact(factors), exact(factors)])  # two numbers tell equally much
    assert mutual_information_gap(twice, factors)["mig"].value == pytest.approx(0, abs=1e-9)


def test_dci_of_an_exact_code_and_of_one_that_holds_nothing(factors: dict[str, Factor]) -> None:
    found = dci(exact(factors), factors)
    assert {name: one.value > 0.8 for name, one in found.items()} == dict.fromkeys(found, True)
    nothing = dci(np.random.default_rng(3).normal(size=(COUNT, 6)), factors)
    assert nothing["disentanglement"].value < 0.2
    assert nothing["informativeness"].value < 0.3
    assert found["informativeness"].baseline == pytest.approx(1 / 6, abs=0.15)  # half the views


def test_factors_of_phantoms_are_read_as_numbers_and_texts() -> None:
    ids = [f"phantom_{number:06d}" for number in (3, 0)]
    found = read_factors(factor_table(5), ids, "factors.tsv")
    assert list(found) == ["modality", "region", "view", "turn", "exposure", "noise"]
    assert found["turn"].dtype == np.float64
    assert found["region"].dtype.kind == "U"
    assert (found["exposure"].astype(float) <= 1).all()
    with pytest.raises(DataError, match="no factors of 1 images, such as other"):
        read_factors(factor_table(5), [*ids, "other"], "factors.tsv")
    with pytest.raises(DataError, match="no table"):
        read_factors("one two", ids, "factors.tsv")
