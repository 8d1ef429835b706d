"""Precision and compiled layers: what is chosen, what is refused, and that learning stays."""

import logging
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

from replearn.encoders.contract import Objective
from replearn.encoders.models import build, check_arguments
from replearn.encoders.training.acceleration import precision_of, set_up
from replearn.encoders.training.trainer import Trainer, seed_all
from replearn.errors import UsageError
from tests.encoders.training.small import (
    SIZE,
    SMALL,
    new_trainer,
    pictures,
    settings_of,
    weights_of,
)

CPU = torch.device("cpu")
COMPILER = shutil.which("g++") or shutil.which("clang++")


# Precision


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
@pytest.mark.parametrize("asked", ["float32", "bfloat16"])
def test_a_precision_that_is_asked_for_is_taken_on_any_device(asked: str, device: str) -> None:
    settings = settings_of(precision=asked)
    assert precision_of(settings, torch.device(device)) == getattr(torch, asked)


def test_auto_is_float32_where_the_device_is_unknown() -> None:
    assert precision_of(settings_of(), torch.device("mps")) == torch.float32


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="what the processor has is not told")
def test_auto_is_bfloat16_on_processors_with_units_for_it() -> None:
    flags = Path("/proc/cpuinfo").read_text().split()
    has_units = "avx512_bf16" in flags or "amx_tile" in flags
    expected = torch.bfloat16 if has_units else torch.float32
    assert precision_of(settings_of(), CPU) == expected


@pytest.mark.parametrize("name", SMALL)
def test_in_bfloat16_weights_averages_and_terms_stay_float32(name: str) -> None:
    exact, coarse = (new_trainer(name, precision=p) for p in ("float32", "bfloat16"))
    expected, found = exact.train_step(), coarse.train_step()
    for model in (coarse.objective, coarse.average):
        kinds = {value.dtype for value in model.state_dict().values() if value.is_floating_point()}
        assert kinds == {torch.float32}
    assert set(found) == set(expected)
    for key, value in found.items():
        assert value.dtype == torch.float32
        assert float(value) == pytest.approx(float(expected[key]), rel=0.1, abs=0.02)
    assert any(float(found[key]) != float(expected[key]) for key in found), "it did round"


# Determinism


@pytest.mark.parametrize("deterministic", [False, True])
def test_on_a_cpu_there_is_no_determinism_to_choose_and_asking_for_it_is_answered(
    deterministic: bool, caplog: pytest.LogCaptureFixture
) -> None:
    before = torch.get_deterministic_debug_mode(), torch.backends.cudnn.benchmark
    with caplog.at_level(logging.INFO):
        set_up(settings_of(deterministic=deterministic), CPU)
    assert (torch.get_deterministic_debug_mode(), torch.backends.cudnn.benchmark) == before
    told = ["training.deterministic: nothing to do, a CPU gives the same bits anyway"]
    assert caplog.messages == told * deterministic


# Compiled layers


@pytest.mark.parametrize("adversary", [{"r1": 1.0}, {"gradient_penalty": 10.0}])
@pytest.mark.parametrize("nested", [False, True], ids=["alone", "as a part"])
def test_compiling_what_is_differentiated_twice_is_refused_by_name(
    nested: bool, adversary: dict[str, Any]
) -> None:
    name, arguments = "aae", SMALL["aae"] | {"adversary": adversary}
    if nested:
        name, arguments = "combined", {"parts": {"first": {"model": name, "arguments": arguments}}}
    model = build(name, size=SIZE, channels=1, arguments=arguments)
    assert isinstance(model, Objective)
    with pytest.raises(UsageError, match=r"^training\.compile: ") as caught:
        Trainer(model, pictures(), settings_of(compile=True))
    (argument,) = adversary
    assert argument in str(caught.value)
    assert "arguments.adversary." in str(caught.value)
    assert "\n" not in str(caught.value)
    Trainer(model, pictures(), settings_of(compile=False)).train_step()


def differentiable_once(name: str) -> dict[str, Any]:
    """Return a model's arguments without what compiled layers cannot do."""
    arguments = SMALL[name]
    if "adversary" in check_arguments(name, {}):
        arguments = arguments | {"adversary": {"r1": 0.0, "gradient_penalty": 0.0}}
    return arguments


def trained(name: str, *, steps: int = 4, **changes: Any) -> Trainer:
    seed_all(0)
    model = build(name, size=SIZE, channels=1, arguments=differentiable_once(name))
    assert isinstance(model, Objective)
    trainer = Trainer(model, pictures(), settings_of(precision="float32", ema=0.5, **changes))
    for _ in range(steps):
        trainer.train_step()
    return trainer


def distance(first: Trainer, second: Trainer) -> float:
    found, other = weights_of(first.average), weights_of(second.average)
    squares = [(found[key].double() - other[key].double()).square().sum() for key in found]
    return float(torch.stack(squares).sum().sqrt())


def assert_compiled_learns_the_same(name: str, folder: Path) -> None:
    torch.compiler.reset()
    counters["frames"].clear()
    start, plain, compiled = trained(name, steps=0), trained(name), trained(name, compile=True)
    chains = [module for module in compiled.objective.modules() if "forward" in vars(module)]
    assert counters["frames"]["ok"] == counters["frames"]["total"] >= len(chains) > 1
    assert distance(compiled, plain) < 0.05 * distance(plain, start)
    assert list(compiled.objective.state_dict()) == list(plain.objective.state_dict())
    compiled.save(folder / "checkpoint.pt", "x:1", {})
    resumed = trained(name, steps=0)
    resumed.resume(folder / "checkpoint.pt", "x:1", {})
    assert distance(resumed, compiled) == 0


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let layers be traced and differentiated as ever, but not translated to C++."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))


@pytest.mark.usefixtures("quickly")
def test_every_chain_of_layers_is_compiled(tmp_path: Path) -> None:
    assert_compiled_learns_the_same("sdae", tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("name", sorted(set(SMALL) - {"sdae"}))
def test_every_chain_of_layers_of_every_model_is_compiled(name: str, tmp_path: Path) -> None:
    assert_compiled_learns_the_same(name, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(COMPILER is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.parametrize("name", ["sdae", "aae"])
def test_layers_in_cpp_learn_nearly_the_same(name: str, tmp_path: Path) -> None:
    assert_compiled_learns_the_same(name, tmp_path)
