"""Checkpoints: what is resumed or killed ends as if it had never stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from replearn.artefacts.identity import identify
from replearn.encoders.contract import Objective
from replearn.encoders.models.sdae import SDAE
from replearn.encoders.training.checkpoint import read_checkpoint
from replearn.encoders.training.trainer import Trainer, seed_all
from replearn.errors import DataError
from tests.encoders.training.small import (
    SMALL,
    STEPS,
    Terms,
    assert_same_bits,
    go,
    metrics,
    new_trainer,
    odd_trainer,
    pictures,
    settings_of,
)


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


CHILD = """
import sys, time
from pathlib import Path
import torch
from replearn.console import shown
from tests.encoders.training import test_checkpoint as tests
torch.set_num_threads(1)
class Slow(tests.SDAE):
    def losses(self, images, progress):
        time.sleep(0.2)
        yield from super().losses(images, progress)
with shown():
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


OFTEN: dict[str, Any] = {"checkpoint_every": 2, "sheet_every": 3, "ema": 0.9, "flip": True}


def go_until_killed(name: str, folder: Path) -> None:
    """Train until SIGKILL ends this process within the sixth step, after one player's update."""
    trainer = new_trainer(name, **OFTEN)
    assert isinstance(trainer.objective, Objective)
    whole = trainer.objective.losses

    def losses(images: Tensor, progress: float) -> Iterator[tuple[str, Terms]]:
        for update in whole(images, progress):
            yield update
            if progress == 5 / STEPS:
                os.kill(os.getpid(), signal.SIGKILL)

    trainer.objective.losses = losses  # type: ignore[method-assign]
    go(trainer, folder)


KILLED = """
import sys
from pathlib import Path
import torch
from tests.encoders.training import test_checkpoint as tests
torch.set_num_threads(1)
tests.go_until_killed(sys.argv[1], Path(sys.argv[2]))
"""


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


def test_a_training_killed_in_the_middle_of_a_step_ends_the_same(tmp_path: Path) -> None:
    check_after_kill("aae", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(SMALL) - {"aae"}))
def test_every_model_killed_in_the_middle_of_a_step_ends_the_same(
    name: str, tmp_path: Path
) -> None:
    check_after_kill(name, tmp_path)
