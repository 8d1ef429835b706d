"""Compiled layers learn what others learn."""

import shutil
import sysconfig
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from benchmarks.gpu.form import Form
from benchmarks.gpu.inputs import new_trainer, noise
from benchmarks.gpu.rows import Row, check, number, skipped
from benchmarks.training_baselines import trained_by_replearn
from replearn.encoders.training.trainer import Trainer

_STEPS = 4
_TIMED = 100  # steps


def check_compiled(form: Form) -> Iterator[Row]:
    """Compare the weights after a few steps with those of layers that are not compiled.

    The small form lets torch trace and differentiate the layers and leaves them in Python:
    translated to C++, they take minutes on few cores.
    """
    if form.full and (missing := _missing()):
        yield skipped("sdae", missing)
        return
    # Not before there is something to compile: what compiles may look for a GPU as it is imported.
    from torch._dynamo.utils import counters

    pixels = noise(form.choose(1024, 32), form.choose(64, 16))
    settings: dict[str, Any] = {"precision": "float32", "batch_size": form.choose(256, 16)}
    start = time.perf_counter()
    with _translated(form):
        compiled = new_trainer("sdae", pixels, form, compile=True, **settings)
        first = _weights(compiled)
        _train(compiled)
    seconds = time.perf_counter() - start
    plain = new_trainer("sdae", pixels, form, **settings)
    _train(plain)
    moved = _distance(_weights(plain), first)
    share = _distance(_weights(compiled), _weights(plain)) / moved
    frames = counters["frames"]
    chains = sum("forward" in vars(module) for module in compiled.objective.modules())
    yield number("sdae, chains of layers", chains)
    yield check("sdae, not compiled", max(frames["total"], chains) - frames["ok"], 0, "chains")
    yield check("sdae, away from the plain one", share, 0.05, "of the way of the weights")
    yield number("sdae, compiling", seconds, "s", f"the first {_STEPS} steps included")
    if form.full:
        rates = [trained_by_replearn(trainer)(_TIMED) for trainer in (compiled, plain)]
        yield number("sdae, faster", rates[0] / rates[1], "times", f"{rates[0]:,.0f} images/s")


def _missing() -> str:
    """Say what Triton, which compiles a small program for each device, does not find here."""
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        return "needs a C compiler"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    return "" if header.exists() else f"needs {header}, from the package python3-dev"


def _translated(form: Form) -> AbstractContextManager[Any]:
    """Let torch.compile translate layers in the full form only."""
    if form.full:
        return nullcontext()
    return mock.patch.object(torch, "compile", partial(torch.compile, backend="aot_eager"))


def _train(trainer: Trainer) -> None:
    for _ in range(_STEPS):
        trainer.train_step()


def _weights(trainer: Trainer) -> Tensor:
    """Return the weights of all networks as one vector."""
    return torch.cat([p.detach().double().flatten() for p in trainer.objective.parameters()])


def _distance(first: Tensor, second: Tensor) -> float:
    return float((first - second).norm())
