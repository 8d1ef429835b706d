"""The conditioning of generators whose singular values are given."""

import numpy as np
import pytest

from replearn.diagnostics.codes.conditioning import conditioning

VALUES = np.array([30.0, 4.0, 1.0, 0.01])


def test_of_a_linear_generator_the_numbers_are_those_of_its_singular_values() -> None:
    random = np.random.default_rng(0)
    directions = random.standard_normal((20_000, 4))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    found = conditioning(np.tile(VALUES, (20, 1)), np.linalg.norm(directions * VALUES, axis=1), 4)
    assert found["log10_condition"].value == pytest.approx(np.log10(3000))
    assert found["log10_condition"].high == pytest.approx(np.log10(3000))
    assert found["largest_singular_value"].value == 30
    assert found["smallest_singular_value"].value == pytest.approx(0.01)
    gain = found["sampled_gain"]
    assert gain.baseline == pytest.approx(np.sqrt((VALUES**2).mean()))
    assert gain.baseline is not None
    assert gain.low < gain.baseline < gain.high
    assert (gain.n, found["log10_condition"].n) == (20_000, 20)


def test_a_generator_that_is_blind_to_some_of_its_code_has_a_finite_condition() -> None:
    found = conditioning(np.tile([1.0, 0.0], (20, 1)), np.ones(20), 2)
    assert np.isfinite(found["log10_condition"].value)
    assert found["log10_condition"].value > 30
