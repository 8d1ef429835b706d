"""Whole trainings: they learn, stop cleanly, and say where they diverge."""

import math
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from replearn.encoders.contract import FittedEncoder, Model, Objective
from replearn.encoders.models import build
from replearn.encoders.models.sdae import SDAE
from replearn.encoders.training.checkpoint import read_checkpoint
from replearn.encoders.training.loop import fit, fit_encoder
from replearn.encoders.training.trainer import Trainer
from replearn.errors import DataError
from tests.encoders.training.small import (
    SIZE,
    STEPS,
    Terms,
    assert_same_bits,
    go,
    metrics,
    new_trainer,
    odd_trainer,
    pictures,
    probe,
    settings_of,
)


def test_the_averaged_model_that_fit_returns_has_learned_too(tmp_path: Path) -> None:
    trainer = new_trainer(count=16, steps=150, batch_size=16, learning_rate=0.01, log_every=50)
    images = torch.from_numpy(pictures(16)).float() / 127.5 - 1

    def error() -> float:
        with torch.no_grad():
            assert isinstance(trainer.average, Objective)
            (_, terms), *_ = trainer.average.losses(images, 1.0)
        return float(terms["reconstruction"])

    before = error()
    facts = {"training": trainer.settings.facts()}
    model = fit(trainer, tmp_path, "ae:1", facts, resume=False)
    assert model is trainer.average
    assert not model.training
    assert error() < before / 4


# What is learned at once


def test_a_part_that_cannot_be_fitted_fails_before_the_first_step(tmp_path: Path) -> None:
    large = {"model": "pca", "arguments": {"latent_dim": 100}}
    model = build("combined", size=SIZE, channels=1, arguments={"parts": {"pca": large}})
    assert isinstance(model, Objective)
    trainer = Trainer(model, pictures(), settings_of())
    with pytest.raises(DataError, match="latent_dim 100"):
        whole_fit(trainer, tmp_path)
    assert trainer.step == 0


def test_a_combination_of_fitted_encoders_needs_one_step(tmp_path: Path) -> None:
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


# Stopping


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

    def interrupted(trainer: Trainer) -> None:
        signal.raise_signal(signal.SIGTERM)
        settle(trainer)

    monkeypatch.setattr(Trainer, "settle", interrupted)
    with pytest.raises(KeyboardInterrupt):
        go(new_trainer("sdae"), tmp_path)
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] == STEPS


def test_a_signal_stops_after_the_step_that_it_found(tmp_path: Path) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    trainer = odd_trainer(AsksToStop)
    with pytest.raises(KeyboardInterrupt):
        go(trainer, tmp_path)
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] == trainer.step == STEPS // 2 + 1
    assert signal.getsignal(signal.SIGTERM) is handler


# Diverging


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


class InfiniteWeights(SDAE):
    """Has a weight that is not finite after half of the training, with all terms finite."""

    def losses(self, images: Tensor, progress: float) -> Iterator[tuple[str, Terms]]:
        yield from super().losses(images, progress)
        if progress >= 0.5:
            with torch.no_grad():
                next(self.encoder.parameters()).fill_(math.inf)


@pytest.mark.parametrize("kind", [InfiniteLoss, InfiniteGradient, InfiniteWeights])
@pytest.mark.parametrize("due", ["probe_every", "sheet_every"])
def test_a_training_that_diverges_just_before_it_is_looked_at_says_so(
    kind: type[SDAE], due: str, tmp_path: Path
) -> None:
    often = {"log_every": 100, "checkpoint_every": 4, "probe_every": 100, "sheet_every": 100}
    trainer = odd_trainer(kind, steps=10, **often | {due: 6})
    with pytest.raises(DataError, match=r"finite|is nan|is inf") as caught:
        go(trainer, tmp_path, probe=probe())
    assert str(caught.value).startswith(f"{tmp_path}: ")
    assert "lower training.learning_rate" in str(caught.value)
    if kind is not InfiniteWeights:
        assert (tmp_path / "failed-batch.safetensors").exists()
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] == 4


# Fitted encoders


class Notes(FittedEncoder):
    """Notes what it was fitted on."""

    images: Tensor

    def fit(self, images: Tensor, seed: int = 0) -> None:
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
