"""Tasks of a comparison: one encoder with one seed, and all of its detectors."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from replearn import imageclef
from replearn.artefacts.files import write_text
from replearn.comparison.data_folder import DataFolder
from replearn.comparison.results import Result
from replearn.comparison.settings import Comparison
from replearn.comparison.timing import recorded_seconds, timing
from replearn.concepts.table import read_concepts
from replearn.console import say, warnings_as_lines
from replearn.detection.detector import load_detector

CONSTANT = "constant"


@dataclass(frozen=True)
class Task:
    """One encoder with one seed, and all of its detectors.

    Attributes:
        settings: of the comparison.
        data: what is compared on.
        images: the image set of the encoder.
        out: folder of the comparison.
        encoder: name of the encoder.
        seed: of its training.
        overwrite: replace what was made from other inputs.
    """

    settings: Comparison
    data: DataFolder
    images: Path
    out: Path
    encoder: str
    seed: int
    overwrite: bool

    @property
    def folder(self) -> Path:
        """Where its artefacts go."""
        return self.out / f"seed-{self.seed}" / self.encoder

    def features(self, part: str) -> Path:
        """Return the file of the features of a part."""
        return self.folder / f"{part}.h5"

    def run_file(self, detector: str, part: str) -> Path:
        """Return the file of a detector's predictions for a part."""
        return self.folder / f"{detector}-{part}.run"


@dataclass(frozen=True)
class Stages:
    """The stages that a task is made of; each leaves alone what is there from the same inputs.

    Attributes:
        train: trains the encoder of a task as its `config.yaml` says.
        extract: extracts the features of a part.
        fit: fits a detector with these options, under this name.
        predict: writes the run file of a detector for a part.
        index: builds an index of the features of the training part.
    """

    train: Callable[[Task], None]
    extract: Callable[[Task, str], None]
    fit: Callable[[Task, str, dict[str, Any]], None]
    predict: Callable[[Task, str, str], None]
    index: Callable[[Task], None]


@warnings_as_lines()  # in a process of its own there is no command around it
def run_task(task: Task, stages: Stages) -> list[Result]:
    """Train, extract, detect and score; what is there already from the same inputs stays."""
    _train_and_extract(task, stages)
    results = []
    for name, options in _detectors(task).items():
        result = _detect(task, stages, name, options)
        say(f"seed {task.seed}: {result.name}: F1 {result.f1:.4f} on {task.data.scored}")
        results.append(result)
    return results


def _detectors(task: Task) -> dict[str, dict[str, Any]]:
    """Return the options of the task's detectors by name."""
    settings = task.settings
    detectors = settings.detectors_of(task.encoder)
    options = {name: d.options(settings.concepts) for name, d in detectors.items()}
    if task.encoder == next(iter(settings.encoders)):
        # The constant prediction needs no features, so once is enough.
        return {CONSTANT: {"method": CONSTANT}} | options
    return options


def _train_and_extract(task: Task, stages: Stages) -> None:
    folder = task.folder
    encoder = task.settings.encoders[task.encoder]
    settings = encoder.model_dump(exclude_none=True, exclude_unset=True)
    settings["training"] = {**settings.get("training", {}), "seed": task.seed}
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "config.yaml", yaml.safe_dump(settings, sort_keys=False))
    with timing(folder, "encoder", folder / "encoder/encoder.json"):
        stages.train(task)
    for part in task.data.parts:
        with timing(folder, part, task.features(part)):
            stages.extract(task, part)


def _detect(task: Task, stages: Stages, name: str, options: dict[str, Any]) -> Result:
    """Fit one detector, write its run files and score it."""
    data, folder = task.data, task.folder
    with timing(folder, name, folder / name / "detector.json"):
        stages.fit(task, name, options)
    for part in data.parts:
        if part != "train":
            stages.predict(task, name, part)
    rules = imageclef.edition(task.settings.edition)
    truth = read_concepts(data.parts[data.scored])
    score = imageclef.evaluate_run(task.run_file(name, data.scored), truth, rules)
    detector = load_detector(folder / name)
    steps = [name] if name == CONSTANT else [name, "encoder", *data.parts]
    return Result(
        encoder="none" if name == CONSTANT else task.encoder,
        detector=name,
        f1=score.f1,
        interval=score.interval,
        rule=detector.rule.name,
        threshold=detector.threshold,
        seed=task.seed,
        f1_valid=detector.validation["f1"],
        concepts=len(detector.vocabulary),
        seconds=recorded_seconds(folder, *steps),
        per_image=score.per_image,
    )
