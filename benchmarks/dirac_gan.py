"""Phase portraits of the Dirac-GAN with the library's losses: the figure of docs/diagnostics.md.

    python -m benchmarks.dirac_gan docs/images/dirac-gan.png

Arrows are the field, grey the way of simultaneous steps, blue of alternating ones, and red of
alternating ones with a momentum of 0.5, all from (1, 1) at a rate of 0.1.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.command import run_benchmark
from benchmarks.markdown import table
from replearn.diagnostics.dirac_gan import DiracGAN
from replearn.encoders.losses.adversarial import Adversary

GAMES = {
    "non-saturating": DiracGAN(Adversary()),
    "least-squares": DiracGAN(Adversary(loss="least-squares")),
    "hinge": DiracGAN(Adversary(loss="hinge")),
    "wasserstein": DiracGAN(Adversary(loss="wasserstein")),
    "relativistic": DiracGAN(Adversary(loss="relativistic")),
    "wasserstein, gradient penalty 1": DiracGAN(Adversary(loss="wasserstein", gradient_penalty=1)),
    "non-saturating, R1 1": DiracGAN(Adversary(r1=1)),
    "wasserstein, R1 1": DiracGAN(Adversary(loss="wasserstein", r1=1)),
    "non-saturating, instance noise 1": DiracGAN(Adversary(instance_noise=1)),
    "wasserstein, instance noise 1": DiracGAN(Adversary(loss="wasserstein", instance_noise=1)),
    "non-saturating, feature matching 1": DiracGAN(Adversary(feature_matching=1)),
    "non-saturating, consensus 1": DiracGAN(Adversary(), consensus=1),
}
STEPS, RATE, EDGE, PLACES = 300, 0.1, 2.0, 13
COLUMNS = 4
WAYS: dict[str, dict[str, Any]] = {
    "#9a9a9a": {"order": "simultaneous"},
    "#20639b": {"order": "alternating"},
    "#c0392b": {"order": "alternating", "momentum": 0.5},
}


def main(
    out: Annotated[Path, typer.Argument(help="The figure to write, a PNG file.")],
) -> None:
    """Draw the phase portraits, and print what converges."""
    rows = -(-len(GAMES) // COLUMNS)
    figure = Figure((3 * COLUMNS, 3.1 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    found = []
    for axes, (name, game) in zip(figure.subplots(rows, COLUMNS).flat, GAMES.items(), strict=True):
        draw(axes, name, game)
        found.append({"game": name, **facts(game)})
    figure.savefig(out, dpi=80)
    print(table(list(found[0]), [list(row.values()) for row in found]))
    print(json.dumps({"benchmark": "dirac_gan", "games": found}))


def draw(axes: Axes, name: str, game: DiracGAN) -> None:
    """Draw the field and the ways of a game."""
    places = np.linspace(-EDGE, EDGE, PLACES)
    grid = np.array([[theta, psi] for psi in places for theta in places])
    arrows = np.array([game.field(point) for point in grid])
    lengths = np.linalg.norm(arrows, axis=1, keepdims=True)
    arrows = arrows / np.maximum(lengths, 1e-9) ** 0.75  # long ones would hide the short ones
    axes.quiver(*grid.T, *arrows.T, color="#c8c8c8", angles="xy", scale=18, width=0.004)
    for colour, how in WAYS.items():
        way = game.trajectory(steps=STEPS, rate=RATE, **how)
        axes.plot(*way.T, color=colour, linewidth=0.9)
    axes.plot(0, 0, "+", color="black", markersize=9)
    axes.plot(1, 1, "o", color="black", markersize=3)
    axes.set(xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE), aspect="equal", xticks=[], yticks=[])
    axes.set_title(name, fontsize=9)
    axes.set_xlabel("generator", fontsize=8)
    axes.set_ylabel("critic", fontsize=8)


def facts(game: DiracGAN) -> dict[str, str]:
    """Return the eigenvalues of the field, and whether each way ends at the equilibrium."""
    smooth = not game.adversary.gradient_penalty
    eigenvalues = " and ".join(f"{v:.2f}" for v in game.eigenvalues()) if smooth else "none"
    ends = [
        f"{np.linalg.norm(game.trajectory(steps=STEPS, rate=RATE, **how)[-1]):.3f}"
        for how in WAYS.values()
    ]
    return dict(
        zip(
            ("eigenvalues", "simultaneous", "alternating", "momentum"),
            [eigenvalues, *ends],
            strict=True,
        )
    )


if __name__ == "__main__":
    run_benchmark(main)
