"""One encoder on one data set with one seed: train, extract at every layer, probe."""

import json
import time
import traceback
import typing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.binary import probe_binary
from benchmarks.datasets import Data, Form, facts_of, open_data
from benchmarks.detectors import score_detectors
from benchmarks.probes import GRIDS, NEIGHBOURS, Features, probe
from benchmarks.recipes import Recipe
from replearn.arrays import Pixels
from replearn.artefacts.files import write_text
from replearn.artefacts.identity import identify
from replearn.artefacts.workspace import workspace
from replearn.concepts.groups import group_keys
from replearn.encoders.contract import FittedEncoder, Model, Objective
from replearn.encoders.embedding import Precision, find_device
from replearn.encoders.encoder import Description, Encoder
from replearn.encoders.models import MODELS, build, check_arguments
from replearn.encoders.networks.normalisation import measure_statistics
from replearn.encoders.training import acceleration
from replearn.encoders.training.loop import fit, fit_encoder
from replearn.encoders.training.settings import TrainingSettings
from replearn.encoders.training.trainer import Trainer, sample, seed_all
from replearn.errors import DataError, brief
from replearn.imageclef import edition, write_run
from replearn.metrics import mean_score

# Raise it when the protocol changes: what was measured before is then measured again.
PROTOCOL = 2

_EDITION = 2018  # of the run files that predict images without known concepts


@dataclass(frozen=True)
class Job:
    """What one process does at a time: one training, however many layers are read.

    Attributes:
        encoder: its name in the table.
        recipe: model and arguments.
        training: with the seed.
        form: of the data.
        layers: that are read; `only` where the model offers no choice.
        work: the work folder.
    """

    encoder: str
    recipe: Recipe
    training: TrainingSettings
    form: Form
    layers: tuple[str, ...]
    work: Path

    def key(self, layer: str) -> str:
        """Return what identifies the result: everything that determines it, and no more."""
        return identify("measured", **self.facts(layer))

    @property
    def identity(self) -> str:
        """What identifies the training, whatever layers are read."""
        return self.key(layers_of(self.recipe.model)[0])

    def check(self) -> None:
        """Build the model without its weights.

        Raises:
            UsageError: it cannot be, as networks for images of this size.
        """
        with torch.device("meta"):
            _build(self, self.layers[0])

    def facts(self, layer: str) -> dict[str, Any]:
        """Return the settings behind a result, complete."""
        recipe = self.recipe
        learns = issubclass(MODELS[recipe.model], Objective) and recipe.trained
        device = find_device(self.training.device)
        precision = acceleration.precision_of(self.training, device)
        settings = self.training.facts() | {"precision": str(precision).removeprefix("torch.")}
        # What is fitted at once knows no others.
        few = {key: settings[key] for key in ("seed", "fit_images", "crop")}
        if self.training.precision == "bfloat16":
            few["precision"] = "bfloat16"
        used = settings if learns else few
        return {
            "protocol": [PROTOCOL, [list(grid) for grid in GRIDS.values()], list(NEIGHBOURS)],
            "data": facts_of(self.form),
            "device": device.type,
            "model": recipe.model,
            "trained": recipe.trained,
            "arguments": check_arguments(recipe.model, _read_at(layer, recipe)),
            "training": used if recipe.model != "raw" else {"crop": settings["crop"]},
        }


def layers_of(model: str) -> tuple[str, ...]:
    """Return the layers that a model's argument `layer` offers."""
    hint = typing.get_type_hints(MODELS[model].__init__).get("layer")
    return typing.get_args(hint) or ("only",)


def _read_at(layer: str, recipe: Recipe) -> dict[str, Any]:
    return recipe.arguments | ({} if layer == "only" else {"layer": layer})


@lru_cache(maxsize=1)
def _open(form: Form, work: Path) -> Data:
    return open_data(form, work)


def measure(job: Job) -> list[dict[str, Any]]:
    """Return one result for each layer.

    Raises:
        DataError: the training diverged, or the data does not suit the model.
        KeyboardInterrupt: stopped by a signal, the training after saving.
    """
    data = _open(job.form, job.work)
    place = job.work / f"{job.encoder}-{job.identity.rpartition(':')[2]}"
    with workspace(place, keep=True) as folder:  # until the results are known
        model, seconds = train(job, data.pixels["train"], folder)
        return [
            {
                "key": job.key(layer),
                "dataset": job.form.dataset,
                "encoder": job.encoder,
                "seed": job.training.seed,
                "layer": layer,
                "train_seconds": seconds,
                **_measure_layer(job, model, layer, data),
                "settings": job.facts(layer),
            }
            for layer in job.layers
        ]


