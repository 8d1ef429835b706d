"""Two steps of every objective, and of what else can be asked for: everything stays finite."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from benchmarks.gpu.form import Form
from benchmarks.gpu.inputs import CASES, OBJECTIVES, new_trainer, phantoms
from benchmarks.gpu.rows import Row, check, each
from replearn.arrays import Pixels
from replearn.encoders.sheets import fixed_images, grids_of
from replearn.encoders.training.trainer import Trainer


def check_steps(form: Form) -> Iterator[Row]:
    """Count the numbers that are not finite: terms, weights, statistics and grids."""
    pixels = phantoms(form.choose(64, 32), form.choose(32, 16))
    yield from each(CASES, lambda case: _of_case(case, pixels, form))


def _of_case(case: str, pixels: Pixels, form: Form) -> Iterator[Row]:
    # What is asked for beside the defaults, in the precision of the device alone.
    for precision in ("float32", "bfloat16") if case in OBJECTIVES else ("auto",):
        trainer = new_trainer(case, pixels, form, precision=precision)
        wrong = not_finite(_values(trainer))
        yield check(f"{case}, {precision}", wrong, 0, "numbers not finite")


def _values(trainer: Trainer) -> Iterator[Tensor]:
    """Train for two steps, and yield all that is looked at in a training."""
    trainer.prepare()
    for _ in range(2):
        yield from trainer.train_step().values()
    trainer.settle()
    yield from trainer.objective.state_dict().values()
    yield from trainer.average.state_dict().values()
    yield torch.tensor(list(trainer.statistics().values()))
    shown = fixed_images(trainer.pixels, None).to(trainer.device)
    yield from grids_of(trainer.average, shown).values()
    yield torch.from_numpy(trainer.embed(trainer.pixels))


def not_finite(values: Iterable[Tensor]) -> int:
    """Return how many numbers are NaN or infinite."""
    return sum(int((~value.isfinite()).sum()) for value in values)
