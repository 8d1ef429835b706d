"""The priors of codes: their moments, their supports, and what a draw looks like."""

import math

import pytest
import torch
from torch import Tensor

from replearn.priors import PRIORS

names = pytest.mark.parametrize("name", PRIORS)


def on_support(name: str, codes: Tensor) -> bool:
    radius = math.sqrt(codes.shape[1])
    tests = {
        "normal": codes.isfinite(),
        "sphere": (codes.norm(dim=1) - radius).abs() < 1e-4 * radius,
        "uniform": codes.abs() <= math.sqrt(3),
    }
    return bool(tests[name].all())


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@names
@pytest.mark.parametrize("dim", [2, 16])
def test_every_coordinate_has_mean_0_and_variance_1(name: str, dim: int) -> None:
    drawn = PRIORS[name].sample_like(torch.empty(40_000, dim))
    assert drawn.mean(0).abs().max() < 0.03
    assert (drawn.var(0) - 1).abs().max() < 0.03


@names
def test_coordinates_are_uncorrelated(name: str) -> None:
    correlations = torch.corrcoef(PRIORS[name].sample_like(torch.empty(40_000, 6)).T)
    assert (correlations - torch.eye(6)).abs().max() < 0.03


@names
def test_draws_lie_on_the_support(name: str) -> None:
    assert on_support(name, PRIORS[name].sample_like(torch.empty(1000, 8)))


@names
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_projections_lie_on_the_support_and_keep_the_signs(name: str, scale: float) -> None:
    raw = torch.randn(1000, 8) * scale
    projected = PRIORS[name].project(raw)
    assert on_support(name, projected)
    assert torch.equal(projected.sign(), raw.sign())


def test_projecting_on_the_sphere_keeps_the_direction() -> None:
    raw = torch.randn(100, 8)
    projected = PRIORS["sphere"].project(raw)
    cosines = torch.nn.functional.cosine_similarity(raw, projected)
    torch.testing.assert_close(cosines, torch.ones(100))
    torch.testing.assert_close(PRIORS["sphere"].project(projected), projected)


def test_the_normal_prior_takes_codes_as_they_are() -> None:
    raw = torch.randn(10, 8) * 100
    assert torch.equal(PRIORS["normal"].project(raw), raw)


@names
@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.float16])
def test_draws_have_the_shape_and_type_of_the_codes(name: str, kind: torch.dtype) -> None:
    codes = torch.zeros(7, 5, dtype=kind)
    drawn = PRIORS[name].sample_like(codes)
    assert (drawn.shape, drawn.dtype) == (codes.shape, kind)
    assert len(set(drawn.flatten().tolist())) > 20
    assert torch.equal(codes, torch.zeros(7, 5, dtype=kind))


@names
def test_draws_differ_from_call_to_call_and_depend_on_the_seed(name: str) -> None:
    codes = torch.empty(4, 8)
    first, second = (PRIORS[name].sample_like(codes) for _ in range(2))
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(PRIORS[name].sample_like(codes), first)