def attempt(job: Job) -> tuple[Job, list[dict[str, Any]] | DataError]:
    """Return the job with its results, or with what was wrong: others have to go on."""
    try:
        return job, measure(job)
    except DataError as error:  # one training that diverged must not end the others
        return job, error
    except Exception as error:  # nor one that needs more memory than there is
        traceback.print_exc()
        return job, DataError(f"{type(error).__name__}: {brief(error)}")


def _build(job: Job, layer: str) -> Model:
    form, recipe = job.form, job.recipe
    size = job.training.crop or form.size
    return build(recipe.model, size=size, channels=form.channels, arguments=_read_at(layer, recipe))


def train(job: Job, pixels: Pixels, folder: Path) -> tuple[Model, float]:
    """Return the encoder, trained on pixels uint8 [N, C, H, W], and how many seconds it took.

    A training that was stopped in this folder is continued.
    """
    start = time.perf_counter()
    seed_all(job.training.seed)
    model = _build(job, job.layers[0])
    if not job.recipe.trained:
        # Without them the baseline would be lower than an untrained network deserves.
        device = find_device(job.training.device)
        images = sample(pixels, job.training).to(device)
        measure_statistics(model.to(device).eval(), images, look=model.embed)
    elif isinstance(model, Objective):
        trainer = Trainer(model, pixels, job.training)
        model = fit(trainer, folder, job.identity, {}, resume=True)
        return model.eval(), _seconds(folder, trainer.batch_size)
    elif isinstance(model, FittedEncoder):
        fit_encoder(model, pixels, job.training)
        model.to(find_device(job.training.device))
    return model.eval(), time.perf_counter() - start


def _seconds(folder: Path, batch_size: int) -> float:
    """Return how long a training's steps took, those before it was stopped included."""
    seconds, before = 0.0, 0
    for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        logged = json.loads(line)
        seconds += (logged["step"] - before) * batch_size / logged["images_per_second"]
        before = logged["step"]
    return seconds


def _measure_layer(job: Job, model: Model, layer: str, data: Data) -> dict[str, Any]:
    start = time.perf_counter()
    features = extract(job, model, layer, data)
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    scored = _score(job, layer, features, data)
    return {
        "dimensions": features["train"].shape[1],
        "extract_seconds": seconds,
        "probe_seconds": time.perf_counter() - start,
        "images": data.count,
        **scored,
    }


def _score(job: Job, layer: str, features: dict[str, Features], data: Data) -> dict[str, Any]:
    """Return the scores and, where the data set has them, their intervals or images and groups."""
    if data.parts:
        per_image, predicted = score_detectors(features, data.parts)
        (job.work / "runs").mkdir(exist_ok=True)
        for name, concepts in predicted.items():
            run = f"{job.form.dataset}-{job.encoder}-{job.training.seed}-{layer}-{name}.csv"
            text = write_run(data.parts.ids["asked"], concepts, edition(_EDITION))
            write_text(job.work / "runs" / run, text)
        scores = {name: mean_score(np.array([*f1.values()])) for name, f1 in per_image.items()}
        keys = group_keys(data.parts.ids["test"], data.parts.groups)
        return {"scores": scores, "per_image": per_image, "groups": keys}
    if job.form.dataset == "pneumoniamnist":
        scores, intervals = probe_binary(features, data.labels)
        return {"scores": scores, "intervals": intervals}
    return {"scores": probe(features, data.labels, str(find_device(job.training.device)))}


def extract(job: Job, model: Model, layer: str, data: Data) -> dict[str, Features]:
    """Return the features float32 [N, D] of each part at a layer of a trained model.

    Raises:
        DataError: a feature is not finite; the training has diverged.
    """
    # Reading elsewhere is an argument of the constructor; the weights are the same.
    reader = _build(job, layer)
    reader.load_state_dict(model.state_dict())
    reader.to(find_device(job.training.device)).eval()
    form = job.form
    description = Description(
        model=job.recipe.model,
        arguments=_read_at(layer, job.recipe),
        size=form.size,
        channels=form.channels,
        fit="stretch",
        crop=job.training.crop,
        identity=job.key(layer),
        training=job.training.facts(),
    )
    encoder = Encoder(reader, description)
    asked = job.training.precision == "bfloat16" and isinstance(model, FittedEncoder)
    precision: Precision = "bfloat16" if asked else "float32"
    features = {
        part: np.concatenate(list(encoder.embed(pixels, precision=precision)))
        for part, pixels in data.pixels.items()
    }
    for values in features.values():
        if not np.isfinite(values).all():
            raise DataError(f"{job.encoder}: features are NaN or infinite; its training diverged")
    return features
