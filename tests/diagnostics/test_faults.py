"""Faults are named where the whole interval lies beyond the threshold, and nowhere else."""

import numpy as np
import pytest

from replearn.diagnostics.diagnosis import Numbers
from replearn.diagnostics.estimates import Estimate
from replearn.diagnostics.faults import name_faults
from replearn.diagnostics.generators.comparison import compare_samples
from replearn.diagnostics.generators.generalisation import reconstruction_gap
from tests.diagnostics.sets import Rows, cloud, modes


def names(real: Rows, fake: Rows) -> list[str]:
    return [fault.name for fault in name_faults({"samples": compare_samples(real, fake).numbers})]


def test_samples_of_the_real_distribution_have_no_fault() -> None:
    assert names(modes(500), modes(500, seed=1)) == []


def test_blurred_samples_have_no_fault_that_blur_is_not() -> None:
    assert names(cloud(500, 16), 0.8 * cloud(500, 16, seed=1)) == []


def test_samples_of_one_image_are_collapsed_and_nothing_else() -> None:
    one = np.ones((400, 8)) + 0.01 * cloud(400, seed=3)
    assert names(modes(400), one) == ["collapsed"]


def test_samples_without_some_kinds_are_mode_dropped() -> None:
    assert names(modes(500), modes(500, without=3, seed=1)) == ["mode-dropped"]


def test_copies_are_memorising() -> None:
    real = cloud(600, 16)
    drawn = np.random.default_rng(1).integers(0, 600, 500)
    assert names(real, real[drawn] + 0.02 * cloud(500, 16, seed=2)) == ["memorising"]


@pytest.mark.parametrize(("low", "named"), [(0.97, []), (0.985, ["unbalanced"])])
def test_a_critic_that_is_never_wrong_is_unbalanced(low: float, named: list[str]) -> None:
    numbers: dict[str, Numbers] = {"training": {"critic/order": Estimate(0.99, low, 1.0, 12)}}
    assert [fault.name for fault in name_faults(numbers)] == named


def test_held_out_images_that_cost_far_more_are_memorising() -> None:
    random = np.random.default_rng(0)
    for factor, named in ((1.2, []), (4.0, ["memorising"])):
        gap = reconstruction_gap(random.exponential(size=200), factor * random.exponential(size=90))
        assert gap.low < factor < gap.high
        numbers: dict[str, Numbers] = {"generalisation": {"reconstruction_gap": gap}}
        assert [fault.name for fault in name_faults(numbers)] == named


def test_what_is_in_doubt_is_not_named() -> None:
    numbers: dict[str, Numbers] = {
        "samples": {
            "spread": Estimate(0.09, 0.05, 0.13, 100),
            "support": Estimate(500.0, 400.0, 600.0, 100, 1000.0),
            "missing_modes": Estimate(0.12, 0.09, 0.15, 100),
            "copies": Estimate(0.55, 0.49, 0.61, 100),
        }
    }
    assert name_faults(numbers) == []
