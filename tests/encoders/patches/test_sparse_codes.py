"""Sparse codes against scikit-learn's lasso, and what makes them the optimum."""

import numpy as np
import torch
from sklearn.decomposition import sparse_encode

from replearn.encoders.patches.sparse_codes import curvature_of, shrink, sparse_codes

PENALTY = 0.3


def drawn() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    patches = torch.randn(40, 12, generator=random, dtype=torch.float64)
    words = torch.randn(20, 12, generator=random, dtype=torch.float64)
    return patches, words / words.norm(dim=1, keepdim=True)


def coded(patches: torch.Tensor, words: torch.Tensor, steps: int) -> torch.Tensor:
    return sparse_codes(patches, words, curvature_of(words), PENALTY, steps)


def test_after_many_steps_codes_are_those_of_scikit_learn() -> None:
    patches, words = drawn()
    expected = sparse_encode(
        patches.numpy(), words.numpy(), algorithm="lasso_cd", alpha=PENALTY, max_iter=100_000
    )
    found = coded(patches, words, 3000)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-4)


def test_the_conditions_of_the_optimum_hold() -> None:
    patches, words = drawn()
    codes = coded(patches, words, 3000)
    gradient = (patches - codes @ words) @ words.T  # of the squares, with the sign turned
    active = codes != 0
    assert 0.05 < active.double().mean() < 0.6
    torch.testing.assert_close(gradient[active], PENALTY * codes[active].sign(), rtol=0, atol=1e-5)
    assert gradient.abs().max() <= PENALTY + 1e-5


def test_twenty_steps_come_within_a_few_per_cent_of_the_optimum() -> None:
    patches, words = drawn()

    def objective(codes: torch.Tensor) -> torch.Tensor:
        return (patches - codes @ words).square().sum() / 2 + PENALTY * codes.abs().sum()

    best = objective(coded(patches, words, 3000))
    assert best <= objective(coded(patches, words, 20)) < 1.03 * best


def test_a_code_does_not_depend_on_the_other_patches() -> None:
    patches, words = drawn()
    together = coded(patches, words, 20)
    alone = torch.cat([coded(row, words, 20) for row in patches.split(1)])
    torch.testing.assert_close(alone, together)


def test_shrinking_takes_values_towards_zero_and_not_beyond() -> None:
    found = shrink(torch.tensor([-2.0, -0.5, 0.0, 0.4, 3.0]), torch.tensor(0.5))
    assert found.tolist() == [-1.5, 0.0, 0.0, 0.0, 2.5]
