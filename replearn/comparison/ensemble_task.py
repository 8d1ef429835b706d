"""Ensembles of a comparison: detectors of its encoders, combined by their probabilities."""

import logging
from dataclasses import dataclass
from pathlib import Path

from replearn import imageclef
from replearn.comparison.data_folder import DataFolder
from replearn.comparison.encoder_task import score_run
from replearn.comparison.results import ENSEMBLE, Result
from replearn.comparison.settings import Comparison, Ensemble, parts_of_name
from replearn.comparison.timing import recorded_seconds, timing
from replearn.concepts.table import read_concepts
from replearn.detection.detector import load_detector
from replearn.detection.ensembles.concept_scores import ConceptScores
from replearn.detection.ensembles.fit_ensemble import EnsembleSettings, make_ensemble
from replearn.detection.prediction import predict_run
from replearn.detection.settings import Scoring
from replearn.features import Features

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EnsembleTask:
    """The ensembles of one seed.

    Attributes:
        settings: of the comparison.
        data: what is compared on.
        out: folder of the comparison.
        seed: of the trainings.
        overwrite: replace what was made from other inputs.
    """

    settings: Comparison
    data: DataFolder
    out: Path
    seed: int
    overwrite: bool

    @property
    def folder(self) -> Path:
        """The folder of this task's artefacts."""
        return self.out / f"seed-{self.seed}" / ENSEMBLE

    def of_encoder(self, encoder: str) -> Path:
        """Return the folder of an encoder's artefacts."""
        return self.folder.parent / encoder


def run_ensembles(task: EnsembleTask) -> list[Result]:
    """Fit all ensembles on the images that choices are made on, predict and score."""
    results = []
    for name, ensemble in task.settings.ensembles.items():
        result = _run(task, name, ensemble)
        _logger.info(f"seed {task.seed}: {result.name}: F1 {result.f1:.4f} on {task.data.scored}")
        results.append(result)
    return results


def _run(task: EnsembleTask, name: str, ensemble: Ensemble) -> Result:
    data, folder = task.data, task.folder
    folder.mkdir(parents=True, exist_ok=True)
    rules = imageclef.edition(task.settings.edition)
    chosen_on = data.parts[data.chosen_on]
    with timing(folder, name, folder / name / "detector.json"):
        fitted = make_ensemble(
            folder / name,
            _score_files(task, ensemble, data.chosen_on),
            (chosen_on, read_concepts(chosen_on)),
            EnsembleSettings(weights=ensemble.weights, rule=ensemble.rule),
            scoring=Scoring(rules.empty, rules.max_concepts),
            overwrite=task.overwrite,
        )
    if fitted is not None:
        _logger.info(f"seed {task.seed}: {ENSEMBLE} + {name}: {fitted.verdict()}")
    for part in data.parts:
        if part != "train":
            predict_run(
                folder / name,
                _score_files(task, ensemble, part),
                folder / f"{name}-{part}.run",
                edition=task.settings.edition,
                ids=data.parts[part],
                overwrite=True,
            )
    return score_run(
        folder / f"{name}-{data.scored}.run",
        folder / name,
        data,
        rules,
        encoder=ENSEMBLE,
        seed=task.seed,
        seconds=_seconds(task, name, ensemble),
    )


def _score_files(task: EnsembleTask, ensemble: Ensemble, part: str) -> list[Path]:
    """Return the files of the members' probabilities of a part, made where they are not there."""
    paths = []
    for member in ensemble.members:
        encoder, name = parts_of_name(member)
        folder = task.of_encoder(encoder)
        path = task.folder / f"{encoder}-{name}-{part}.h5"
        detector, features = load_detector(folder / name), Features.load(folder / f"{part}.h5")
        if not _is_of(path, detector.identity, features):
            detector.concept_scores(features).save(path, overwrite=True)
        paths.append(path)
    return paths


def _is_of(path: Path, detector: str, features: Features) -> bool:
    """Tell whether a score file is of this detector for these images."""
    if not path.exists():
        return False
    scores = ConceptScores.load(path)
    return scores.detector == detector and scores.ids == features.ids


def _seconds(task: EnsembleTask, name: str, ensemble: Ensemble) -> float:
    """Return the seconds of the ensemble and of all that its members needed, each step once."""
    steps: dict[str, list[str]] = {}
    for member in ensemble.members:
        encoder, detector = parts_of_name(member)
        steps.setdefault(encoder, ["encoder", *task.data.parts]).append(detector)
    of_members = (recorded_seconds(task.of_encoder(e), *names) for e, names in steps.items())
    return recorded_seconds(task.folder, name) + sum(of_members)
