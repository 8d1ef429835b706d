"""Tasks of a comparison: one encoder with one seed, and all of its detectors."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from replearn import imageclef
from replearn.artefacts.files import write_text
from replearn.comparison.data_folder import DataFolder
from replearn.comparison.results import NO_ENCODER, Result
from replearn.comparison.settings import Comparison
from replearn.comparison.timing import recorded_seconds, timing
from replearn.concepts.id_lists import read_id_list
from replearn.concepts.table import read_concepts
from replearn.detection.detector import load_detector
from replearn.detection.fit_detector import make_detector
from replearn.detection.prediction import predict_run
from replearn.detection.settings import DetectorSettings, Method, Scoring
from replearn.detection.task import load_task
from replearn.encoders.configuration import open_configured
from replearn.encoders.encoder import load_encoder
from replearn.encoders.extraction import extract
from replearn.encoders.training.run import make_encoder, read_configuration
from replearn.features import Features
from replearn.images.ids import Selection
from replearn.images.opening import open_prepared
from replearn.neighbors.index_folder import create_index, read_concepts_of

_logger = logging.getLogger(__name__)

CONSTANT: Method = "constant"
MAX_ERRORS = 0.05  # share of the images that may be missing or unreadable


@dataclass(frozen=True)
class EncoderTask:
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
        """The folder of this task's artefacts."""
        return self.out / f"seed-{self.seed}" / self.encoder

    def features(self, part: str) -> Path:
        """Return the file of the features of a part."""
        return self.folder / f"{part}.h5"

    def run_file(self, detector: str, part: str) -> Path:
        """Return the file of a detector's predictions for a part."""
        return self.folder / f"{detector}-{part}.run"


def run_task(task: EncoderTask) -> list[Result]:
    """Train, extract, detect and score; what is there already from the same inputs stays."""
    folder = task.folder
    folder.mkdir(parents=True, exist_ok=True)
    with timing(folder, "encoder", folder / "encoder/encoder.json"):
        _train(task)
    for part in task.data.parts:
        with timing(folder, part, task.features(part)):
            _extract(task, part)
    results = []
    for name, settings in _detectors(task).items():
        result = _detect(task, name, settings)
        _logger.info(f"seed {task.seed}: {result.name}: F1 {result.f1:.4f} on {task.data.scored}")
        results.append(result)
    return results


def index_task(task: EncoderTask) -> None:
    """Build an index of the training features of a task."""
    path = task.features("train")
    features = Features.load(path)
    concepts = read_concepts_of(features, path, task.data.train)
    create_index(task.folder / "index", features, concepts, source=path, overwrite=task.overwrite)


def _detectors(task: EncoderTask) -> dict[str, DetectorSettings]:
    """Return the task's detectors by name."""
    detectors = task.settings.detectors_of(task.encoder)
    if task.encoder == next(iter(task.settings.encoders)):
        # The constant prediction needs no features, so once is enough.
        return {CONSTANT: DetectorSettings(method=CONSTANT)} | detectors
    return detectors


def _train(task: EncoderTask) -> None:
    encoder = task.settings.encoders[task.encoder]
    settings = encoder.model_dump(exclude_none=True, exclude_unset=True)
    settings["training"] = {**settings.get("training", {}), "seed": task.seed}
    path = task.folder / "config.yaml"
    write_text(path, yaml.safe_dump(settings, sort_keys=False))
    config = read_configuration(path)
    images = open_configured(task.images, config.images, read_id_list(task.data.train), MAX_ERRORS)
    folder = task.folder / "encoder"
    make_encoder(folder, config, images, resume=True, overwrite=task.overwrite)


def _extract(task: EncoderTask, part: str) -> None:
    encoder = load_encoder(task.folder / "encoder")
    selection = Selection(read_id_list(task.data.parts[part]), max_errors=MAX_ERRORS)
    images = open_prepared(task.images, encoder.description.form, selection)
    out = task.features(part)
    extract(encoder, images, out, jobs=None, max_errors=MAX_ERRORS, overwrite=task.overwrite)


def _detect(task: EncoderTask, name: str, settings: DetectorSettings) -> Result:
    """Fit one detector, write its run files and score it."""
    data, folder = task.data, task.folder
    rules = imageclef.edition(task.settings.edition)
    with timing(folder, name, folder / name / "detector.json"):
        to_fit = load_task(
            (task.features("train"), data.train),
            (task.features(data.chosen_on), data.parts[data.chosen_on]),
            Scoring(rules.empty, rules.max_concepts),
            # A split of our own has kept groups together already.
            groups=data.groups if data.valid_given else None,
        )
        make_detector(folder / name, to_fit, settings, overwrite=task.overwrite)
    for part in data.parts:
        if part != "train":
            _predict(task, name, part)
    steps = [name] if name == CONSTANT else [name, "encoder", *data.parts]
    return score_run(
        task.run_file(name, data.scored),
        folder / name,
        data,
        rules,
        encoder=NO_ENCODER if name == CONSTANT else task.encoder,
        seed=task.seed,
        seconds=recorded_seconds(folder, *steps),
    )


def score_run(
    run_file: Path,
    detector_folder: Path,
    data: DataFolder,
    rules: imageclef.Edition,
    *,
    encoder: str,
    seed: int,
    seconds: float,
) -> Result:
    """Return the result of a detector whose run of the scored part is written.

    Args:
        run_file: the run of that part.
        detector_folder: of the detector, whose name is the folder's.
        data: what is compared on.
        rules: of the edition.
        encoder: its name in tables.
        seed: of its training.
        seconds: of all that it needed.
    """
    truth = read_concepts(data.parts[data.scored])
    score = imageclef.evaluate_run(run_file, truth, rules)
    scores = np.array(list(score.per_image.values()))
    detector = load_detector(detector_folder)
    return Result(
        encoder=encoder,
        detector=detector_folder.name,
        f1=score.f1,
        interval=data.protocol.interval(list(score.per_image), scores),
        rule=detector.rule.name,
        threshold=detector.threshold,
        seed=seed,
        f1_valid=detector.validation["f1"],
        concepts=len(detector.vocabulary),
        seconds=seconds,
        per_image=score.per_image,
    )


def _predict(task: EncoderTask, detector: str, part: str) -> None:
    predict_run(
        task.folder / detector,
        [task.features(part)],
        task.run_file(detector, part),
        edition=task.settings.edition,
        ids=task.data.parts[part],
        overwrite=True,
    )
