"""Models that are broken on purpose, and which faults their diagnosis names.

    replearn phantoms runs/data --count 2400
    python -m benchmarks.broken_models runs/data runs/broken --seed 0 --seed 1 --seed 2

A sound VAE and a sound GAN; a VAE with beta 100; a VAE that never saw computed tomography; a VAE
that learned 20 images by heart; a GAN whose critic learns 10 times as fast.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.command import run_benchmark
from benchmarks.markdown import table
from replearn.concepts.table import read_concepts
from replearn.diagnostics.diagnose import Known, diagnose_encoder
from replearn.diagnostics.diagnosis import Diagnosis
from replearn.encoders.training.run import train
from replearn.images.image_set import ImageSet
from replearn.images.opening import open_images

MISSING = "C0040405"  # computed tomography, a quarter of the phantoms
LEARNED = 20
SHOWN = ("spread", "support", "missing_modes", "copies", "reconstruction_gap", "critic/order")
FAST = {"learning_rate": {"critic": 1e-2, "generator": 1e-3}}

# Name: the fault that was planted, the model, its arguments, and settings of the training.
MODELS: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "sound VAE": ("", "vae", {}, {}),
    "VAE, beta 100": ("collapsed", "vae", {"beta": 100.0}, {}),
    "VAE without CT": ("mode-dropped", "vae", {}, {}),
    "VAE of 20 images": ("memorising", "vae", {}, {}),
    "sound GAN": ("", "gan", {}, {}),
    "GAN, critic 10 times as fast": ("unbalanced", "gan", {}, FAST),
}


def main(
    data: Annotated[Path, typer.Argument(help="Folder of `replearn phantoms`.")],
    out: Annotated[Path, typer.Argument(help="Folder for the encoders.")],
    seed: Annotated[list[int], typer.Option(help="May be repeated.")] = [0, 1, 2],  # noqa: B006
    size: Annotated[int, typer.Option(help="Of the images.")] = 32,
    width: Annotated[int, typer.Option(help="Of the networks.")] = 8,
    steps: Annotated[int, typer.Option(help="Length of each training.")] = 400,
    count: Annotated[int, typer.Option(help="Images that are looked at.")] = 1000,
) -> None:
    """Train each model with each seed, diagnose it, and print what is named and why."""
    images = open_images(data / "images", size=size)
    rows = []
    for number in seed:
        for name, (planted, model, arguments, more) in MODELS.items():
            settings: Any = {
                "arguments": {"width": width, "latent_dim": 32, **arguments},
                "training": {
                    "steps": steps,
                    "batch_size": 32,
                    "warmup": 20,
                    "ema": 0.99,
                    "log_every": 20,
                    "sheet_every": steps,
                    "seed": number,
                    **more,
                },
            }
            learned = learned_by(planted, images, data)
            place = out / f"{number}-{name.replace(' ', '-').replace(',', '')}"
            encoder = train(model, images.select(learned), place, **settings)
            some = images.select(images.ids[:count])
            mask = np.isin(some.ids, learned) if planted == "memorising" else None
            found = diagnose_encoder(encoder, some, known=Known(learned=mask))
            rows.append([name, str(number), planted or "none", *cells(found)])
            print(json.dumps({"model": name, "seed": number, **found.to_json()}), flush=True)
    print(table(["model", "seed", "planted", "named", *SHOWN], rows))


def learned_by(planted: str, images: ImageSet, data: Path) -> list[str]:
    """Return the ids that a model learns from."""
    if planted == "memorising":
        return images.ids[:LEARNED]
    if planted != "mode-dropped":
        return images.ids
    tables = [read_concepts(data / f"{part}-concepts.tsv") for part in ("train", "valid", "test")]
    shown = {
        id_
        for some in tables
        for id_, concepts in zip(some.ids, some.concepts, strict=True)
        if MISSING in concepts
    }
    return [id_ for id_ in images.ids if id_ not in shown]


def cells(found: Diagnosis) -> list[str]:
    """Return the named faults, and the numbers that name them, with half of each interval."""
    every = {name: one for numbers in found.numbers.values() for name, one in numbers.items()}
    texts = []
    for name in SHOWN:
        one = every.get(name)
        texts.append("" if one is None else f"{one.value:.3g}")
    return [", ".join(fault.name for fault in found.faults) or "none", *texts]


if __name__ == "__main__":
    run_benchmark(main)
