"""Tiny objectives, images and settings that the tests of a training share."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from replearn.artefacts.identity import identify
from replearn.concepts.table import ConceptTable
from replearn.detection.probe import Probe
from replearn.encoders.contract import Model, Objective
from replearn.encoders.models import MODELS, build, check_arguments
from replearn.encoders.models.sdae import SDAE
from replearn.encoders.training.loop import fit
from replearn.encoders.training.settings import TrainingSettings
from replearn.encoders.training.trainer import Trainer, seed_all

SIZE = 16
LABELLED = 64  # images of the probe

_SIZES: dict[str, Any] = {"width": 4, "latent_dim": 8, "critic_width": 16, "noise_dim": 8}

OBJECTIVES = [name for name, model in MODELS.items() if issubclass(model, Objective)]

SMALL: dict[str, dict[str, Any]] = {
    name: {key: _SIZES[key] for key in check_arguments(name, {}) if key in _SIZES}
    for name in OBJECTIVES
}

SMALL["combined"] = {
    "parts": {
        "aae": {"model": "aae", "arguments": SMALL["aae"]},
        "pca": {"model": "pca", "arguments": {"latent_dim": 4}},
    }
}

STEPS = 8

Terms = dict[str, Tensor]


def pictures(count: int = 24) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return smooth images uint8 [N, 1, 16, 16]."""
    random = np.random.default_rng(0)
    coarse = random.uniform(0, 255, (count, 4, 4)).astype(np.float32)
    images = [cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR) for image in coarse]
    return np.stack(images).astype(np.uint8)[:, None]


def settings_of(**changes: Any) -> TrainingSettings:
    common = {"batch_size": 8, "warmup": 2, "device": "cpu", "log_every": 1}
    if "epochs" not in changes:
        common["steps"] = STEPS
    return TrainingSettings.model_validate(common | changes)


def new_trainer(
    name: str = "sdae", *, weights: int = 0, count: int = 24, **changes: Any
) -> Trainer:
    seed_all(weights)
    model = build(name, size=SIZE, channels=1, arguments=SMALL[name])
    assert isinstance(model, Objective)
    return Trainer(model, pictures(count), settings_of(**changes))


def odd_trainer(kind: type[SDAE], **changes: Any) -> Trainer:
    """Return a trainer of an autoencoder whose losses do something odd."""
    seed_all(0)
    return Trainer(kind(size=SIZE, width=4, latent_dim=8), pictures(), settings_of(**changes))


def go(
    trainer: Trainer, folder: Path, *, resume: bool = False, probe: Probe | None = None
) -> Model:
    """Run `fit` as the stage does."""
    facts = {"model": "sdae", "training": trainer.settings.facts()}
    folder.mkdir(exist_ok=True)
    identity = identify("sdae", **facts)
    return fit(trainer, folder, identity, facts, resume=resume, probe=probe)


@cache
def probe() -> Probe:
    """Return labelled images: a concept for each quarter of the image that is bright."""
    pixels = pictures(LABELLED)
    half = SIZE // 2
    quarters = [pixels[:, 0, y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
    bright = np.stack([quarter.mean((1, 2)) > 127 for quarter in quarters], axis=1)
    bright[:, 0] |= ~bright.any(1)
    concepts = [tuple(f"C{column}" for column in np.flatnonzero(row)) for row in bright]
    return Probe(pixels, ConceptTable([f"i{row}" for row in range(LABELLED)], concepts))


def rates(trainer: Trainer) -> dict[str, float]:
    return {name: o.param_groups[0]["lr"] for name, o in trainer.optimisers.items()}


def assert_same_bits(found: Trainer, expected: Trainer) -> None:
    def state(trainer: Trainer) -> dict[str, Any]:
        return {
            "step": trainer.step,
            "objective": trainer.objective.state_dict(),
            "average": trainer.average.state_dict(),
            "optimisers": {name: o.state_dict() for name, o in trainer.optimisers.items()},
        }

    torch.testing.assert_close(state(found), state(expected), rtol=0, atol=0)


def metrics(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights_of(model: torch.nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}
