"""With labelled images, a training keeps the weights that serve them best, whatever happens."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from replearn.encoders.models.sdae import SDAE
from replearn.encoders.training.checkpoint import read_checkpoint
from replearn.encoders.training.trainer import Trainer
from tests.encoders.training.small import (
    LABELLED,
    STEPS,
    Terms,
    assert_same_bits,
    go,
    metrics,
    new_trainer,
    odd_trainer,
    probe,
    weights_of,
)


class Forgets(SDAE):
    """Embeds everything as zero after a share of the training, as a collapsed encoder does.

    What it has forgotten is a buffer, so it is kept and lost with the weights.
    """

    until = 0.5

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.kept: Tensor
        self.register_buffer("kept", torch.ones(()))

    def losses(self, images: Tensor, progress: float) -> Iterator[tuple[str, Terms]]:
        self.kept.fill_(progress <= self.until)
        yield from super().losses(images, progress)

    def embed(self, images: Tensor) -> Tensor:
        return super().embed(images) * self.kept


def forgetting(kind: type[SDAE] = Forgets, **changes: Any) -> Trainer:
    often = {"probe_every": 2, "checkpoint_every": 3, "ema": 0, "learning_rate": 0.01}
    return odd_trainer(kind, **often | changes)


def linear_scores(folder: Path) -> dict[int, float]:
    """Return the linear score of every step that was probed."""
    lines = [line for line in metrics(folder) if "probe/linear" in line]
    return {int(line["step"]): line["probe/linear"] for line in lines}


def assert_equal_weights(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


# Which weights


def test_the_weights_of_the_best_probe_are_returned_and_the_last_are_kept_too(
    tmp_path: Path,
) -> None:
    trainer = forgetting()
    model = go(trainer, tmp_path, probe=probe())
    scores = linear_scores(tmp_path)
    assert list(scores) == [2, 4, 6, 8]
    best = max(scores, key=lambda step: scores[step])
    assert scores[best] > scores[6] == scores[8], "the embeddings of the last probes are zeros"
    assert best < 6
    assert trainer.best is not None
    assert trainer.best["step"] == best
    assert trainer.best["scores"]["linear"] == scores[best]
    by_hand = forgetting()
    while by_hand.step < best:
        by_hand.train_step()
    assert model is trainer.average
    assert_equal_weights(weights_of(model), weights_of(by_hand.average))
    while by_hand.step < STEPS:
        by_hand.train_step()
    last = safetensors.torch.load_file(tmp_path / "last.safetensors")
    assert_equal_weights(last, weights_of(by_hand.average))
    assert last["kept"] == 0


def test_the_weights_that_are_returned_have_the_score_that_is_told(tmp_path: Path) -> None:
    trainer = forgetting(ema=0.5)
    go(trainer, tmp_path, probe=probe())
    assert trainer.best is not None
    assert probe().measure(trainer.embed) == trainer.best["scores"]


def test_of_equal_scores_the_last_one_counts() -> None:
    trainer = forgetting()
    constant = np.zeros((LABELLED, 2), np.float32)
    for _ in range(3):
        trainer.train_step()
        trainer.remember(probe().measure(lambda _: constant))
    assert trainer.best is not None
    assert trainer.best["step"] == 3


def test_without_a_probe_the_last_weights_are_returned(tmp_path: Path) -> None:
    trainer = forgetting()
    model = go(trainer, tmp_path)
    assert trainer.best is None
    assert weights_of(model)["kept"] == 0
    assert_equal_weights(weights_of(model), weights_of(trainer.objective))
    assert not (tmp_path / "last.safetensors").exists()
    assert not any(key.startswith("probe/") for line in metrics(tmp_path) for key in line)


@pytest.mark.parametrize("name", ["sdae", "aae", "combined"])
def test_probing_does_not_change_the_training(name: str, tmp_path: Path) -> None:
    probed = new_trainer(name, probe_every=1)
    alone = new_trainer(name)
    go(probed, tmp_path / "probed", probe=probe())
    last = safetensors.torch.load_file(tmp_path / "probed/last.safetensors")
    assert_equal_weights(last, weights_of(go(alone, tmp_path / "alone")))
    probed.average.load_state_dict(last)
    assert_same_bits(probed, alone)
    terms = [
        [{key: line[key] for key in line if "/" in key and "probe/" not in key} for line in lines]
        for lines in (metrics(tmp_path / "probed"), metrics(tmp_path / "alone"))
    ]
    assert terms[0] == terms[1]


@pytest.mark.parametrize(("labelled", "steps"), [(False, [STEPS]), (True, [3, 6, STEPS])])
def test_what_the_networks_make_is_measured_once_before_each_use(
    labelled: bool, steps: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled: list[int] = []
    monkeypatch.setattr(Trainer, "settle", lambda trainer: settled.append(trainer.step))
    go(new_trainer("sdae", probe_every=3), tmp_path, probe=probe() if labelled else None)
    assert settled == steps


# Going on


class Breaks(Forgets):
    """Fails before the given step, as a machine does that is switched off."""

    at = math.inf

    def losses(self, images: Tensor, progress: float) -> Iterator[tuple[str, Terms]]:
        if progress * STEPS == self.at:
            raise RuntimeError("switched off")
        yield from super().losses(images, progress)


# A checkpoint is written after 3 and 6, a probe taken after 2, 4, 6 and 8.
@pytest.mark.parametrize("at", [3, 4, 5, 6, 7])
def test_what_was_best_survives_a_stop_bit_for_bit(at: int, tmp_path: Path) -> None:
    whole = forgetting(Breaks)
    expected = go(whole, tmp_path / "whole", probe=probe())
    first = forgetting(Breaks)
    first.objective.at = at  # type: ignore[assignment]
    with pytest.raises(RuntimeError, match="switched off"):
        go(first, tmp_path / "stopped", probe=probe())
    saved = read_checkpoint(tmp_path / "stopped/checkpoint.pt")
    assert saved["best"]["step"] <= saved["step"] <= at
    second = forgetting(Breaks)
    found = go(second, tmp_path / "stopped", resume=True, probe=probe())
    assert_equal_weights(weights_of(found), weights_of(expected))
    assert_same_bits(second, whole)
    torch.testing.assert_close(second.best, whole.best, rtol=0, atol=0)
    lasts = [(tmp_path / name / "last.safetensors").read_bytes() for name in ("stopped", "whole")]
    assert lasts[0] == lasts[1]
    assert linear_scores(tmp_path / "stopped") == linear_scores(tmp_path / "whole")


def test_a_finished_training_that_goes_on_returns_the_best_weights_again(tmp_path: Path) -> None:
    whole = forgetting()
    expected = weights_of(go(whole, tmp_path, probe=probe()))
    last = (tmp_path / "last.safetensors").read_bytes()
    (tmp_path / "last.safetensors").unlink()  # as if it was killed before this was written
    again = forgetting()
    assert_equal_weights(weights_of(go(again, tmp_path, resume=True, probe=probe())), expected)
    assert (tmp_path / "last.safetensors").read_bytes() == last
