"""The batched minimiser on functions whose minima are known."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from replearn.detection.logistic.lbfgs import Columns, Evaluate, minimise

Matrix = NDArray[np.floating[Any]]

SIZE, COUNT = 8, 30


def parabolas(seed: int = 0) -> tuple[Evaluate, Matrix, Matrix]:
    """Return f_j(w) = 1 + (w - m_j)' H_j (w - m_j) / 2, all H_j [L, K, K] and minima m [K, L].

    The condition of H_j rises with j from 1 to 10,000.
    """
    generator = np.random.default_rng(seed)
    axes, _ = np.linalg.qr(generator.normal(size=(COUNT, SIZE, SIZE)))
    stretch = np.stack([np.logspace(0, power, SIZE) for power in np.linspace(0, 4, COUNT)])
    hessians = np.einsum("jki,ji,jli->jkl", axes, stretch, axes)
    minima = generator.normal(size=(SIZE, COUNT))

    def evaluate(weights: Matrix, columns: Columns) -> tuple[Matrix, Matrix]:
        away = weights - minima[:, columns]
        gradient = np.einsum("jkl,lj->kj", hessians[columns], away)
        return 1 + (away * gradient).sum(axis=0) / 2, gradient

    return evaluate, hessians, minima


def unchanged(gradient: Matrix, columns: Columns) -> Matrix:
    return gradient


def test_every_column_reaches_its_minimum() -> None:
    evaluate, _, minima = parabolas()
    weights, iterations = minimise(
        evaluate, np.zeros_like(minima), unchanged, tol=1e-10, max_iter=200
    )
    value, _ = evaluate(weights, np.arange(COUNT))
    np.testing.assert_allclose(value, 1, rtol=1e-8)
    assert iterations.max() <= 200


def test_a_column_that_begins_at_its_minimum_takes_no_round() -> None:
    evaluate, _, minima = parabolas()
    start = np.where(np.arange(COUNT) % 2, 0, minima)
    weights, iterations = minimise(evaluate, start, unchanged, tol=1e-10, max_iter=200)
    np.testing.assert_array_equal(weights[:, ::2], minima[:, ::2])
    np.testing.assert_array_equal(iterations == 0, np.arange(COUNT) % 2 == 0)


def test_the_exact_inverse_hessian_needs_two_steps() -> None:
    evaluate, hessians, minima = parabolas()

    def exact(gradient: Matrix, columns: Columns) -> Matrix:
        return np.asarray(np.linalg.solve(hessians[columns], gradient.T[:, :, None])[:, :, 0].T)

    # The first is a half one, as if the guess were not to be trusted.
    weights, iterations = minimise(evaluate, np.zeros_like(minima), exact, tol=1e-8, max_iter=9)
    np.testing.assert_allclose(weights, minima, atol=1e-4)
    assert iterations.max() <= 2


def test_a_column_does_not_depend_on_those_beside_it() -> None:
    evaluate, _, minima = parabolas()

    def alone(weights: Matrix, columns: Columns) -> tuple[Matrix, Matrix]:
        return evaluate(weights, columns + 20)

    zeros = np.zeros_like(minima)
    together, iterations = minimise(evaluate, zeros, unchanged, tol=1e-8, max_iter=200)
    single, iterations_ = minimise(alone, zeros[:, :1], unchanged, tol=1e-8, max_iter=200)
    np.testing.assert_allclose(single[:, 0], together[:, 20], atol=1e-12)
    assert iterations_[0] == iterations[20]


def test_an_unfinished_column_is_counted_one_round_more_than_allowed() -> None:
    evaluate, _, minima = parabolas()
    _, iterations = minimise(evaluate, np.zeros_like(minima), unchanged, tol=1e-10, max_iter=3)
    assert iterations[-1] == 4


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0, 5.0])
def test_an_l1_penalty_on_a_round_parabola_shrinks_and_cuts(strength: float) -> None:
    _, _, minima = parabolas()

    def evaluate(weights: Matrix, columns: Columns) -> tuple[Matrix, Matrix]:
        away = weights - minima[:, columns]
        return 1 + (away**2).sum(axis=0) / 2, away

    l1 = np.full((SIZE, 1), strength)
    l1[-1] = 0
    weights, _ = minimise(
        evaluate, np.zeros_like(minima), unchanged, tol=1e-12, max_iter=100, l1=l1
    )
    expected = np.sign(minima) * np.maximum(np.abs(minima) - l1, 0)
    np.testing.assert_allclose(weights, expected, atol=1e-5)
    np.testing.assert_array_equal(weights == 0, expected == 0)


@pytest.mark.parametrize("strength", [0.1, 1.0, 10.0])
def test_an_l1_optimum_has_no_subgradient_but_zero(strength: float) -> None:
    evaluate, hessians, minima = parabolas()
    l1 = np.full((SIZE, 1), strength)

    def diagonal(gradient: Matrix, columns: Columns) -> Matrix:
        return np.asarray(gradient / np.einsum("jkk->kj", hessians[columns]))

    weights, _ = minimise(evaluate, np.ones_like(minima), diagonal, tol=1e-13, max_iter=100, l1=l1)
    _, gradient = evaluate(weights, np.arange(COUNT))
    used = weights != 0
    np.testing.assert_allclose(gradient[used], -strength * np.sign(weights[used]), atol=1e-4)
    np.testing.assert_array_less(np.abs(gradient[~used]), strength * (1 + 1e-6))
