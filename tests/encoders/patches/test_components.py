"""Whitened components against the exact decomposition."""

import pytest
import torch

from replearn.encoders.patches.components import whitened_components
from replearn.errors import DataError


def vectors(count: int = 200, width: int = 30) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    falling = torch.arange(1, width + 1).double().pow(-1.5)
    turned = torch.linalg.qr(torch.randn(width, width, generator=random, dtype=torch.float64))[0]
    return 5 + (torch.randn(count, width, generator=random, dtype=torch.float64) * falling) @ turned


def test_components_are_those_of_the_covariance_up_to_their_signs() -> None:
    given = vectors()
    mean, components = whitened_components(given, 4, torch.Generator().manual_seed(1))
    centred = given - given.mean(0)
    variances, directions = torch.linalg.eigh(centred.T @ centred / len(given))
    expected = directions.flip(1)[:, :4] / variances.flip(0)[:4].sqrt()
    torch.testing.assert_close(mean, given.mean(0))
    torch.testing.assert_close(components.abs(), expected.abs(), rtol=1e-6, atol=1e-6)


def test_projected_vectors_are_uncorrelated_with_variance_one() -> None:
    given = vectors()
    mean, components = whitened_components(given, 10, torch.Generator().manual_seed(1))
    found = (given - mean) @ components
    torch.testing.assert_close(found.T @ found / len(given), torch.eye(10, dtype=torch.float64))


def test_a_direction_without_variance_does_not_blow_up() -> None:
    given = torch.cat([vectors(), torch.ones(200, 5, dtype=torch.float64)], dim=1)
    mean, components = whitened_components(given, 33, torch.Generator().manual_seed(1))
    assert ((given - mean) @ components).abs().max() < 50


def test_more_components_than_directions_are_refused() -> None:
    with pytest.raises(DataError, match=r"^whitened 30: 20 images of 30 values have no more than"):
        whitened_components(vectors(20), 30, torch.Generator())
