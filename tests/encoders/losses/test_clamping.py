"""Jacobian clamping: its formula, and what it does to a linear generator."""

import pytest
import torch

from replearn.encoders.losses.clamping import clamping_penalty
from replearn.encoders.models import build
from replearn.encoders.models.gan import GAN
from replearn.encoders.networks.jacobian import singular_values
from tests.encoders.networks.test_jacobian import codes, linear


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("bounds", "expected"), [((1, 20), 0.0), ((1, 5), 9.0), ((10, 20), 4.0), ((8, 8), 0.0)]
)
def test_clamping_is_the_squared_distance_of_the_gains_from_the_bounds(
    bounds: tuple[float, float], expected: float
) -> None:
    alike = linear(torch.full((4,), 8.0, dtype=torch.float64))
    found = clamping_penalty(alike, codes(7), bounds)
    assert found.item() == pytest.approx(expected, abs=1e-9)


def test_clamping_draws_a_generator_into_the_bounds() -> None:
    layer = linear()
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(300):
        optimiser.zero_grad()
        torch.autograd.backward(clamping_penalty(layer, codes(64), (2, 6)))
        optimiser.step()
    values = singular_values(layer, codes(1))
    # Of directions, of which few are those of the extremes.
    assert values.max() < 8
    assert values.min() > 1.5


def test_a_gan_pays_for_gains_outside_of_the_bounds_with_its_generator_alone() -> None:
    arguments = {"width": 4, "latent_dim": 4, "clamping": [50.0, 60.0]}
    model = build("gan", size=8, channels=1, arguments=arguments)
    terms = dict(model.losses(torch.randn(6, 1, 8, 8), 0.0))  # type: ignore[operator]
    assert "clamping" not in terms["critic"]
    assert terms["generator"]["clamping"] > 40**2  # as its gains are below 10
    torch.autograd.backward(terms["generator"]["clamping"])
    assert isinstance(model, GAN)
    assert all(p.grad is not None for p in model.generator.parameters() if p.ndim > 1)
    assert all(p.grad is None for p in model.critic.parameters())
