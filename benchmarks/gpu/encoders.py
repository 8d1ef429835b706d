"""What the best encoders of benchmarks.encoders are worth, as many as the time allows."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.datasets import prepare_data
from benchmarks.encoders import Plan
from benchmarks.gpu.form import Form
from benchmarks.gpu.rows import Row, each, number, skipped
from benchmarks.measuring import Job, measure
from benchmarks.recipes import SCALES, Scale
from benchmarks.tables import headline

# In the order of docs/benchmarks.md, beside the untrained network, and each family once.
BEST = ("diffusion", "random", "gan", "aae", "kmeans", "bigan", "vae", "pca")
_FULL = replace(SCALES["small"], width=32, batch_size=256, steps=1500, phantoms=4000)
_SMALL = replace(SCALES["small"], width=4, batch_size=8, steps=3, phantoms=100)
_MARGIN = 5  # seconds that are left for the end of the section
_FIRST = 45.0  # seconds that the first one takes about, on a GPU


def measure_encoders(form: Form) -> Iterator[Row]:
    """Train, extract and probe one encoder after the other, at the layer that serves best."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        jobs = _jobs(Path(folder), form.choose(_FULL, _SMALL), form)
        prepare_data(next(iter(jobs.values())).form, Path(folder), Path(folder))
        longest = form.choose(_FIRST, 0.0)

        def measured(name: str) -> Iterator[Row]:
            nonlocal longest
            began = time.monotonic()
            left = form.seconds - _MARGIN - (began - start)
            if longest > left:
                yield skipped(name, f"takes {longest:.0f} s, and {max(left, 0):.0f} s are left")
                return
            for row in measure(jobs[name]):
                text = f"trained in {row['train_seconds']:.0f} s, layer {row['layer']}"
                yield number(name, headline(row["scores"]), "% mean F1", text)
            longest = max(longest, time.monotonic() - began)

        yield from each(form.choose(BEST, BEST[:2]), measured)


def _jobs(work: Path, scale: Scale, form: Form) -> dict[str, Job]:
    """Return the training of each encoder on phantoms."""
    plan = Plan(
        data=work,
        work=work,
        datasets=["phantoms"],
        encoders=list(BEST),
        layers=["levels"],
        configs={},
        scale=scale,
        size=form.choose(64, 16),
        channels=None,
        training={"device": form.device},
    )
    return {job.encoder: job for job in plan.jobs()}
