"""With `deterministic`, a training that was stopped ends with the bits of one that was not."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.gpu.form import Form
from benchmarks.gpu.inputs import CASES, new_trainer, noise
from benchmarks.gpu.rows import Row, check, each
from replearn.arrays import Pixels
from replearn.encoders.training.loop import fit
from replearn.encoders.training.trainer import Trainer

_SMALL = ("aae", "diffusion")  # of the cases, in the small form


def check_resume(form: Form) -> Iterator[Row]:
    """Count the weights and averages that differ by a bit, after four steps, two and two."""
    pixels = noise(64, form.choose(32, 16))
    with tempfile.TemporaryDirectory() as folder:
        yield from each(
            form.choose(tuple(CASES), _SMALL),
            lambda case: _of_case(case, pixels, Path(folder), form),
        )


def _of_case(case: str, pixels: Pixels, work: Path, form: Form) -> Iterator[Row]:
    def trainer() -> Trainer:
        return new_trainer(case, pixels, form, deterministic=True, flip=True)

    whole, stopped, resumed = trainer(), trainer(), trainer()
    places = [work / f"{case} {which}" for which in ("whole", "stopped")]
    for place in places:
        place.mkdir()
    fit(whole, places[0], f"{case}:1", {}, resume=False)
    stopped.prepare()
    for _ in range(2):
        stopped.train_step()
    stopped.save(places[1] / "checkpoint.pt", f"{case}:1", {})
    fit(resumed, places[1], f"{case}:1", {}, resume=True)
    yield check(case, different(resumed, whole), 0, "numbers differ")


def different(first: Trainer, second: Trainer) -> int:
    """Return how many weights and averaged weights of two trainers are not the same number."""
    pairs = [(first.objective, second.objective), (first.average, second.average)]
    return sum(
        int(torch.ne(one, other).sum())
        for mine, others in pairs
        for one, other in zip(mine.state_dict().values(), others.state_dict().values(), strict=True)
    )
