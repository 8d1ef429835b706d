"""The trainer: its steps, gradients, averages and randomness."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from replearn.encoders.models.aae import AAE
from replearn.encoders.models.sdae import SDAE
from replearn.encoders.training.trainer import Trainer, sum_of
from replearn.errors import UsageError
from tests.encoders.training.small import (
    SIZE,
    Terms,
    assert_same_bits,
    new_trainer,
    odd_trainer,
    pictures,
    rates,
    settings_of,
    weights_of,
)


class TwoUpdates(SDAE):
    """Updates its player twice in a step; a term says which update it is."""

    def losses(self, images: Tensor, progress: float) -> Iterator[tuple[str, dict[str, Tensor]]]:
        for number in (1.0, 3.0):
            for player, terms in super().losses(images, progress):
                yield player, terms | {"number": torch.tensor(number)}


def test_a_player_s_term_is_the_mean_over_its_updates() -> None:
    assert odd_trainer(TwoUpdates).train_step()["autoencoder/number"] == 2


@pytest.mark.parametrize("name", ["aae", "sdae"])
def test_it_overfits_sixteen_images(name: str) -> None:
    trainer = new_trainer(
        name, count=16, steps=250, batch_size=16, learning_rate=0.01, warmup=0, ema=0.9
    )
    first = trainer.train_step()["autoencoder/reconstruction"]
    while trainer.step < trainer.steps:
        last = trainer.train_step()["autoencoder/reconstruction"]
    assert float(last) < float(first) / 8


def test_training_depends_on_its_seed_only() -> None:
    first, again, other = (new_trainer("aae", seed=seed) for seed in (3, 3, 4))
    for trainer in (first, again, other):
        torch.manual_seed(trainer.settings.seed * 7)  # noise from elsewhere changes nothing
        for _ in range(3):
            torch.rand(1)
            trainer.train_step()
    assert_same_bits(again, first)
    with pytest.raises(AssertionError):
        assert_same_bits(other, first)


def test_every_step_draws_its_own_noise() -> None:
    # The whole set is one batch and nothing learns, so only the draws from the prior can differ.
    trainer = new_trainer("aae", batch_size=24, learning_rate=0)
    values = [trainer.train_step() for _ in range(4)]
    codes = [float(value["critic/fake"]) for value in values]
    assert codes == pytest.approx([codes[0]] * 4, rel=1e-4)
    assert len({round(float(value["critic/real"]), 6) for value in values}) == 4


def test_the_terms_come_back_under_their_players_names() -> None:
    assert set(new_trainer("aae").train_step()) == {
        "critic/real",
        "critic/fake",
        "critic/order",
        "critic/gradient",
        "autoencoder/reconstruction",
        "autoencoder/prior",
        "autoencoder/gradient",
    }


class Notices(AAE):
    """Notes, between the updates, whose networks got a gradient from the last one."""

    learned: list[set[str]]

    def losses(self, images: Tensor, progress: float) -> Iterator[tuple[str, Terms]]:
        for update in super().losses(images, progress):
            self.zero_grad()
            yield update
            players = self.players().items()
            self.learned.append(
                {
                    name
                    for name, networks in players
                    if any(p.grad is not None for net in networks for p in net.parameters())
                }
            )


def test_a_gradient_is_computed_for_its_player_alone() -> None:
    objective = Notices(size=SIZE, width=4, latent_dim=8, critic_width=16)
    objective.learned = []
    Trainer(objective, pictures(), settings_of()).train_step()
    assert objective.learned == [{"critic"}, {"autoencoder"}]


def test_what_a_model_freezes_stays_as_it_is() -> None:
    trainer = new_trainer()
    frozen = next(trainer.objective.parameters()).requires_grad_(False)
    before = frozen.clone()
    trainer.train_step()
    assert torch.equal(frozen, before)


def test_a_term_without_a_gradient_is_only_watched() -> None:
    weight = torch.tensor(3.0, requires_grad=True)
    terms = {"one": weight.square(), "seen": torch.tensor(math.nan), "two": 5 * weight}
    total = sum_of(terms)
    total.backward()  # type: ignore[no-untyped-call]
    assert float(total.detach()) == 9 + 15
    assert weight.grad is not None
    assert float(weight.grad) == 2 * 3 + 5


def first_gradient(**changes: Any) -> tuple[float, Tensor]:
    """Return the length that the first step tells, and the gradient that it used."""
    trainer = new_trainer(precision="float32", **changes)
    told = float(trainer.train_step()["autoencoder/gradient"])
    parameters = trainer.objective.parameters()
    return told, torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])


@pytest.mark.parametrize("share", [0.9, 0.1, 1e-4])
def test_a_long_gradient_is_shortened_to_the_given_length(share: float) -> None:
    length, free = first_gradient()
    assert length == pytest.approx(float(free.norm()), rel=1e-5)
    told, clipped = first_gradient(gradient_clip=share * length)
    assert told == length, "what is told is the length before"
    torch.testing.assert_close(clipped, share * free, rtol=1e-4, atol=1e-9)
    assert float(clipped.norm()) == pytest.approx(share * length, rel=1e-4)


def test_a_short_gradient_is_left_as_it_is() -> None:
    length, free = first_gradient()
    for clip in (1.01 * length, 100 * length):
        assert torch.equal(first_gradient(gradient_clip=clip)[1], free)


def test_each_player_may_have_a_learning_rate_of_its_own() -> None:
    trainer = new_trainer(
        "aae", learning_rate={"critic": 0.0, "autoencoder": 0.01}, schedule="constant", warmup=0
    )
    before = weights_of(trainer.objective)
    trainer.train_step()
    assert rates(trainer) == {"critic": 0.0, "autoencoder": 0.01}
    after = weights_of(trainer.objective)
    changed = {key.split(".")[0] for key in before if not torch.equal(before[key], after[key])}
    assert changed == {"encoder", "decoder"}


@pytest.mark.parametrize(
    "names",
    [["critic"], ["critic", "autoencoder", "decoder"], ["critic", "autoencoders"], []],
)
def test_learning_rates_of_other_players_are_refused(names: list[str]) -> None:
    with pytest.raises(UsageError, match="the players are critic, autoencoder") as caught:
        new_trainer("aae", learning_rate=dict.fromkeys(names, 0.1))
    assert str(caught.value).startswith(f"training.learning_rate: gives {', '.join(names)}")


@pytest.mark.parametrize("ema", [0.0, 0.2, 0.999])
def test_the_averages_equal_a_computation_by_hand(ema: float) -> None:
    trainer = new_trainer(ema=ema, learning_rate=0.01)
    expected = {key: value.double() for key, value in weights_of(trainer.objective).items()}
    for step in range(1, 6):
        trainer.train_step()
        decay = min(ema, step / (step + 10))
        for key, value in weights_of(trainer.objective).items():
            if value.is_floating_point():
                expected[key] = decay * expected[key] + (1 - decay) * value.double()
            else:
                expected[key] = value.double()
    found = {key: value.double() for key, value in trainer.average.state_dict().items()}
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert not any(parameter.requires_grad for parameter in trainer.average.parameters())
    assert not trainer.average.training


def test_without_averaging_the_last_weights_are_kept() -> None:
    trainer = new_trainer(ema=0)
    for _ in range(3):
        trainer.train_step()
    torch.testing.assert_close(
        trainer.average.state_dict(), trainer.objective.state_dict(), rtol=0, atol=0
    )
