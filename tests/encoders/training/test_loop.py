"""The trainer: it learns, resumes bit for bit, stops cleanly, and keeps what it promises."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
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
    new_trainer,
    odd_trainer,
    pictures,
    settings_of,
)

# Learning


# Length, learning rate and schedule


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


# Averaged weights


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


# Going on


# Stopping


OFTEN: dict[str, Any] = {"checkpoint_every": 2, "sheet_every": 3, "ema": 0.9, "flip": True}


def go_until_killed(name: str, folder: Path) -> None:
    """Train until SIGKILL ends this process within the sixth step, after one player's update."""
    trainer = new_trainer(name, **OFTEN)
    whole = trainer.objective.losses

    def losses(images: Tensor, progress: float) -> Iterator[tuple[str, Terms]]:
        for update in whole(images, progress):
            yield update
            if progress == 5 / STEPS:
                os.kill(os.getpid(), signal.SIGKILL)

    trainer.objective.losses = losses  # type: ignore[method-assign]
    go(trainer, folder)


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


# What is seen of it


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
