"""Embeddings of every model at every layer: as on the CPU, but for rounding."""

import importlib
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.form import Form
from benchmarks.gpu.inputs import arguments_of, phantoms
from benchmarks.gpu.rows import Row, check, each, number, skipped
from benchmarks.measuring import layers_of
from replearn.arrays import Pixels, Vectors
from replearn.encoders.contract import FittedEncoder, Model
from replearn.encoders.embedding import Precision
from replearn.encoders.encoder import Description, Encoder, load_encoder, save_encoder
from replearn.encoders.models import MODELS, build
from replearn.encoders.training.loop import fit_encoder
from replearn.encoders.training.settings import TrainingSettings
from replearn.encoders.training.trainer import seed_all

LIMIT = 1e-4  # of the vectors' length
UNIT = "of the length"


def check_embeddings(form: Form) -> Iterator[Row]:
    """Compare the device in batches with the CPU in one batch, in float32 and in bfloat16."""
    pixels = phantoms(form.choose(160, 40), form.choose(64, 16))
    with tempfile.TemporaryDirectory() as folder:
        yield from each(MODELS, lambda name: _of_model(name, pixels, Path(folder), form))


def _of_model(name: str, pixels: Pixels, work: Path, form: Form) -> Iterator[Row]:
    arguments = arguments_of(name, form)
    if name == "pretrained":
        if find_spec("transformers") is None:
            yield skipped(name, "needs transformers")
            return
        arguments["name"] = str(_save_transformer(work / "transformer", form))
    model = _fitted(name, arguments, pixels)
    for layer in layers_of(name):
        own = arguments if layer == "only" else arguments | {"layer": layer}
        place = work / f"{name}-{layer}"
        place.mkdir()
        facts = Description(
            name, own, pixels.shape[-1], pixels.shape[1], "stretch", None, f"{name}:1", {}
        )
        save_encoder(place, model, facts)
        title = name if layer == "only" else f"{name}, {layer}"
        expected = _vectors(load_encoder(place, "cpu"), pixels, "float32", len(pixels))
        there = load_encoder(place, form.device)
        some = len(pixels) // 3  # whole batches and a rest
        found = _vectors(there, pixels, "float32", some)
        yield check(f"{title}, float32", largest_error(found, expected), LIMIT, UNIT)
        near = _vectors(there, pixels, "bfloat16", some)
        yield number(f"{title}, bfloat16", largest_error(near, expected), UNIT)


def _fitted(name: str, arguments: dict[str, Any], pixels: Pixels) -> Model:
    """Return a model: one that is fitted at once fitted on the CPU, the others as they begin."""
    seed_all(0)
    size, channels = pixels.shape[-1], pixels.shape[1]
    model = build(name, size=size, channels=channels, arguments=arguments)
    if isinstance(model, FittedEncoder):
        fit_encoder(model, pixels, TrainingSettings.model_validate({}))
    return model


def _vectors(encoder: Encoder, pixels: Pixels, precision: Precision, batch_size: int) -> Vectors:
    return np.concatenate(list(encoder.embed(pixels, batch_size=batch_size, precision=precision)))


def largest_error(found: Vectors, expected: Vectors) -> float:
    """Return the largest distance [N, D] from what was expected, as a share of its length."""
    exact = expected.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1)
    return float((np.linalg.norm(found - exact, axis=1) / np.maximum(lengths, 1e-30)).max())


def _save_transformer(folder: Path, form: Form) -> Path:
    """Save a vision transformer with random weights as the library saves one."""
    transformers = importlib.import_module("transformers")
    torch.manual_seed(0)
    config = transformers.Dinov2Config(
        image_size=28,
        patch_size=14,
        hidden_size=form.choose(384, 16),
        num_hidden_layers=form.choose(6, 2),
        num_attention_heads=form.choose(6, 2),
    )
    transformers.Dinov2Model(config).save_pretrained(folder)
    return folder
