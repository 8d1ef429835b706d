"""The trainer: it learns, resumes bit for bit, stops cleanly, and keeps what it promises."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import safetensors.torch
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from replearn.artefacts.identity import identify
from replearn.encoders.contract import FittedEncoder, Model, Objective
from replearn.encoders.models import MODELS, build, check_arguments
from replearn.encoders.models.aae import AAE
from replearn.encoders.models.sdae import SDAE
from replearn.encoders.training.checkpoint import read_checkpoint
from replearn.encoders.training.loop import fit, fit_encoder
from replearn.encoders.training.settings import TrainingSettings
from replearn.encoders.training.trainer import Trainer, seed_all, sum_of
from replearn.errors import DataError, UsageError
from replearn.settings import check_settings

SIZE = 16
_SIZES: dict[str, Any] = {"width": 4, "latent_dim": 8, "critic_width": 16, "noise_dim": 8}
OBJECTIVES = [name for name, model in MODELS.items() if issubclass(model, Objective)]
SMALL: dict[str, dict[str, Any]] = {
    name: {key: _SIZES[key] for key in check_arguments(name, {}) if key in _SIZES}
    for name in OBJECTIVES
}
SMALL["combined"] = {
    "parts": {
        "aae": {"model": "aae", "arguments": SMALL["aae"]},
        "pca": {"model": "pca", "arguments": {"latent_dim": 4}},
    }
}
STEPS = 8

Terms = dict[str, Tensor]


def pictures(count: int = 24) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return smooth images uint8 [N, 1, 16, 16]."""
    random = np.random.default_rng(0)
    coarse = random.uniform(0, 255, (count, 4, 4)).astype(np.float32)
    images = [cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR) for image in coarse]
    return np.stack(images).astype(np.uint8)[:, None]


def settings_of(**changes: Any) -> TrainingSettings:
    common = {"batch_size": 8, "warmup": 2, "device": "cpu", "log_every": 1}
    if "epochs" not in changes:
        common["steps"] = STEPS
    return TrainingSettings.model_validate(common | changes)


def new_trainer(
    name: str = "sdae", *, weights: int = 0, count: int = 24, **changes: Any
) -> Trainer:
    seed_all(weights)
    model = build(name, size=SIZE, channels=1, arguments=SMALL[name])
    assert isinstance(model, Objective)
    return Trainer(model, pictures(count), settings_of(**changes))


def odd_trainer(kind: type[SDAE], **changes: Any) -> Trainer:
    """Return a trainer of an autoencoder whose losses do something odd."""
    seed_all(0)
    return Trainer(kind(size=SIZE, width=4, latent_dim=8), pictures(), settings_of(**changes))


def go(trainer: Trainer, folder: Path, *, resume: bool = False) -> None:
    """Run `fit` as the stage does."""
    facts = {"model": "sdae", "training": trainer.settings.facts()}
    folder.mkdir(exist_ok=True)
    fit(trainer, folder, identify("sdae", **facts), facts, resume=resume)


def rates(trainer: Trainer) -> dict[str, float]:
    return {name: o.param_groups[0]["lr"] for name, o in trainer.optimisers.items()}


