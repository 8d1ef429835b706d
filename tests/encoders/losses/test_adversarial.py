"""Adversarial losses: each loss and stabiliser by its formula, and all of them together."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from replearn.encoders.losses.adversarial import (
    LOSSES,
    Adversary,
    Inputs,
    gradient_penalty,
    squared_gradient,
)
from replearn.encoders.networks.architectures import ImageTrunk
from replearn.encoders.networks.critic import Critic, PairTrunk, Trunk
from replearn.encoders.networks.mlp import CodeTrunk
from replearn.encoders.networks.two_level import PyramidTrunk, pyramid

Formula = Callable[[Tensor, Tensor], Tensor]

every_loss = pytest.mark.parametrize("loss", LOSSES)
PLAIN = [name for name in LOSSES if name != "relativistic"]  # each logit has a cost of its own


class Joined(Trunk):
    """Features that are the inputs themselves, side by side; remembers all that it saw."""

    def __init__(self, outputs: int, change: Callable[[Tensor], Tensor] = lambda x: x) -> None:
        super().__init__()
        self.outputs = outputs
        self.change = change
        self.seen: list[tuple[Tensor, ...]] = []

    def forward(self, *inputs: Tensor) -> Tensor:
        self.seen.append(tuple(x.detach().clone() for x in inputs))
        return self.change(torch.cat([x.flatten(1) for x in inputs], dim=1))


def critic_of(
    weights: Tensor, bias: float = 0.0, change: Callable[[Tensor], Tensor] = lambda x: x
) -> Critic[Joined]:
    """Return a critic whose logit is weights . change(inputs) + bias."""
    critic = Critic(Joined(len(weights), change))
    critic.head.weight.data = weights[None].clone()
    critic.head.bias.data = weights.new_tensor([bias])
    return critic


def echo() -> Critic[Joined]:
    """Return a critic whose inputs [N, 1] are its logits."""
    return critic_of(torch.ones(1))


def drawn(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


def critic_loss(
    adversary: Adversary, real: Inputs, fake: Inputs, critic: Critic[Any] | None = None
) -> dict[str, Tensor]:
    """Return the terms that are minimised; the one that is only watched has a test of its own."""
    terms = adversary.critic_loss(critic or echo(), real=real, fake=fake, progress=0.0)
    assert not terms.pop("order").requires_grad
    return terms


def generator_loss(
    adversary: Adversary, real: Inputs, fake: Inputs, critic: Critic[Any] | None = None, **how: bool
) -> Tensor:
    return adversary.generator_loss(critic or echo(), real=real, fake=fake, progress=0.0, **how)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def real() -> Tensor:
    return drawn(64, 1, seed=1, scale=3) + 0.5


@pytest.fixture
def fake() -> Tensor:
    return drawn(64, 1, seed=2, scale=2) - 1


# The table of the module's docstring, in float64.


def log_s(logits: Tensor) -> Tensor:
    return torch.log(1 / (1 + torch.exp(-logits.double())))


CRITIC: dict[str, Formula] = {
    "non-saturating": lambda r, f: -log_s(r).mean() - log_s(-f).mean(),
    "least-squares": lambda r, f: (((r - 1) ** 2) / 2).mean() + ((f**2) / 2).mean(),
    "hinge": lambda r, f: (1 - r).clamp(min=0).mean() + (1 + f).clamp(min=0).mean(),
    "wasserstein": lambda r, f: f.mean() - r.mean(),
    "relativistic": lambda r, f: -log_s(r - f.mean()).mean() - log_s(r.mean() - f).mean(),
}
GENERATOR: dict[str, Formula] = {
    "non-saturating": lambda r, f: -log_s(f).mean(),
    "least-squares": lambda r, f: (((f - 1) ** 2) / 2).mean(),
    "hinge": lambda r, f: -f.mean(),
    "wasserstein": lambda r, f: -f.mean(),
    "relativistic": lambda r, f: -log_s(f - r.mean()).mean() - log_s(f.mean() - r).mean(),
}
# What the maker of the real inputs pays on top, who wants them called fake.
EXCHANGED: dict[str, Formula] = {
    "non-saturating": lambda r, f: -log_s(-r).mean(),
    "least-squares": lambda r, f: ((r**2) / 2).mean(),
    "hinge": lambda r, f: r.mean(),
    "wasserstein": lambda r, f: r.mean(),
    "relativistic": lambda r, f: torch.zeros(()),  # it compares both halves anyway
}


def number(value: Tensor | float) -> float:
    return float(torch.as_tensor(value).detach())


def close(value: Tensor | float, expected: Tensor | float) -> None:
    assert number(value) == pytest.approx(number(expected), rel=1e-5, abs=1e-6)


def test_the_table_has_every_loss() -> None:
    assert set(CRITIC) == set(GENERATOR) == set(EXCHANGED) == set(LOSSES)
    for loss in LOSSES:
        Adversary.model_validate({"loss": loss})


@every_loss
def test_the_critic_minimises_what_the_table_says(loss: Any, real: Tensor, fake: Tensor) -> None:
    terms = critic_loss(Adversary(loss=loss), real, fake)
    assert set(terms) == {"real", "fake"}
    close(terms["real"] + terms["fake"], CRITIC[loss](real.double(), fake.double()))


@every_loss
def test_the_order_of_the_logits_is_watched(loss: Any) -> None:
    def order(real: list[float], fake: list[float]) -> float:
        inputs = (torch.tensor([real]).T, torch.tensor([fake]).T)
        terms = Adversary(loss=loss).critic_loss(
            echo(), real=inputs[0], fake=inputs[1], progress=0.0
        )
        return float(terms["order"])

    assert order([2.0, 3.0], [0.0, 1.0]) == 1
    assert order([0.0, 1.0], [2.0, 3.0]) == 0
    assert order([0.0, 2.0], [1.0, 1.0]) == 0.5
    assert order([1.0, 1.0], [1.0, 1.0]) == 0.5  # which half precision makes often


@pytest.mark.parametrize("loss", PLAIN)
def test_each_half_of_the_critic_s_cost_is_of_its_own_logits(
    loss: Any, real: Tensor, fake: Tensor
) -> None:
    adversary = Adversary(loss=loss)
    terms = critic_loss(adversary, real, fake)
    assert torch.equal(critic_loss(adversary, real, fake * 2)["real"], terms["real"])
    assert torch.equal(critic_loss(adversary, real * 2, fake)["fake"], terms["fake"])
    nothing = torch.zeros(1, dtype=torch.float64)
    undecided = critic_loss(adversary, torch.zeros(1, 1), torch.zeros(1, 1))
    both = CRITIC[loss](real.double(), nothing)
    close(terms["real"] + undecided["fake"], both)
    both = CRITIC[loss](nothing, fake.double())
    close(undecided["real"] + terms["fake"], both)


@every_loss
def test_the_generator_minimises_what_the_table_says(loss: Any, real: Tensor, fake: Tensor) -> None:
    close(
        generator_loss(Adversary(loss=loss), real, fake),
        GENERATOR[loss](real.double(), fake.double()),
    )


@every_loss
def test_who_exchanges_also_wants_the_real_called_fake(
    loss: Any, real: Tensor, fake: Tensor
) -> None:
    halves = real.double(), fake.double()
    cost = generator_loss(Adversary(loss=loss), real, fake, exchange=True)
    close(cost, GENERATOR[loss](*halves) + EXCHANGED[loss](*halves))


@pytest.mark.parametrize("loss", ["non-saturating", "least-squares", "relativistic"])
def test_who_exchanges_pays_what_the_critic_would_in_turned_roles(
    loss: Any, real: Tensor, fake: Tensor
) -> None:
    adversary = Adversary(loss=loss)
    critic_s = critic_loss(adversary, fake, real)
    close(generator_loss(adversary, real, fake, exchange=True), critic_s["real"] + critic_s["fake"])


def test_an_exchange_for_wasserstein_s_cost_is_a_zero_sum_game(real: Tensor, fake: Tensor) -> None:
    adversary = Adversary(loss="wasserstein")
    critic_s = critic_loss(adversary, real, fake)
    close(
        generator_loss(adversary, real, fake, exchange=True), -critic_s["real"] - critic_s["fake"]
    )


def test_the_relativistic_loss_ignores_what_is_added_to_all_logits(
    real: Tensor, fake: Tensor
) -> None:
    adversary = Adversary(loss="relativistic")
    before, after = critic_loss(adversary, real, fake), critic_loss(adversary, real + 7, fake + 7)
    for name, term in before.items():
        close(after[name], term)
    close(generator_loss(adversary, real + 7, fake + 7), generator_loss(adversary, real, fake))


@pytest.mark.parametrize("loss", PLAIN)
def test_the_other_losses_do_not_ignore_it(loss: Any, real: Tensor, fake: Tensor) -> None:
    adversary = Adversary(loss=loss)
    assert number(generator_loss(adversary, real + 7, fake + 7)) != pytest.approx(
        number(generator_loss(adversary, real, fake)), abs=0.1
    )


@pytest.mark.parametrize(
    ("loss", "as_real", "as_fake", "of_generator"),
    [
        ("non-saturating", math.log(2), math.log(2), math.log(2)),
        ("least-squares", 0.5, 0, 0.5),
        ("hinge", 1, 1, 0),
        ("wasserstein", 0, 0, 0),
        ("relativistic", math.log(2), math.log(2), 2 * math.log(2)),
    ],
)
def test_an_undecided_critic_s_costs_are_known(
    loss: Any, as_real: float, as_fake: float, of_generator: float
) -> None:
    zeros = torch.zeros(5, 1)
    terms = critic_loss(Adversary(loss=loss), zeros, zeros)
    close(terms["real"], as_real)
    close(terms["fake"], as_fake)
    close(generator_loss(Adversary(loss=loss), zeros, zeros), of_generator)


@every_loss
def test_descending_the_critic_s_cost_parts_the_logits_and_fooling_brings_them_together(
    loss: Any,
) -> None:
    # The critic is unsure, so each loss has a slope.
    inputs = torch.full((4, 1), 0.1), torch.full((4, 1), -0.1)
    critic = critic_of(torch.tensor([0.5]))
    terms = critic_loss(Adversary(loss=loss), *inputs, critic=critic)
    (slope,) = torch.autograd.grad(terms["real"] + terms["fake"], critic.head.weight)
    assert slope < 0  # a larger weight tells them apart better
    real, fake = inputs[0], inputs[1].clone().requires_grad_()
    (slope,) = torch.autograd.grad(generator_loss(Adversary(loss=loss), real, fake), fake)
    assert (slope < 0).all()  # larger logits pass for real


@every_loss
@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_extreme_logits_have_finite_costs_and_gradients(loss: Any, signs: tuple[int, int]) -> None:
    # A square has no finite value in float32 beyond 1e19.
    for size in (1e4, 1e18 if loss == "least-squares" else 1e30):
        real, fake = (torch.full((2, 1), sign * size, requires_grad=True) for sign in signs)
        critic = echo()
        terms = critic_loss(Adversary(loss=loss), real, fake, critic)
        costs = [*terms.values(), generator_loss(Adversary(loss=loss), real, fake, exchange=True)]
        assert torch.stack(costs).isfinite().all()
        torch.autograd.backward(costs)
        for x in (real, fake, critic.head.bias):
            assert x.grad is not None
            assert x.grad.isfinite().all()


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
@every_loss
def test_logits_in_half_precision_are_judged_in_full(loss: Any, kind: torch.dtype) -> None:
    # A mean of 3,000 costs of 60,000 overflows half precision unless it is taken in full.
    real = torch.tensor([[60_000.0], [-60_000.0]]).to(kind).repeat(3000, 1)
    critic = critic_of(torch.ones(1, dtype=kind))
    terms = critic_loss(Adversary(loss=loss, drift=1), real, -real, critic)
    halves = real.double(), -real.double()
    assert {term.dtype for term in terms.values()} == {torch.float32}
    stable = loss in ("non-saturating", "relativistic")  # log s(-60000) underflows as written
    size = float(real[0])
    expected = torch.tensor(size) if stable else CRITIC[loss](*halves)
    assert number(terms["real"] + terms["fake"]) == pytest.approx(float(expected), rel=1e-3)
    assert number(terms["drift"]) == pytest.approx(size**2, rel=1e-3)
    cost = generator_loss(Adversary(loss=loss, feature_matching=1), real, -real, critic)
    assert cost.dtype == torch.float32
    assert cost.isfinite()


# Who gets a gradient.


@every_loss
def test_the_critic_s_loss_trains_nothing_but_the_critic(
    loss: Any, real: Tensor, fake: Tensor
) -> None:
    settings = Adversary(loss=loss, gradient_penalty=1, r1=1, drift=1, instance_noise=0.1)
    makers = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    critic = critic_of(torch.ones(1), change=torch.square)
    terms = critic_loss(settings, real * makers[0], fake * makers[1], critic)
    torch.autograd.backward(list(terms.values()))
    assert [maker.grad for maker in makers] == [None, None]
    assert critic.head.weight.grad is not None
    assert critic.head.weight.grad.abs().sum() > 0


@every_loss
@pytest.mark.parametrize("exchange", [False, True])
def test_the_generator_s_loss_trains_who_made_the_fake_and_the_real_in_an_exchange(
    loss: Any, exchange: bool, real: Tensor, fake: Tensor
) -> None:
    makers = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    cost = generator_loss(
        Adversary(loss=loss), real * makers[0], fake * makers[1], exchange=exchange
    )
    torch.autograd.backward(cost)
    assert makers[1].grad is not None
    assert makers[1].grad.abs() > 0
    if exchange:
        assert makers[0].grad is not None
        assert makers[0].grad.abs() > 0


@pytest.mark.parametrize("loss", PLAIN)
def test_real_inputs_are_not_looked_at_if_nothing_is_compared(loss: Any, fake: Tensor) -> None:
    critic = echo()
    costs = [
        generator_loss(Adversary(loss=loss), real, fake, critic)
        for real in (torch.zeros(64, 1), torch.full((64, 1), math.nan), torch.empty(0))
    ]
    assert torch.equal(costs[0], costs[1])
    assert torch.equal(costs[0], costs[2])
    assert len(critic.trunk.seen) == 3  # one look at the fake inputs each


# Gradient penalties.


@pytest.mark.parametrize("shape", [(7,), (2, 4, 3)])
def test_a_linear_critic_s_penalty_is_known_wherever_it_is_measured(shape: tuple[int, ...]) -> None:
    weights = drawn(math.prod(shape), scale=2)
    expected = (float(weights.double().norm()) - 1) ** 2
    for seed in range(3):
        real, fake = drawn(5, *shape, seed=seed), drawn(5, *shape, seed=seed + 10, scale=100)
        close(gradient_penalty(critic_of(weights), (real,), (fake,)), expected)
    terms = critic_loss(Adversary(gradient_penalty=3), real, fake, critic_of(weights))
    close(terms["gradient_penalty"], 3 * expected)


def test_the_norm_of_a_pair_is_over_both_gradients_together() -> None:
    weights = drawn(12 + 5)
    real = drawn(4, 3, 2, 2), drawn(4, 5, seed=1)
    fake = drawn(4, 3, 2, 2, seed=2), drawn(4, 5, seed=3)
    expected = (float(weights.double().norm()) - 1) ** 2
    close(gradient_penalty(critic_of(weights), real, fake), expected)
    terms = critic_loss(Adversary(gradient_penalty=1), real, fake, critic_of(weights))
    close(terms["gradient_penalty"], expected)


def test_the_penalty_is_measured_at_random_places_between_one_share_for_all_of_a_row() -> None:
    count = 2000
    real = drawn(count, 3, 2, 2), drawn(count, 5, seed=1)
    fake = drawn(count, 3, 2, 2, seed=2), drawn(count, 5, seed=3)
    critic = critic_of(drawn(17))
    gradient_penalty(critic, real, fake)
    ((image, code),) = critic.trunk.seen
    steps = torch.cat([(fake[0] - real[0]).flatten(1), fake[1] - real[1]], dim=1).double()
    gone = torch.cat([(image - real[0]).flatten(1), code - real[1]], dim=1).double()
    shares = (gone * steps).sum(1) / steps.square().sum(1)
    # Every coordinate of both members is at the same share of its way.
    torch.testing.assert_close(gone, shares[:, None] * steps, atol=1e-5, rtol=0)
    # And the shares are uniform: a Kolmogorov-Smirnov distance of 2 is 1 in 1,500.
    assert ((shares >= -1e-6) & (shares <= 1 + 1e-6)).all()
    ranks = (torch.arange(count) + 0.5) / count
    assert (shares.sort().values - ranks).abs().max() * count**0.5 < 2


def test_the_penalty_of_any_critic_is_that_of_its_gradient_at_those_places() -> None:
    # sum w x^2 has the gradient 2 w x.
    weights = drawn(6).double()
    real, fake = drawn(9, 6, seed=1), drawn(9, 6, seed=2)
    critic = critic_of(weights.float(), change=torch.square)
    penalty = gradient_penalty(critic, (real,), (fake,))
    points = critic.trunk.seen[0][0].double()
    close(penalty, ((2 * weights * points).norm(dim=1) - 1).square().mean())


def test_r1_of_a_quadratic_critic_is_known() -> None:
    weights = drawn(6).double()
    real, fake = drawn(9, 6, seed=1), drawn(9, 6, seed=2)
    critic = critic_of(weights.float(), change=torch.square)
    squares = (2 * weights * real.double()).square().sum(1)
    torch.testing.assert_close(squared_gradient(critic, (real,)), squares.float())
    terms = critic_loss(Adversary(r1=10), real, fake, critic)
    close(terms["r1"], 5 * squares.mean())
    # The fake inputs have no part in it.
    assert torch.equal(critic_loss(Adversary(r1=10), real, fake * 9, critic)["r1"], terms["r1"])


def test_r1_of_a_pair_adds_the_squares_of_both_gradients() -> None:
    weights = drawn(9).double()
    pair = drawn(5, 1, 2, 2, seed=1), drawn(5, 5, seed=2)
    critic = critic_of(weights.float(), change=torch.square)
    joined = torch.cat([pair[0].flatten(1), pair[1]], dim=1).double()
    expected = (2 * weights * joined).square().sum(1)
    torch.testing.assert_close(squared_gradient(critic, pair), expected.float())


def test_penalties_are_differentiated_a_second_time() -> None:
    # (|w| - 1)^2 and R1 = weight / 2 * mean(sum (2 w x)^2), both by w.
    start, real, fake = drawn(6), drawn(9, 6, seed=1), drawn(9, 6, seed=2)
    linear = critic_of(start)
    terms = critic_loss(Adversary(gradient_penalty=3), real, fake, linear)
    (slope,) = torch.autograd.grad(terms["gradient_penalty"], linear.head.weight)
    length = start.norm()
    torch.testing.assert_close(slope[0], 3 * 2 * (length - 1) * start / length)
    quadratic = critic_of(start, change=torch.square)
    terms = critic_loss(Adversary(r1=3), real, fake, quadratic)
    (slope,) = torch.autograd.grad(terms["r1"], quadratic.head.weight)
    torch.testing.assert_close(slope[0], 3 * 4 * start * real.square().mean(0))


@pytest.mark.parametrize("name", ["gradient_penalty", "r1"])
def test_a_critic_without_any_slope_has_a_finite_penalty_and_gradient(name: str) -> None:
    critic = critic_of(torch.zeros(6))
    terms = critic_loss(
        Adversary.model_validate({name: 1.0}), drawn(9, 6), drawn(9, 6, seed=1), critic
    )
    assert number(terms[name]) == pytest.approx(float(name == "gradient_penalty"), abs=1e-5)
    (slope,) = torch.autograd.grad(terms[name], critic.head.weight)
    assert slope.isfinite().all()


def test_penalties_are_measured_where_gradients_are_off_too() -> None:
    weights, real = drawn(6), drawn(9, 6, seed=1)
    settings = Adversary(gradient_penalty=1, r1=1)
    with torch.no_grad():
        terms = critic_loss(settings, real, drawn(9, 6, seed=2), critic_of(weights))
    close(terms["gradient_penalty"], (weights.norm() - 1) ** 2)
    close(terms["r1"], 0.5 * weights.square().sum())


def test_penalties_leave_the_inputs_as_they_are() -> None:
    real, fake = drawn(9, 6, seed=1), drawn(9, 6, seed=2)
    copies = real.clone(), fake.clone()
    critic_loss(
        Adversary(gradient_penalty=1, r1=1, instance_noise=1), real, fake, critic_of(drawn(6))
    )
    for tensor, copy in zip((real, fake), copies, strict=True):
        assert torch.equal(tensor, copy)
        assert not tensor.requires_grad
        assert tensor.grad is None


# Noise, doubt, and lies.


@pytest.mark.parametrize(("progress", "deviation"), [(0.0, 0.4), (0.5, 0.2), (0.75, 0.1)])
def test_noise_on_all_that_the_critic_sees_falls_linearly(
    progress: float, deviation: float
) -> None:
    settings, critic = Adversary(instance_noise=0.4, feature_matching=1), critic_of(drawn(57))
    real = drawn(500, 3, 4, 4, seed=1), drawn(500, 9, seed=2)
    fake = drawn(500, 3, 4, 4, seed=3), drawn(500, 9, seed=4)
    settings.critic_loss(critic, real=real, fake=fake, progress=progress)
    settings.generator_loss(critic, fake=fake, real=real, progress=progress)
    clean = [real, fake, fake, real]
    noises = [
        seen - x
        for saw, inputs in zip(critic.trunk.seen, clean, strict=True)
        for seen, x in zip(saw, inputs, strict=True)
    ]
    assert len(noises) == 8
    for noise in noises:
        assert float(noise.std()) == pytest.approx(deviation, rel=0.05)
        assert float(noise.mean()) == pytest.approx(0, abs=5 * deviation / 4500**0.5)
    # No two looks, and no two members, share their noise.
    for one, other in itertools.combinations([n.flatten()[:4500] for n in noises], 2):
        assert torch.corrcoef(torch.stack([one, other]))[0, 1].abs() < 0.08


@pytest.mark.parametrize(("noise", "progress"), [(0.4, 1.0), (0.0, 0.0), (0.0, 0.5)])
def test_without_noise_the_critic_sees_the_very_inputs(noise: float, progress: float) -> None:
    settings, critic = Adversary(instance_noise=noise, feature_matching=1), critic_of(drawn(6))
    real, fake = drawn(9, 6, seed=1), drawn(9, 6, seed=2)
    state = torch.get_rng_state()
    settings.critic_loss(critic, real=real, fake=fake, progress=progress)
    settings.generator_loss(critic, real=real, fake=fake, progress=progress)
    assert torch.equal(torch.get_rng_state(), state)
    for (saw,), x in zip(critic.trunk.seen, (real, fake, fake, real), strict=True):
        assert torch.equal(saw, x)


@pytest.mark.parametrize("smoothing", [0.1, 0.3])
def test_smoothing_is_cross_entropy_with_a_label_below_1(
    smoothing: float, real: Tensor, fake: Tensor
) -> None:
    terms = critic_loss(Adversary(label_smoothing=smoothing), real, fake)
    target = torch.full_like(real, 1 - smoothing)
    close(terms["real"], F.binary_cross_entropy_with_logits(real, target))
    close(terms["fake"], F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake)))


def test_smoothing_the_relativistic_loss_is_cross_entropy_too(real: Tensor, fake: Tensor) -> None:
    terms = critic_loss(Adversary(loss="relativistic", label_smoothing=0.2), real, fake)
    target = torch.full_like(real, 0.8)
    close(terms["real"], F.binary_cross_entropy_with_logits(real - fake.mean(), target))
    close(terms["fake"], critic_loss(Adversary(loss="relativistic"), real, fake)["fake"])


@every_loss
def test_smoothing_mixes_the_costs_of_both_labels_for_the_critic_alone(
    loss: Any, real: Tensor, fake: Tensor
) -> None:
    plain, smooth = Adversary(loss=loss), Adversary(loss=loss, label_smoothing=0.2)
    # The cost of calling real what is real, and fake what is real.
    right, wrong = critic_loss(plain, real, fake)["real"], critic_loss(plain, fake, real)["fake"]
    close(critic_loss(smooth, real, fake)["real"], 0.8 * right + 0.2 * wrong)
    assert torch.equal(generator_loss(smooth, real, fake), generator_loss(plain, real, fake))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("share", [0.05, 0.3])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_flipping_gives_a_share_of_the_inputs_the_other_label(
    loss: Any, share: float, smoothing: float
) -> None:
    count = 2_000  # the share of pairs in order looks at count^2 of them
    real, fake = torch.full((count, 1), 0.7), torch.full((count, 1), -0.4)
    settings = {"loss": loss, "label_smoothing": smoothing}
    kept = critic_loss(Adversary.model_validate(settings), real, fake)
    # On flipped labels no smoothing is due: the doubt is in them.
    flipped = critic_loss(Adversary(loss=loss), fake, real)
    settings["label_flipping"] = share
    terms = critic_loss(Adversary.model_validate(settings), real, fake)
    for name, other in (("real", "fake"), ("fake", "real")):
        found = (terms[name] - kept[name]) / (flipped[other] - kept[name])
        assert number(found) == pytest.approx(share, abs=4 * (share * (1 - share) / count) ** 0.5)


def test_flips_are_drawn_anew_for_each_input_and_call() -> None:
    real = torch.linspace(0.5, 2, 500)[:, None]
    fake = -real
    first, second = (critic_loss(Adversary(label_flipping=0.4), real, fake) for _ in range(2))
    # By symmetry the halves would cost the same if they shared their flips.
    costs = [number(term) for terms in (first, second) for term in terms.values()]
    assert len(set(costs)) == 4


@every_loss
def test_the_default_losses_draw_no_random_numbers(loss: Any, real: Tensor, fake: Tensor) -> None:
    critic, state = echo(), torch.get_rng_state()
    settings = Adversary(loss=loss, drift=1, r1=1, feature_matching=1, label_smoothing=0.1)
    critic_loss(settings, real, fake, critic)
    generator_loss(settings, real, fake, critic, exchange=True)
    assert torch.equal(torch.get_rng_state(), state)
    critic_loss(Adversary(loss=loss, label_flipping=0.1), real, fake, critic)
    assert not torch.equal(torch.get_rng_state(), state)


@every_loss
def test_drift_is_the_mean_squared_logit_of_real_inputs(
    loss: Any, real: Tensor, fake: Tensor
) -> None:
    terms = critic_loss(Adversary(loss=loss, drift=0.3), real, fake)
    close(terms["drift"], 0.3 * real.double().square().mean())
    assert set(terms) == {"real", "fake", "drift"}


@every_loss
@pytest.mark.parametrize("exchange", [False, True])
def test_feature_matching_adds_the_distance_of_the_mean_features(loss: Any, exchange: bool) -> None:
    critic = critic_of(drawn(6), change=torch.tanh)
    real, fake = drawn(9, 6, seed=1), drawn(9, 6, seed=2)
    means = [x.double().tanh().mean(0) for x in (real, fake)]
    expected = ((means[0] - means[1]) ** 2).sum() / 6
    plain = generator_loss(Adversary(loss=loss), real, fake, critic, exchange=exchange)
    cost = generator_loss(
        Adversary(loss=loss, feature_matching=5), real, fake, critic, exchange=exchange
    )
    close(cost - plain, 5 * expected)


def test_features_of_equal_batches_match_in_any_order() -> None:
    critic, real = critic_of(drawn(6)), drawn(9, 6, seed=1)
    cost = generator_loss(Adversary(feature_matching=5), real, real.flip(0), critic)
    close(cost, generator_loss(Adversary(), real, real, critic))


# All together.

STABILISERS: dict[str, Any] = {
    "gradient_penalty": 10.0,
    "r1": 1.0,
    "drift": 0.001,
    "feature_matching": 1.0,
    "instance_noise": 0.1,
    "label_smoothing": 0.1,
    "label_flipping": 0.05,
    "spectral_norm": True,
    "minibatch_stddev": True,
    "bottleneck": 0.5,
    "critic_steps": 5,
}
OPTIONS = [*STABILISERS.items(), *(("loss", loss) for loss in LOSSES)]
PAIRS = [
    dict(pair) for pair in itertools.combinations(OPTIONS, 2) if len({name for name, _ in pair}) > 1
]
EVERYTHING = [{"loss": loss, **STABILISERS} for loss in LOSSES]
COUNT = 6


def codes() -> tuple[Trunk, Tensor]:
    return CodeTrunk(5, 8), torch.randn(COUNT, 5)


def images() -> tuple[Trunk, Tensor]:
    return ImageTrunk("dcgan", 8, 1, 2), torch.randn(COUNT, 1, 8, 8)


def pyramids() -> tuple[Trunk, Inputs]:
    return PyramidTrunk(16, 1, 2), pyramid(torch.randn(COUNT, 1, 16, 16))


def pairs() -> tuple[Trunk, Inputs]:
    trunk = PairTrunk(ImageTrunk("resnet", 8, 1, 2), CodeTrunk(5, 4), 8)
    return trunk, (torch.randn(COUNT, 1, 8, 8), torch.randn(COUNT, 5))


def name_of(settings: dict[str, Any]) -> str:
    return "all" if len(settings) > 2 else "-".join(map(str, settings))


@pytest.mark.parametrize("settings", [*PAIRS, *EVERYTHING], ids=name_of)
@pytest.mark.parametrize("kind", [codes, images, pyramids, pairs])
def test_every_setting_works_with_every_other_on_every_kind_of_input(
    kind: Callable[[], tuple[Trunk, Inputs]], settings: dict[str, Any]
) -> None:
    adversary = Adversary.model_validate(settings)
    trunk, real = kind()
    critic = adversary.critic(trunk)
    maker = torch.full((1,), 0.5, requires_grad=True)
    fake = tuple(x * maker for x in real) if isinstance(real, tuple) else real * maker
    terms = adversary.critic_loss(critic, real=real, fake=fake, progress=0.5)
    optional = {"gradient_penalty", "r1", "drift", "bottleneck"} & set(settings)
    assert set(terms) == {"real", "fake", "order"} | optional
    for term in terms.values():
        assert term.shape == ()
        assert term.isfinite()
    torch.autograd.backward(sum(terms.values(), start=torch.zeros(())))
    for name, parameter in critic.named_parameters():
        # A bias of the critic cancels where only differences count.
        if parameter.grad is None:
            pytest.fail(f"{name} has no gradient")
        assert parameter.grad.isfinite().all(), name
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in critic.parameters())
    assert maker.grad is None
    cost = adversary.generator_loss(
        critic, fake=fake, real=real, progress=0.5, exchange=kind is pairs
    )
    assert cost.shape == ()
    assert cost.isfinite()
    torch.autograd.backward(cost)
    assert maker.grad is not None
    assert maker.grad.isfinite().all()
    assert maker.grad.abs().sum() > 0


@every_loss
@pytest.mark.parametrize("kind", [codes, images, pyramids, pairs])
def test_batches_without_any_variety_have_finite_costs_and_gradients(
    kind: Callable[[], tuple[Trunk, Inputs]], loss: Any
) -> None:
    settings = Adversary.model_validate({"loss": loss, **STABILISERS, "instance_noise": 0.0})
    trunk, inputs = kind()
    critic = settings.critic(trunk)
    alike = inputs if isinstance(inputs, tuple) else (inputs,)
    alike = tuple(x[:1].expand_as(x).clone().requires_grad_() for x in alike)
    terms = settings.critic_loss(critic, real=alike, fake=alike, progress=0)
    costs = [*terms.values(), settings.generator_loss(critic, real=alike, fake=alike, progress=0)]
    assert torch.stack(costs).isfinite().all()
    torch.autograd.backward([cost for cost in costs if cost.requires_grad])
    for tensor in (*critic.parameters(), *alike):
        assert tensor.grad is not None
        assert tensor.grad.isfinite().all()


def test_a_weight_scales_its_own_term_only() -> None:
    trunk, real = codes()
    critic, fake = Adversary().critic(trunk), torch.randn(COUNT, 5)
    weights = {"gradient_penalty": 2.0, "r1": 3.0, "drift": 5.0}
    terms = []
    for settings in (dict.fromkeys(weights, 1.0), weights):
        torch.manual_seed(1)  # the same points between
        terms.append(critic_loss(Adversary.model_validate(settings), real, fake, critic))
    once, weighted = terms
    for name, term in once.items():
        close(weighted[name], weights.get(name, 1.0) * term)


def test_the_critic_has_the_layers_that_the_settings_ask_for() -> None:
    def kinds(**settings: bool) -> set[str]:
        critic = Adversary.model_validate(settings).critic(CodeTrunk(5, 8))
        return {type(module).__name__ for module in critic.modules()}

    assert "SpectralNorm" not in kinds()
    assert "SpectralNorm" in kinds(spectral_norm=True)
    assert not Adversary().critic(CodeTrunk(5, 8)).minibatch_stddev
    wide = Adversary(minibatch_stddev=True).critic(CodeTrunk(5, 8))
    assert isinstance(wide.head, nn.Linear)
    assert wide.head.in_features == 9
    trunk = CodeTrunk(5, 8)
    assert Adversary().critic(trunk).trunk is trunk


# Settings.


@pytest.mark.parametrize(
    "settings",
    [
        {"penalty": 1.0},
        {"loss": "saturating"},
        {"loss": None},
        {"critic_steps": 0},
        {"critic_steps": 1.5},
        {"gradient_penalty": -1.0},
        {"r1": -0.1},
        {"r1": math.nan},
        {"drift": -1.0},
        {"feature_matching": -1.0},
        {"instance_noise": -0.1},
        {"label_smoothing": -0.1},
        {"label_smoothing": 0.5},
        {"label_flipping": -0.1},
        {"label_flipping": 0.5},
        {"spectral_norm": "often"},
        {"minibatch_stddev": 3},
        {"bottleneck": -1.0},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        Adversary.model_validate(settings)
    assert [error["loc"] for error in caught.value.errors()] == [tuple(settings)]


def test_settings_are_not_changed_afterwards() -> None:
    adversary = Adversary()
    with pytest.raises(ValidationError):
        adversary.r1 = 3.0  # type: ignore[misc]
