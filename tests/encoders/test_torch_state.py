"""What torch holds for the whole process is the caller's again after a training."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from replearn.encoders.configuration import Configuration
from replearn.encoders.encoder import load_encoder
from replearn.encoders.torch_state import full_float32, make_deterministic, restored_torch_state
from replearn.encoders.training.run import train
from replearn.encoders.training.trainer import Trainer
from replearn.images.image_set import ImageSet

CPU = torch.device("cpu")
DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
    ),
]


def state() -> dict[str, Any]:
    """Return what torch holds for the process, random numbers aside."""
    cudnn = torch.backends.cudnn
    return {
        "deterministic": torch.get_deterministic_debug_mode(),
        "benchmark": cudnn.benchmark,
        "tf32": cudnn.allow_tf32,
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "matmul": torch.get_float32_matmul_precision(),
        "gradients": torch.is_grad_enabled(),
        "cublas": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
    }


def next_numbers(device: str) -> list[float]:
    """Return what would be drawn next, on the CPU and on the device."""
    with torch.random.fork_rng(["cuda"] if device == "cuda" else []):
        return [float(torch.rand(())), float(torch.rand((), device=device))]


@pytest.fixture(autouse=True)
def a_caller_with_other_choices() -> Iterator[None]:
    with restored_torch_state(CPU):
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = True
        yield


def images(count: int = 12) -> ImageSet:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 1, 16, 16), dtype=np.uint8)
    return ImageSet([f"i{row}" for row in range(count)], pixels, "stretch", [], "images:1")


def config(model: str, **training: Any) -> Configuration:
    arguments = {"latent_dim": 4} | ({"width": 2} if model == "sdae" else {})
    common = {"steps": 2, "batch_size": 4} if model == "sdae" else {}
    return Configuration(model=model, arguments=arguments, training=common | training)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("model", ["sdae", "pca"])
def test_a_training_leaves_torch_as_it_was(
    model: str, deterministic: bool, device: str, tmp_path: Path
) -> None:
    before, numbers = state(), next_numbers(device)
    chosen = config(model, device=device, deterministic=deterministic)
    for _ in range(2):  # the second time there is nothing to do
        train(chosen, images(), tmp_path / "new")
        assert (state(), next_numbers(device)) == (before, numbers)


@pytest.mark.parametrize("device", DEVICES)
def test_a_training_that_fails_leaves_torch_as_it_was(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, numbers = state(), next_numbers(device)
    step = Trainer.train_step

    def fails(trainer: Trainer) -> None:
        step(trainer)
        raise RuntimeError("switched off")

    monkeypatch.setattr(Trainer, "train_step", fails)
    with pytest.raises(RuntimeError, match="switched off"):
        train(config("sdae", device=device, deterministic=True), images(), tmp_path / "new")
    assert (state(), next_numbers(device)) == (before, numbers)


def test_what_is_chosen_inside_is_put_back_after_an_error_too() -> None:
    before, numbers = state(), next_numbers("cpu")

    def choose_otherwise() -> None:
        torch.manual_seed(1)
        make_deterministic()
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.allow_tf32 = False
        changed = {name for name, value in state().items() if value != before[name]}
        assert changed == {"deterministic", "benchmark", "tf32", "cublas"}
        assert next_numbers("cpu") != numbers
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"), restored_torch_state(CPU):
        choose_otherwise()
    assert (state(), next_numbers("cpu")) == (before, numbers)


@pytest.mark.skipif(not hasattr(torch.backends.cudnn, "conv"), reason="torch has one flag for all")
def test_precisions_that_differ_between_layers_are_put_back() -> None:
    cudnn: Any = torch.backends.cudnn
    conv, rnn = cudnn.conv, cudnn.rnn
    conv.fp32_precision, rnn.fp32_precision = "ieee", "tf32"
    with full_float32(torch.device("cuda")):
        assert not torch.backends.cudnn.allow_tf32
    assert (conv.fp32_precision, rnn.fp32_precision) == ("ieee", "tf32")


def test_opening_an_encoder_and_embedding_leave_torch_as_it_was(tmp_path: Path) -> None:
    train(config("sdae", device="cpu"), images(), tmp_path / "new")
    before, numbers = state(), next_numbers("cpu")
    load_encoder(tmp_path / "new", "cpu").transform(images().pixels)
    assert (state(), next_numbers("cpu")) == (before, numbers)