def weights_of(model: torch.nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


def assert_same_bits(found: Trainer, expected: Trainer) -> None:
    def state(trainer: Trainer) -> dict[str, Any]:
        return {
            "step": trainer.step,
            "objective": trainer.objective.state_dict(),
            "average": trainer.average.state_dict(),
            "optimisers": {name: o.state_dict() for name, o in trainer.optimisers.items()},
        }

    torch.testing.assert_close(state(found), state(expected), rtol=0, atol=0)


def metrics(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Let sums run in one order here and in the processes started here."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# Learning


class OddMoves(SDAE):
    """Moves twice in a round; a term says which move it is."""

    def losses(self, images: Tensor, progress: float) -> Iterator[tuple[str, dict[str, Tensor]]]:
        for move in (1.0, 3.0):
            for player, terms in super().losses(images, progress):
                yield player, terms | {"move": torch.tensor(move)}


def test_a_player_s_term_is_the_mean_over_its_moves() -> None:
    assert odd_trainer(OddMoves).train_step()["autoencoder/move"] == 2


@pytest.mark.parametrize("name", ["aae", "sdae"])
def test_it_overfits_sixteen_images(name: str) -> None:
    trainer = new_trainer(
        name, count=16, steps=250, batch_size=16, learning_rate=0.01, warmup=0, ema=0.9
    )
    first = trainer.train_step()["autoencoder/reconstruction"]
    while trainer.step < trainer.steps:
        last = trainer.train_step()["autoencoder/reconstruction"]
    assert float(last) < float(first) / 8


def test_the_averaged_model_that_fit_returns_has_learned_too(tmp_path: Path) -> None:
    trainer = new_trainer(count=16, steps=150, batch_size=16, learning_rate=0.01, log_every=50)
    images = torch.from_numpy(pictures(16)).float() / 127.5 - 1

    def error() -> float:
        with torch.no_grad():
            (_, terms), *_ = trainer.average.losses(images, 1.0)
        return float(terms["reconstruction"])

    before = error()
    facts = {"training": trainer.settings.facts()}
    model = fit(trainer, tmp_path, "ae:1", facts, resume=False)
    assert model is trainer.average
    assert not model.training
    assert error() < before / 4


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
    # The whole set is one batch and nothing moves, so only the draws from the prior can differ.
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
    """Notes, between the moves, whose networks have learned from the last one."""

    learned: list[set[str]]

    def losses(self, images: Tensor, progress: float) -> Iterator[tuple[str, Terms]]:
        for move in super().losses(images, progress):
            self.zero_grad()
            yield move
            players = self.players().items()
            self.learned.append(
                {
                    name
                    for name, networks in players
                    if any(p.grad is not None for net in networks for p in net.parameters())
                }
            )


def test_a_move_is_worked_out_for_its_player_alone() -> None:
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


# Length, learning rate and schedule


@pytest.mark.parametrize(
    ("changes", "count", "steps"),
    [
        ({"steps": 7}, 24, 7),
        ({"epochs": 1}, 24, 3),
        ({"epochs": 2, "batch_size": 10}, 24, 5),
        ({"epochs": 3, "batch_size": 64}, 24, 3),
    ],
)
def test_steps_or_epochs_say_how_long_a_training_is(
    changes: dict[str, Any], count: int, steps: int
) -> None:
    assert settings_of(**changes).length(count) == steps
    assert new_trainer(count=count, **changes).steps == steps


def test_a_training_has_one_length() -> None:
    with pytest.raises(UsageError, match=r"^training: .*, and null for the other$"):
        check_settings(TrainingSettings, {"steps": 7, "epochs": 1}, "training")
    with pytest.raises(UsageError, match=r"^training: steps and epochs: give one of them$"):
        check_settings(TrainingSettings, {"steps": None}, "training")
    for steps, epochs, length in ((7, None, 7), (None, 2, 6)):
        settings = {"steps": steps, "epochs": epochs, "batch_size": 8}
        assert check_settings(TrainingSettings, settings, "training").length(24) == length


@pytest.mark.parametrize("rate", [math.inf, math.nan, -1, {"critic": -1}, {"critic": math.inf}])
def test_a_learning_rate_that_is_none_is_refused_by_its_place(rate: Any) -> None:
    place = "training.learning_rate" + ".critic" * isinstance(rate, dict)
    with pytest.raises(UsageError, match=f"^{place}: (inf|nan|-1) does not fit"):
        check_settings(TrainingSettings, {"learning_rate": rate}, "training")


def test_a_disk_that_is_full_is_named_and_nothing_half_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = new_trainer()

    def fills_the_disk(state: Any, path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("[enforce fail] unexpected pos 704 vs 598")

    monkeypatch.setattr(torch, "save", fills_the_disk)
    with pytest.raises(DataError, match=rf"{tmp_path}/checkpoint.pt: .*; make room there"):
        trainer.save(tmp_path / "checkpoint.pt", "x:1", {})
    assert not list(tmp_path.iterdir())


def test_each_player_may_have_a_learning_rate_of_its_own() -> None:
    trainer = new_trainer(
        "aae", learning_rate={"critic": 0.0, "autoencoder": 0.01}, schedule="constant", warmup=0
    )
    before = weights_of(trainer.objective)
    trainer.train_step()
    assert rates(trainer) == {"critic": 0.0, "autoencoder": 0.01}
    after = weights_of(trainer.objective)
    moved = {key.split(".")[0] for key in before if not torch.equal(before[key], after[key])}
    assert moved == {"encoder", "decoder"}


@pytest.mark.parametrize(
    "names",
    [["critic"], ["critic", "autoencoder", "decoder"], ["critic", "autoencoders"], []],
)
def test_learning_rates_of_other_players_are_refused(names: list[str]) -> None:
    with pytest.raises(UsageError, match="the players are critic, autoencoder") as caught:
        new_trainer("aae", learning_rate=dict.fromkeys(names, 0.1))
    assert str(caught.value).startswith(f"training.learning_rate: gives {', '.join(names)}")


def rates_over_time(**changes: Any) -> list[float]:
    trainer = new_trainer(learning_rate=0.5, **changes)
    found = []
    while trainer.step < trainer.steps:
        trainer.train_step()
        found.append(rates(trainer)["autoencoder"])
    return found


@pytest.mark.parametrize("warmup", [0, 3, 100])
def test_the_learning_rate_rises_in_equal_steps_and_stays(warmup: int) -> None:
    expected = [0.5 * min(1, (step + 1) / (warmup + 1)) for step in range(STEPS)]
    assert rates_over_time(schedule="constant", warmup=warmup) == pytest.approx(expected)


def test_the_cosine_schedule_falls_from_the_whole_to_almost_nothing() -> None:
    found = rates_over_time(schedule="cosine", warmup=0)
    expected = [0.25 * (1 + math.cos(math.pi * step / STEPS)) for step in range(STEPS)]
    assert found == pytest.approx(expected)
    assert found[0] == 0.5
    assert found[STEPS // 2] == pytest.approx(0.25)
    assert 0 < found[-1] < 0.02


def test_warm_up_and_cosine_are_multiplied() -> None:
    rising, falling, both = (
        rates_over_time(schedule=schedule, warmup=warmup)
        for schedule, warmup in (("constant", 3), ("cosine", 0), ("cosine", 3))
    )
    expected = [a * b / 0.5 for a, b in zip(rising, falling, strict=True)]
    assert both == pytest.approx(expected)


# Averaged weights


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


def test_what_nobody_trains_is_measured_on_the_averaged_model_once_and_kept(tmp_path: Path) -> None:
    whole, stopped = (new_trainer("combined") for _ in range(2))
    model = whole_fit(whole, tmp_path / "whole")
    embeddings = embedded(model)
    lengths = [block.square().sum(1).mean() for block in torch.split(embeddings, [8, 4], dim=1)]
    torch.testing.assert_close(torch.stack(lengths), torch.ones(2))
    shutil.copytree(tmp_path / "whole", tmp_path / "again")
    torch.testing.assert_close(
        embedded(whole_fit(stopped, tmp_path / "again")), embeddings, rtol=0, atol=0
    )


def test_a_part_that_cannot_be_fitted_fails_before_the_first_step(tmp_path: Path) -> None:
    large = {"model": "pca", "arguments": {"latent_dim": 100}}
    model = build("combined", size=SIZE, channels=1, arguments={"parts": {"pca": large}})
    assert isinstance(model, Objective)
    trainer = Trainer(model, pictures(), settings_of())
    with pytest.raises(DataError, match="latent_dim 100"):
        whole_fit(trainer, tmp_path)
    assert trainer.step == 0


def test_a_combination_of_fitted_encoders_needs_no_rounds(tmp_path: Path) -> None:
    parts = {"raw": {"model": "raw"}, "pca": {"model": "pca", "arguments": {"latent_dim": 4}}}
    model = build("combined", size=SIZE, channels=1, arguments={"parts": parts})
    assert isinstance(model, Objective)
    trainer = Trainer(model, pictures(), settings_of())
    assert embedded(whole_fit(trainer, tmp_path)).isfinite().all()
    assert trainer.step == 1


def whole_fit(trainer: Trainer, folder: Path) -> Model:
    folder.mkdir(exist_ok=True)
    return fit(trainer, folder, "combined:1", {}, resume=True)


@torch.no_grad()
def embedded(model: Model) -> Tensor:
    return model.embed(torch.from_numpy(pictures()).float() / 127.5 - 1)


# Going on


def assert_resuming_changes_nothing(name: str, done: int, folder: Path, **changes: Any) -> None:
    whole, first = (new_trainer(name, **changes) for _ in range(2))
    for _ in range(STEPS):
        whole.train_step()
    for _ in range(done):
        first.train_step()
    first.save(folder / "checkpoint.pt", "x:1", {})
    second = new_trainer(name, weights=99, **changes)
    second.resume(folder / "checkpoint.pt", "x:1", {})
    assert second.step == done
    assert_same_bits(second, first)
    while second.step < STEPS:
        second.train_step()
    assert_same_bits(second, whole)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("done", [1, STEPS // 2])
def test_resuming_is_bit_identical_to_not_stopping(name: str, done: int, tmp_path: Path) -> None:
    assert_resuming_changes_nothing(name, done, tmp_path)


@pytest.mark.parametrize("name", ["sdae", "aae"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_resuming_is_bit_identical_in_every_precision(
    name: str, precision: str, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"gradient_clip": 0.5, "crop": 16, "flip": True}
    assert_resuming_changes_nothing(name, STEPS // 2, tmp_path, precision=precision, **changes)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("name", SMALL)
def test_resuming_is_bit_identical_on_a_gpu_where_that_is_asked_for(
    name: str, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"device": "cuda", "deterministic": True}
    assert_resuming_changes_nothing(name, STEPS // 2, tmp_path, **changes)


def test_a_checkpoint_holds_no_code(tmp_path: Path) -> None:
    trainer = new_trainer()
    trainer.train_step()
    trainer.save(tmp_path / "checkpoint.pt", "ae:1", {"seed": 0})
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert (state["identity"], state["step"]) == ("ae:1", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"learning_rate": 0.01}, "training.learning_rate: 0.001 there, 0.01 now"),
        ({"steps": 9}, "training.steps: 8 there, 9 now"),
        ({"epochs": 2}, "training.epochs: None there, 2 now"),
        (
            {"learning_rate": {"autoencoder": 0.01}},
            "training.learning_rate.autoencoder: unset there, 0.01 now",
        ),
    ],
)
def test_resuming_with_other_settings_is_refused_with_both_values(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    go(new_trainer(), tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(DataError, match="another training") as caught:
        go(new_trainer(**changes), tmp_path, resume=True)
    assert said in str(caught.value)
    assert "training.seed" not in str(caught.value), "what agrees is not named"
    assert "\n" not in str(caught.value)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_watching_and_device_may_change_between_runs(tmp_path: Path) -> None:
    go(new_trainer(), tmp_path)
    watching: dict[str, Any] = {
        "log_every": 3,
        "checkpoint_every": 2,
        "sheet_every": 4,
        "probe_every": 7,
        "device": "auto",
    }
    go(new_trainer(**watching), tmp_path, resume=True)


@pytest.mark.parametrize("damage", ["empty", "short", "nonsense", "code", "another's", "a list"])
def test_a_damaged_checkpoint_is_refused_in_one_line(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    go(new_trainer(), tmp_path)
    whole = path.read_bytes()
    if damage == "code":
        torch.save({"identity": print, "step": pytest.fail}, path)
    elif damage == "another's":
        torch.save({"weights": torch.zeros(3)}, path)
    elif damage == "a list":
        torch.save([1, 2], path)
    else:
        contents = {"empty": b"", "short": whole[: len(whole) // 2], "nonsense": b"nonsense"}
        path.write_bytes(contents[damage])
    with pytest.raises(DataError, match="damaged") as caught:
        go(new_trainer(), tmp_path, resume=True)
    assert str(caught.value).startswith(f"{path}: ")
    assert "--overwrite" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_of_the_crop_s_size_trains_and_resumes_on_larger_images(tmp_path: Path) -> None:
    def cropping() -> Trainer:
        seed_all(0)
        return Trainer(SDAE(size=8, width=4, latent_dim=8), pictures(), settings_of(crop=8))

    whole, first = cropping(), cropping()
    go(whole, tmp_path / "whole")
    for _ in range(3):
        first.train_step()
    first.save(tmp_path / "checkpoint.pt", "x:1", {})
    second = cropping()
    second.resume(tmp_path / "checkpoint.pt", "x:1", {})
    while second.step < STEPS:
        second.train_step()
    assert_same_bits(second, whole)


# Stopping


class BreaksAtHalf(SDAE):
    """Fails in the middle of the training, as a machine does that is switched off."""

    broken = True

    def losses(self, images: Tensor, progress: float) -> Iterator[tuple[str, Terms]]:
        if self.broken and progress >= 0.5:
            raise RuntimeError("switched off")
        yield from super().losses(images, progress)


def test_no_step_stands_twice_in_the_metrics_after_resuming(tmp_path: Path) -> None:
    often: dict[str, Any] = {"checkpoint_every": 3}
    with pytest.raises(RuntimeError, match="switched off"):
        go(odd_trainer(BreaksAtHalf, **often), tmp_path)
    assert [line["step"] for line in metrics(tmp_path)] == [1, 2, 3, 4]
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "autoenc')  # a line that a kill cut short
    trainer = odd_trainer(BreaksAtHalf, **often)
    trainer.objective.broken = False  # type: ignore[assignment]
    go(trainer, tmp_path, resume=True)
    assert [line["step"] for line in metrics(tmp_path)] == list(range(1, STEPS + 1))
    undisturbed = new_trainer(**often)
    go(undisturbed, tmp_path / "undisturbed")
    assert_same_bits(trainer, undisturbed)
    term = "autoencoder/reconstruction"
    expected = [line[term] for line in metrics(tmp_path / "undisturbed")]
    assert [line[term] for line in metrics(tmp_path)] == expected
    shown = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in shown.Scalars(term)] == [
        (step, pytest.approx(value)) for step, value in enumerate(expected, 1)
    ]


class InfiniteLoss(SDAE):
    """Gives a term that is not finite from half of the training on."""

    def losses(self, images: Tensor, progress: float) -> Iterator[tuple[str, Terms]]:
        for player, terms in super().losses(images, progress):
            factor = math.inf if progress >= 0.5 else 1.0
            yield player, {"steady": torch.zeros(())} | {k: v * factor for k, v in terms.items()}


class InfiniteGradient(SDAE):
    """Gives a finite term with a gradient that is not, at half of the training."""

    def losses(self, images: Tensor, progress: float) -> Iterator[tuple[str, Terms]]:
        for player, terms in super().losses(images, progress):
            root = (terms["reconstruction"] * 0).sqrt()  # its slope at zero is infinite
            yield player, terms | ({"root": root} if progress >= 0.5 else {})


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (InfiniteLoss, "the term autoencoder/reconstruction is inf"),
        (InfiniteGradient, "the autoencoder gradient is nan"),
    ],
)
@pytest.mark.parametrize(("log_every", "checkpoint_every"), [(1, 1), (100, 2), (2, 5), (100, 5)])
def test_a_training_that_diverges_stops_and_leaves_the_last_good_checkpoint(
    kind: type[SDAE], said: str, log_every: int, checkpoint_every: int, tmp_path: Path
) -> None:
    trainer = odd_trainer(
        kind, steps=10, log_every=log_every, checkpoint_every=checkpoint_every, sheet_every=100
    )
    with pytest.raises(DataError, match=f"{said} at step 6 ") as caught:
        go(trainer, tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "lengths of the gradients: autoencoder nan" in str(caught.value)
    last = 5 - 5 % checkpoint_every
    told = f"of step {last} is good" if last else "has still to be made"
    assert f"the checkpoint {told}" in str(caught.value)
    batch = safetensors.torch.load_file(tmp_path / "failed-batch.safetensors")
    expected = torch.from_numpy(pictures()[batch["rows"].numpy()]).float() / 127.5 - 1
    torch.testing.assert_close(batch["images"], expected)
    assert torch.equal(batch["rows"], torch.from_numpy(trainer.loader.rows(5)))
    if (tmp_path / "checkpoint.pt").exists():
        state = read_checkpoint(tmp_path / "checkpoint.pt")
        assert state["step"] == 5 - 5 % checkpoint_every
        assert all(value.isfinite().all() for value in state["objective"].values())
        assert all(value.isfinite().all() for value in state["average"].values())
    else:
        assert checkpoint_every == 5
    for line in metrics(tmp_path) if log_every < 100 else []:
        assert all(math.isfinite(value) for value in line.values())


CHILD = """
import sys, time
from pathlib import Path
import torch
from tests.encoders.training import test_loop as tests
torch.set_num_threads(1)
class Slow(tests.SDAE):
    def losses(self, images, progress):
        time.sleep(0.2)
        yield from super().losses(images, progress)
tests.go(tests.odd_trainer(Slow, steps=30), Path(sys.argv[1]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_a_checkpoint_from_which_training_ends_the_same(
    number: signal.Signals, tmp_path: Path
) -> None:
    folder = tmp_path / "stopped"
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder)],
        cwd=Path(__file__).parents[3],
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        deadline = time.monotonic() + 60
        while not (folder / "metrics.jsonl").exists() and time.monotonic() < deadline:
            assert child.poll() is None
            time.sleep(0.01)
        child.send_signal(number)
        _, said = child.communicate(timeout=60)
    assert child.returncode != 0
    assert "stopped after step" in said
    assert "saved" in said
    resumed = odd_trainer(SDAE, steps=30)
    facts = {"model": "sdae", "training": resumed.settings.facts()}
    stopped = odd_trainer(SDAE, steps=30)
    stopped.resume(folder / "checkpoint.pt", identify("sdae", **facts), facts)
    assert 0 < stopped.step < 30
    go(resumed, folder, resume=True)
    undisturbed = odd_trainer(SDAE, steps=30)
    go(undisturbed, tmp_path / "undisturbed")
    assert_same_bits(resumed, undisturbed)
    assert [line["step"] for line in metrics(folder)] == list(range(1, 31))


KILLED = """
import sys
from pathlib import Path
import torch
from tests.encoders.training import test_loop as tests
torch.set_num_threads(1)
tests.go_until_killed(sys.argv[1], Path(sys.argv[2]))
"""
OFTEN: dict[str, Any] = {"checkpoint_every": 2, "sheet_every": 3, "ema": 0.9, "flip": True}


def go_until_killed(name: str, folder: Path) -> None:
    """Train until SIGKILL ends this process within the sixth round, after one player's move."""
    trainer = new_trainer(name, **OFTEN)
    played = trainer.objective.losses

    def losses(images: Tensor, progress: float) -> Iterator[tuple[str, Terms]]:
        for move in played(images, progress):
            yield move
            if progress == 5 / STEPS:
                os.kill(os.getpid(), signal.SIGKILL)

    trainer.objective.losses = losses  # type: ignore[method-assign]
    go(trainer, folder)


def check_after_kill(name: str, folder: Path) -> None:
    words = [sys.executable, "-c", KILLED, name, str(folder / "killed")]
    status = subprocess.run(words, cwd=Path(__file__).parents[3], check=False).returncode
    assert status == -signal.SIGKILL
    assert read_checkpoint(folder / "killed/checkpoint.pt")["step"] == 4
    assert max(line["step"] for line in metrics(folder / "killed")) == 5
    resumed, undisturbed = new_trainer(name, weights=99, **OFTEN), new_trainer(name, **OFTEN)
    go(resumed, folder / "killed", resume=True)
    go(undisturbed, folder / "undisturbed")
    assert_same_bits(resumed, undisturbed)
    values = [
        [{key: line[key] for key in line if "/" in key or key == "step"} for line in metrics(place)]
        for place in (folder / "killed", folder / "undisturbed")
    ]
    assert values[0] == values[1]


def test_a_training_killed_in_the_middle_of_a_round_ends_the_same(tmp_path: Path) -> None:
    check_after_kill("aae", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(SMALL) - {"aae"}))
def test_every_model_killed_in_the_middle_of_a_round_ends_the_same(
    name: str, tmp_path: Path
) -> None:
    check_after_kill(name, tmp_path)


class AsksToStop(SDAE):
    """Sends its own process a signal at the given progress."""

    at = 0.5

    def losses(self, images: Tensor, progress: float) -> Iterator[tuple[str, Terms]]:
        if progress == self.at:
            signal.raise_signal(signal.SIGTERM)
        yield from super().losses(images, progress)


def test_a_signal_in_the_last_step_stops_too_and_leaves_no_step_to_be_made(tmp_path: Path) -> None:
    trainer = odd_trainer(AsksToStop)
    trainer.objective.at = 1 - 1 / STEPS  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        go(trainer, tmp_path)
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] == STEPS
    other = odd_trainer(AsksToStop)
    go(other, tmp_path, resume=True)
    assert_same_bits(other, trainer)


def test_a_signal_during_the_last_look_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle = Trainer.settle

    def play(trainer: Trainer) -> None:
        signal.raise_signal(signal.SIGTERM)
        settle(trainer)

    monkeypatch.setattr(Trainer, "settle", play)
    with pytest.raises(KeyboardInterrupt):
        go(new_trainer("sdae"), tmp_path)
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] == STEPS


def test_a_signal_stops_after_the_round_that_it_found(tmp_path: Path) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    trainer = odd_trainer(AsksToStop)
    with pytest.raises(KeyboardInterrupt):
        go(trainer, tmp_path)
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] == trainer.step == STEPS // 2 + 1
    assert signal.getsignal(signal.SIGTERM) is handler


# What is seen of it


def test_sheets_metrics_and_events_are_written(tmp_path: Path) -> None:
    go(new_trainer("aae", sheet_every=5, log_every=4), tmp_path)
    sheets = sorted(path.name for path in (tmp_path / "sheets").iterdir())
    assert sheets == [
        f"{kind}-{step:07d}.png"
        for kind in ("arithmetic", "interpolations", "reconstructions", "samples")
        for step in (5, STEPS)
    ]
    for name in sheets:
        sheet = cv2.imread(str(tmp_path / "sheets" / name))
        assert sheet is not None
        assert sheet.std() > 0
    lines = metrics(tmp_path)
    assert [line["step"] for line in lines] == [4, 5, 8], "and one where the codes were looked at"
    assert all(0 <= line["waiting"] < 1 for line in lines)
    for line in lines[1:]:
        assert line["codes/distance"] > line["codes/distance_of_draws"] > 0
    assert all(line["images_per_second"] > 0 for line in lines)
    assert len(list(tmp_path.glob("events.*"))) == 1
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_line_of_metrics_is_the_mean_since_the_last_line(tmp_path: Path) -> None:
    for every in (1, 4):
        go(new_trainer(log_every=every), tmp_path / str(every))
    term = "autoencoder/reconstruction"
    single = [line[term] for line in metrics(tmp_path / "1")]
    means = [sum(single[start : start + 4]) / 4 for start in (0, 4)]
    assert [line[term] for line in metrics(tmp_path / "4")] == pytest.approx(means)


def test_watching_does_not_change_the_training(tmp_path: Path) -> None:
    often = new_trainer("aae", log_every=1, sheet_every=1, checkpoint_every=1)
    seldom = new_trainer("aae", log_every=100, sheet_every=100, checkpoint_every=100)
    go(often, tmp_path / "often")
    go(seldom, tmp_path / "seldom")
    assert_same_bits(often, seldom)


# Fitted encoders


class Notes(FittedEncoder):
    """Notes what it was fitted on."""

    images: Tensor

    def fit(self, images: Tensor) -> None:
        self.images = images
        self.noise = torch.rand(())


def test_an_encoder_is_fitted_on_some_of_the_images_drawn_by_the_seed() -> None:
    pixels = np.broadcast_to(np.arange(100, dtype=np.uint8).reshape(-1, 1, 1, 1), (100, 1, 12, 12))
    drawn: dict[tuple[int, int], list[float]] = {}
    noise = {}
    for turn, seed in enumerate((0, 0, 1)):
        model = Notes()
        fit_encoder(model, pixels, settings_of(fit_images=30, crop=8, seed=seed))
        assert model.images.shape == (30, 1, 8, 8)
        numbers = model.images[:, 0, 0, 0].tolist()
        assert len(set(numbers)) == 30
        drawn[turn, seed], noise[turn, seed] = numbers, float(model.noise)
    assert drawn[0, 0] == drawn[1, 0] != drawn[2, 1]
    assert noise[0, 0] == noise[1, 0] != noise[2, 1]


def test_a_small_set_is_fitted_on_whole_and_in_order() -> None:
    model = Notes()
    fit_encoder(model, pictures(), settings_of())
    expected = torch.from_numpy(pictures()).float() / 127.5 - 1
    torch.testing.assert_close(model.images, expected)
