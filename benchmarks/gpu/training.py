"""How fast the trainer trains on a device, beside the baselines of benchmarks.training."""

from collections.abc import Callable, Iterator

import torch

from benchmarks.gpu.form import Form
from benchmarks.gpu.inputs import noise
from benchmarks.gpu.roofline import least_seconds, share_of
from benchmarks.gpu.rows import Row, each, skipped, speed
from benchmarks.training import NOT_INSTALLED, against_bare, against_files, against_pythae
from benchmarks.training_baselines import EPOCH, new_trainer
from benchmarks.turns import Options, Result
from replearn.artefacts.workers import cores

_MODELS = ("aae", "vae", "bigan", "diffusion")


def measure_training(form: Form) -> Iterator[Row]:
    """Let the trainer and each baseline take turns.

    The work of a step is what torch is seen to do in one, forward and backward and by the
    optimiser, each operation with its inputs and outputs in memory.
    """
    options = Options(
        models=list(_MODELS),
        size=form.choose(64, 16),
        batch=form.choose(256, 8),
        width=form.choose(32, 4),
        rounds=form.choose(5, 1),
        seconds=form.choose(0.4, 0.01),
        workers=form.choose(cores(), 1),
        device=torch.device(form.device),
        precision="auto",
    )
    pixels = noise(EPOCH * options.batch, options.size)
    images = torch.from_numpy(pixels).to(options.device).float().div_(127.5).sub_(1.0)
    comparisons: dict[str, Callable[[], Result | None]] = {
        "files, aae": lambda: against_files(pixels, options),
        "pythae, aae": lambda: against_pythae(pixels, images, options),
    }

    def of_model(name: str) -> Iterator[Row]:
        trainer = new_trainer(name, pixels, options)
        for _ in range(3):  # the kernels are chosen, the state of the optimisers is made
            trainer.train_step()
        least = least_seconds(trainer.train_step, form)
        facts = against_bare(name, pixels, images, options).facts()
        share = share_of(least, options.batch / facts["replearn"])
        yield speed(f"bare loop, {name}", facts["replearn"], "images/s", share, _beside(facts))

    def of_baseline(name: str) -> Iterator[Row]:
        result = comparisons[name]()
        if result is None:
            yield skipped(name, NOT_INSTALLED)
        else:
            facts = result.facts()
            yield speed(name, facts["replearn"], "images/s", None, _beside(facts))

    yield from each(_MODELS, of_model)
    yield from each(comparisons, of_baseline)


def _beside(facts: dict[str, float]) -> str:
    return (
        f"{facts['ratio']:.2f} times the baseline's {facts['baseline']:,.0f} "
        f"({facts['low']:.2f} to {facts['high']:.2f})"
    )
