"""Variational autoencoders of several beta on the rate-distortion plane (Alemi et al. 2018).

    replearn phantoms runs/data
    replearn prepare runs/data/images runs/images.h5 --size 32
    python -m benchmarks.rate_distortion runs/images.h5 runs/beta

One encoder for each beta is trained in OUT, where it stays, and `plane.png` is drawn.  The last one
has a beta that collapses it, and free bits as the remedy.  The images of the last fifth are held
out, and measured.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.command import run_benchmark
from benchmarks.markdown import table
from replearn.diagnostics.codes.numbers import code_numbers
from replearn.diagnostics.diagnosis import Numbers
from replearn.encoders.latent import Latent
from replearn.encoders.training.run import train
from replearn.images.image_set import ImageSet

FREE_BITS = 0.1  # nats of each unit
SHOWN = ("rate", "distortion", "bits_per_dimension", "active_units", "collapsed_units")


def main(
    images: Annotated[Path, typer.Argument(help="A prepared image set.")],
    out: Annotated[Path, typer.Argument(help="Folder of the encoders and the figure.")],
    beta: Annotated[list[float], typer.Option(help="May be repeated.")] = [  # noqa: B006
        0.1,
        1.0,
        10.0,
        100.0,
        1000.0,
    ],
    steps: Annotated[int, typer.Option(help="Length of each training.")] = 300,
    width: Annotated[int, typer.Option(help="Of the networks.")] = 8,
    latent_dim: Annotated[int, typer.Option(help="Units of the code.")] = 32,
    seed: Annotated[int, typer.Option(help="Of the trainings.")] = 0,
) -> None:
    """Train a VAE for each beta, and draw rate against distortion on held-out images."""
    every = ImageSet.load(images)
    learned, held_out = np.split(np.asarray(every.ids), [len(every.ids) * 4 // 5])
    shared = {"width": width, "latent_dim": latent_dim}
    runs: dict[str, dict[str, Any]] = {f"{value:g}": {"beta": value} for value in beta}
    runs[f"{max(beta):g}, free bits"] = {"beta": max(beta), "free_bits": FREE_BITS}
    found = {
        name: measure(
            every.select(list(learned)),
            every.select(list(held_out)),
            out / name.replace(", ", "-").replace(" ", "-"),
            {"arguments": shared | arguments, "training": {"steps": steps, "seed": seed}},
        )
        for name, arguments in runs.items()
    }
    draw(found, out / "plane.png")
    rows = [[name, *(interval(numbers, one) for one in SHOWN)] for name, numbers in found.items()]
    print(table(["beta", *SHOWN], rows))
    content = {
        name: {k: v.to_json() for k, v in numbers.items()} for name, numbers in found.items()
    }
    print(json.dumps({"benchmark": "rate_distortion", "steps": steps, "runs": content}))


def measure(learned: ImageSet, held_out: ImageSet, folder: Path, settings: Any) -> Numbers:
    """Return rate, distortion and likelihood on held-out images of a VAE, trained if need be."""
    latent = Latent.of(train("vae", learned, folder, **settings))
    assert latent is not None
    return code_numbers(latent, held_out.pixels)["information"]


def interval(numbers: Numbers, name: str) -> str:
    """Return a number with half of its interval."""
    found = numbers[name]
    half = (found.high - found.low) / 2
    return f"{found.value:.4g} ± {half:.2g}"


def draw(found: dict[str, Numbers], path: Path) -> None:
    """Draw each model as a point; models of one bound lie on a line of slope -1."""
    figure = Figure((6.0, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    points = {
        name: (numbers["rate"].value, numbers["distortion"].value)
        for name, numbers in found.items()
    }
    swept = np.array([point for name, point in points.items() if "free" not in name])
    axes.plot(*swept.T, "-", color="#20639b", linewidth=0.8)
    for name, point in points.items():
        axes.plot(*point, "o", color="#c0392b" if "free" in name else "#20639b")
        axes.annotate(name, point, (5, 4), textcoords="offset points", fontsize=9)
    best = swept.sum(1).min()
    rates = np.array([0, swept[:, 0].max()])
    axes.plot(rates, best - rates, "--", color="#9a9a9a", linewidth=0.8)
    axes.set(xlabel="rate, nats per image", ylabel="distortion, nats per image")
    axes.set_title("beta; the dashed line has the best bound")
    axes.grid(alpha=0.3)
    axes.margins(x=0.12)
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    run_benchmark(main)
