"""Whitened components against the exact decomposition."""

import pytest
import torch

from replearn.encoders.patches.components import whitened_components


def vectors(count: int = 200, width: int = 30) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    falling = torch.arange(1, width + 1).double().pow(-1.5)
    turned = torch.linalg.qr(torch.randn(width, width, generator=random, dtype=torch.float64))[0]
    drawn = torch.randn(count, width, generator=random, dtype=torch.float64)
    return torch.as_tensor(5 + (drawn * falling) @ turned)


def projected(given: torch.Tensor, count: int, whitening: float = 0.5) -> torch.Tensor:
    mean, matrix = whitened_components(given, count, whitening, seed=1)
    return torch.as_tensor((given - mean) @ matrix)


@pytest.mark.parametrize("whitening", [0.0, 0.5, 1.0])
def test_distances_are_those_of_components_over_a_power_of_their_deviation(
    whitening: float,
) -> None:
    given = vectors()
    centred = given - given.mean(0)
    variances, directions = torch.linalg.eigh(torch.cov(given.T))
    exact = centred @ directions.flip(1)[:, :4] / variances.flip(0)[:4] ** (whitening / 2)
    torch.testing.assert_close(
        torch.pdist(projected(given, 4, whitening)), torch.pdist(exact), rtol=1e-3, atol=1e-6
    )


def test_with_whole_whitening_all_numbers_are_uncorrelated_and_have_variance_one() -> None:
    found = projected(vectors(), 10, 1.0)
    torch.testing.assert_close(
        torch.cov(found.T, correction=1), torch.eye(10, dtype=torch.float64), rtol=0, atol=1e-3
    )


def test_variances_of_the_directions_are_the_roots_of_the_components() -> None:
    given = vectors()
    found = projected(given, 10)
    roots = torch.linalg.eigvalsh(torch.cov(given.T, correction=1)).flip(0)[:10].sqrt()
    variances = torch.linalg.eigvalsh(torch.cov(found.T, correction=1)).flip(0)
    torch.testing.assert_close(variances, roots, rtol=1e-3, atol=0)


def test_all_numbers_have_about_the_same_variance() -> None:
    variances = projected(vectors(), 20).var(0)
    assert variances.max() < 20 * variances.min()  # before the turn: 90


def test_a_direction_without_variance_does_not_blow_up() -> None:
    given = torch.cat([vectors(), torch.ones(200, 5, dtype=torch.float64)], dim=1)
    assert projected(given, 33).abs().max() < 50
