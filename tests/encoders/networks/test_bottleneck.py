"""The bottleneck of a critic: its rate, its weight, and what no longer passes."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from replearn.encoders.losses.adversarial import Adversary
from replearn.encoders.networks.bottleneck import Bottleneck
from replearn.encoders.networks.mlp import CodeTrunk


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def test_draws_follow_the_distributions_whose_divergence_is_the_rate() -> None:
    layer, features = Bottleneck(5), 3 * torch.randn(4, 5)
    with torch.no_grad():
        mean, log_variance = layer.layer(features).chunk(2, dim=1)
        draws = torch.stack([layer.draw(features)[0] for _ in range(4000)])
        rates = layer.draw(features)[1]
    deviation = (0.5 * log_variance).exp()
    torch.testing.assert_close(draws.mean(0), mean, rtol=0, atol=0.1 * deviation.max().item())
    torch.testing.assert_close(draws.std(0), deviation, rtol=0.06, atol=0)
    expected = kl_divergence(Normal(mean, deviation), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(rates, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer(features), mean)


def test_the_weight_grows_above_the_bound_and_falls_to_zero_below_it() -> None:
    layer = Bottleneck(5)
    weights = []
    for rate in [3.0] * 4 + [0.0] * 20:
        term = layer.term(torch.tensor(rate), 1.0)
        weights.append(layer.weight.item())
        assert term.item() == pytest.approx(weights[-1] * (rate - 1))
    assert weights[:4] == pytest.approx([0.002, 0.004, 0.006, 0.008])
    assert weights[5] < weights[4]
    assert weights[-1] == 0


def test_the_weight_stays_where_nothing_is_learned() -> None:
    layer = Bottleneck(5)
    with torch.no_grad():
        layer.term(torch.tensor(3.0), 1.0)
    layer.eval().term(torch.tensor(3.0), 1.0)
    assert layer.weight == 0


def rate_after_training(bound: float) -> float:
    """Return the rate of a critic that has learned to tell two distant samples apart."""
    adversary = Adversary(bottleneck=bound)
    critic = adversary.critic(CodeTrunk(2, 16))
    optimiser = torch.optim.Adam(critic.parameters(), lr=5e-3)
    for _ in range(600):
        real, fake = torch.randn(32, 2) + 2, torch.randn(32, 2) - 2
        terms = adversary.critic_loss(critic, real=real, fake=fake, progress=0.0)
        optimiser.zero_grad()
        torch.autograd.backward(torch.stack([t for t in terms.values() if t.requires_grad]).sum())
        optimiser.step()
    with torch.no_grad():
        inputs = torch.cat([torch.randn(500, 2) + 2, torch.randn(500, 2) - 2])
        return critic.judge_draws(critic.features(inputs))[1].mean().item()


def test_the_critic_learns_no_more_than_the_bound() -> None:
    assert rate_after_training(1.0) < 1.5
    assert rate_after_training(1000.0) > 3


def test_the_generator_meets_the_mean_codes_and_the_critic_draws() -> None:
    adversary = Adversary(bottleneck=0.5)
    critic = adversary.critic(CodeTrunk(2, 16))
    real, fake = torch.randn(8, 2), torch.randn(8, 2)
    expected = torch.nn.functional.softplus(-critic(fake)).mean()
    torch.testing.assert_close(
        adversary.generator_loss(critic, real=real, fake=fake, progress=0.0), expected
    )
    once, again = (
        adversary.critic_loss(critic, real=real, fake=fake, progress=0.0)["real"] for _ in range(2)
    )
    assert once != again
