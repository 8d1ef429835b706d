"""What each stabiliser does to a small GAN: distance of the samples, conditioning, and a probe.

    replearn phantoms runs/data --count 600 --size 16
    python -m benchmarks.stabilisers runs/data --seed 0 --seed 1 --seed 2

Samples are compared with the validation and test images by the Fréchet distance on 32 principal
components of the pixels; the features of the critic by a linear detector on validation images.
"""

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from sklearn.decomposition import PCA

from benchmarks.command import run_benchmark
from benchmarks.markdown import table
from replearn.arrays import Floats
from replearn.concepts.table import read_concepts
from replearn.detection.probe import Probe
from replearn.diagnostics.generators.set_distances import frechet_distance
from replearn.encoders.latent import Latent
from replearn.encoders.training.run import train
from replearn.images.opening import open_images

COMPONENTS, JACOBIANS = 32, 10
VARIANTS: dict[str, dict[str, Any]] = {
    "none": {"adversary": {"r1": 0.0}},
    "r1 1": {"adversary": {"r1": 1.0}},
    "bottleneck 0.5": {"adversary": {"r1": 0.0, "bottleneck": 0.5}},
    "r1 1, clamping 2 to 4": {"adversary": {"r1": 1.0}, "clamping": [2.0, 4.0]},
}


def main(
    data: Annotated[Path, typer.Argument(help="Folder of `replearn phantoms`.")],
    seed: Annotated[list[int], typer.Option(help="May be repeated.")] = [0, 1, 2],  # noqa: B006
    size: Annotated[int, typer.Option(help="Of the images.")] = 16,
    width: Annotated[int, typer.Option(help="Of the networks.")] = 8,
    steps: Annotated[int, typer.Option(help="Length of each training.")] = 400,
) -> None:
    """Train a GAN with each stabiliser and seed; print means and standard deviations."""
    found: dict[str, list[dict[str, float]]] = {}
    for name, arguments in VARIANTS.items():
        for number in seed:
            settings = {
                "arguments": {"width": width, "latent_dim": 16, **arguments},
                "training": {"steps": steps, "seed": number, "sheet_every": steps, "ema": 0.99},
            }
            numbers = measure(data, size, settings)
            found.setdefault(name, []).append(numbers)
            print(json.dumps({"stabiliser": name, "seed": number, **numbers}), flush=True)
    columns = list(next(iter(found.values()))[0])
    rows = [
        [name, *(spread([run[column] for run in runs]) for column in columns)]
        for name, runs in found.items()
    ]
    print(table(["stabiliser", *columns], rows))


def spread(values: list[float]) -> str:
    """Return mean and standard deviation."""
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}"


def measure(data: Path, size: int, settings: Any) -> dict[str, float]:
    """Return the distance of the samples, the conditioning and the probe of one training."""
    concepts = {
        part: read_concepts(data / f"{part}-concepts.tsv") for part in ("train", "valid", "test")
    }
    images = {
        part: open_images(data / "images", ids=list(some.ids), size=size)
        for part, some in concepts.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        encoder = train("gan", images["train"], Path(folder) / "gan", **settings)
    latent = Latent.of(encoder)
    assert latent is not None
    pixels = {part: np.asarray(some.pixels[:]) for part, some in images.items()}
    real = latent.images(np.concatenate([pixels["valid"], pixels["test"]]))
    codes = latent.draw(len(real), 1)
    assert codes is not None
    values = latent.singular_values(codes[:JACOBIANS])
    return {
        "frechet": distance(real, latent.decode(codes)),
        "log10 condition": float(np.log10(values[:, 0] / values[:, -1]).mean()),
        "probe": Probe(pixels["valid"], concepts["valid"]).measure(encoder.transform)["linear"],
    }


def distance(real: Floats, made: Floats) -> float:
    """Return the Fréchet distance of images [N, P] on principal components of the real ones."""
    axes = PCA(COMPONENTS, random_state=0).fit(real)
    both = axes.transform(real), axes.transform(made)
    return frechet_distance(*both, interval=False)["frechet"].value


if __name__ == "__main__":
    run_benchmark(main)
