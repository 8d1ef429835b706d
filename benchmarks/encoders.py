r"""What the encoders are worth, all under one protocol.

    python -m benchmarks.encoders --data ARCHIVES --work runs/benchmark --small
    python -m benchmarks.encoders --data ARCHIVES --work runs/benchmark --full --device cuda
    python -m benchmarks.encoders --data ARCHIVES --work runs/benchmark --datasets mnist-bigan \
        --config configs/bigan-mnist.yaml

Encoders train on images without labels and are then frozen.  A linear probe (C chosen on a tenth
of the training images) and nearest neighbours read their features, at all layers where a model
has several.  Accuracy in per cent, for the phantoms mean F1 of the concepts; `mnist-bigan` is the
protocol of Donahue et al. (2016), nearest neighbours among all 60,000 digits.  `pneumoniamnist`
has its official parts.  On a data folder, such as `radiology`, replearn's detectors are scored on
the validation images, with everything chosen on a quarter of the training images.

Each result is a line of WORK/results.jsonl under a key of all that determines it, so what was
measured once is not measured again; a training that was stopped goes on where it was.  ARCHIVES
holds mnist.tar.xz, cifar10.tar.xz, pneumoniamnist.npz and data folders.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from benchmarks import measuring
from benchmarks.command import run_benchmark
from benchmarks.data_folders import FOLDERS, find_folder
from benchmarks.datasets import COLOUR, SIZES, Form, form_of, prepare_data
from benchmarks.encoder_figure import write_figures
from benchmarks.measuring import Job, layers_of
from benchmarks.recipes import (
    SCALES,
    Recipe,
    Scale,
    choose,
    of_config,
    recipes,
    training_settings,
)
from benchmarks.tables import Row, compare_with, headline, summarise, to_markdown
from replearn.artefacts import workers
from replearn.console import say
from replearn.encoders.configuration import Configuration
from replearn.encoders.models import MODELS
from replearn.encoders.training.run import read_configuration
from replearn.errors import DataError, UsageError
from replearn.interrupts import interrupt_on_sigterm


@dataclass(frozen=True)
class Plan:
    """What the user asked for.

    Attributes:
        data: folder of the archives.
        work: folder of everything that is made.
        datasets: by name.
        encoders: by name; empty for all.
        layers: read where a model offers them.
        configs: more encoders, by name.
        scale: widths, lengths, seeds.
        size: of the images, None for each data set's own.
        channels: of the images, None for each data set's own.
        training: settings that win over all others.
    """

    data: Path
    work: Path
    datasets: Sequence[str]
    encoders: Sequence[str]
    layers: Sequence[str]
    configs: dict[str, Configuration]
    scale: Scale
    size: int | None
    channels: int | None
    training: dict[str, Any]

    def jobs(self) -> list[Job]:
        """Return all trainings, those of one data set and seed together."""
        return [
            self._job(form, name, recipe, seed)
            for form in map(self.form, self.datasets)
            for seed in range(self.scale.seeds)
            for name, recipe in self._recipes(form).items()
            if seed == 0 or recipe.model != "raw"  # nothing in it is drawn
        ]

    def form(self, dataset: str) -> Form:
        """Return what a data set is brought to."""
        if dataset not in SIZES and not find_folder(dataset, self.data).is_dir():
            known = ", ".join([*SIZES, *FOLDERS])
            raise UsageError(
                f"--datasets {dataset}: neither known ({known}) nor a data folder in {self.data}"
            )
        size = self.size
        if dataset == "mnist-bigan":
            own = SIZES[dataset]
            sizes = {(config.images or {}).get("size", own) for config in self.configs.values()}
            if len(sizes) != 1:
                raise UsageError("mnist-bigan: give --config, all of them for one size of images")
            size = self.size or sizes.pop()
        return form_of(dataset, size=size, channels=self.channels, phantoms=self.scale.phantoms)

    def _recipes(self, form: Form) -> dict[str, Recipe]:
        own = {
            key: recipe
            for name, config in self.configs.items()
            for key, recipe in of_config(name, config).items()
        }
        known = recipes(self.scale, colour=form.dataset in COLOUR)
        for name in known.keys() & own.keys():
            raise UsageError(f"--config {name}.yaml: has the name of an encoder of the benchmark")
        if form.dataset == "mnist-bigan":
            return choose(self.encoders, {"raw": known["raw"]} | own)
        return choose(self.encoders, known) | own

    def _job(self, form: Form, name: str, recipe: Recipe, seed: int) -> Job:
        settings = training_settings(
            recipe,
            self.scale,
            colour=form.dataset in COLOUR,
            own=name.removesuffix("-untrained") in self.configs,
            overrides=self.training | {"seed": seed},
        )
        offered = layers_of(recipe.model)
        # There is no other number in that protocol, so every layer that a model offers is read.
        every = form.dataset == "mnist-bigan" or offered == ("only",)
        layers = offered if every else tuple(layer for layer in self.layers if layer in offered)
        return Job(name, recipe, settings, form, layers, self.work)


# Running the jobs ---------------------------------------------------------------------------------


def read_results(path: Path) -> dict[str, Row]:
    """Return the results by key; a line that a kill cut short is left out."""
    results = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        results[row["key"]] = row
    return results


def complete(plan: Plan, processes: int) -> tuple[list[Row], list[str]]:
    """Measure what is missing; return all results of the plan, and what failed."""
    jobs, path = plan.jobs(), plan.work / "results.jsonl"
    known = read_results(path)
    missing = [
        replace(job, layers=layers)
        for job in jobs
        if (layers := tuple(layer for layer in job.layers if job.key(layer) not in known))
    ]
    for job in missing:
        job.check()  # before the first hour, not after it
    for form in dict.fromkeys(job.form for job in missing):
        prepare_data(form, plan.data, plan.work)
    failed = []
    for done, (job, outcome) in enumerate(_results(missing, processes), 1):
        place = f"{job.form.dataset}: {job.encoder}, seed {job.training.seed}"
        if isinstance(outcome, DataError):
            failed.append(f"{place}: {outcome}")
            say(f"{done} of {len(missing)}: {failed[-1]}")
            continue
        known |= {row["key"]: row for row in outcome}
        # One write for each training, begun on a line of its own: a kill costs that line alone.
        text = "".join(f"\n{json.dumps(row)}" for row in outcome)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")
        scores = (f"{row['layer']} {headline(row['scores']):.2f}" for row in outcome)
        say(f"{done} of {len(missing)}: {place}: {', '.join(scores)}")
    wanted = [(job.encoder, job.key(layer)) for job in jobs for layer in job.layers]
    # A result may have been measured under another name.
    rows = [known[key] | {"encoder": name} for name, key in wanted if key in known]
    return rows, failed


def _results(jobs: list[Job], processes: int) -> Iterator[tuple[Job, list[Row] | DataError]]:
    """Yield each job with its results as it is done."""
    if processes > 1:
        # Read by all that computes when the processes begin.
        threads = max(1, workers.cores() // processes)
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
        jobs = jobs[::-1]  # the last take longest; begun last, one process would be left alone
    yield from workers.run(measuring.attempt, jobs, jobs=processes)


# Command line -------------------------------------------------------------------------------------


def main(
    work: Annotated[Path, typer.Option(help="Where everything goes; results are reused.")],
    data: Annotated[Path, typer.Option(help="Folder of archives and data folders.")] = Path(),
    datasets: Annotated[
        str, typer.Option(help=f"Of {', '.join(SIZES)}, or data folders in --data.")
    ] = "cifar10",
    encoders: Annotated[str, typer.Option(help="Names; all without it. Baselines are added.")] = "",
    layers: Annotated[str, typer.Option(help="Read where offered.")] = "code,convolution,levels",
    config: Annotated[
        list[Path] | None,
        typer.Option(help="Add the encoder of a file, or of shipped settings, and it untrained."),
    ] = None,
    small: Annotated[bool, typer.Option("--small", help="The order of encoders, soon.")] = False,
    full: Annotated[bool, typer.Option("--full", help="For a GPU.")] = False,
    width: Annotated[int | None, typer.Option(help="Of the networks.")] = None,
    steps: Annotated[int | None, typer.Option(help="Of each training.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Trainings of each encoder.")] = None,
    phantoms: Annotated[int | None, typer.Option(min=50, help="How many are drawn.")] = None,
    size: Annotated[int | None, typer.Option(help="Of the images, in pixels.")] = None,
    channels: Annotated[int | None, typer.Option(min=1, help="Of the images: 1 or 3.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    jobs: Annotated[
        int, typer.Option(min=1, help="Processes, each with its share of the cores.")
    ] = 1,
    against: Annotated[
        str, typer.Option(help="On data folders, how far each encoder is ahead of this one.")
    ] = "kmeans",
    training: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A setting of all trainings.")
    ] = None,
) -> None:
    """Measure encoders; print a table and, in the last line, the same as JSON."""
    if small and full:
        raise UsageError("--small and --full: one of them")
    scale = SCALES["small" if small else "full" if full else "medium"]
    asked = {"width": width, "steps": steps, "seeds": seeds, "phantoms": phantoms}
    given: dict[str, Any] = {key: value for key, value in asked.items() if value is not None}
    overrides = {"device": device} | ({} if steps is None else {"steps": steps})
    plan = Plan(
        data=data,
        work=work,
        datasets=_listed(datasets),
        encoders=_listed(encoders),
        layers=_known_layers(_listed(layers)),
        configs=_configs(config or []),
        scale=replace(scale, **given),
        size=size,
        channels=channels,
        training=overrides | dict(_setting(text) for text in training or ()),
    )
    work.mkdir(parents=True, exist_ok=True)
    rows, failed = complete(plan, jobs)
    summary = summarise(rows)
    print(to_markdown(summary))
    print(compare_with(against, rows))
    for path in write_figures(summary, work):
        say(f"{path}: score against seconds")
    print(json.dumps({"benchmark": "encoders", "rows": summary, "failed": failed}))
    if failed:
        raise DataError(f"{len(failed)} of the trainings failed: {failed[0]}")


def _known_layers(names: list[str]) -> list[str]:
    known = dict.fromkeys(layer for model in MODELS for layer in layers_of(model))
    del known["only"]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"--layers {unknown[0]}: unknown; known: {', '.join(known)}")
    return names


def _configs(paths: list[Path]) -> dict[str, Configuration]:
    configs: dict[str, Configuration] = {}
    for path in paths:
        if path.stem in configs:
            raise UsageError(f"--config {path}: another file has the name {path.stem} too")
        configs[path.stem] = read_configuration(path)
    return configs


def _listed(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--training {text}: give key=value, as batch_size=256")
    return key, yaml.safe_load(value)


if __name__ == "__main__":
    interrupt_on_sigterm()
    run_benchmark(main)
