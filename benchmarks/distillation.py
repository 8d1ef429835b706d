"""How much of a teacher's lead over principal components its students keep, and how fast they are.

    python -m benchmarks.distillation DATA TEACHER STUDENT...

DATA is a data folder; TEACHER and each STUDENT (one for each seed) are encoders that were trained
on its training images.  Neighbours vote.  How they vote, and the decision rule, are chosen on a
quarter of the training images, split off by group; the score is the mean F1 of the validation
images.  Speed is in images for each second of one core's own time, all encoders in turn.
"""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from benchmarks.command import run_benchmark
from benchmarks.data_folders import Parts, open_folder, prepare_folder
from replearn.arrays import Pixels, Vectors
from replearn.concepts.groups import group_keys
from replearn.detection.fit_detector import fit_detector
from replearn.encoders.encoder import load_encoder
from replearn.encoders.models.pca import PCA
from replearn.encoders.preprocessing import scale_pixels
from replearn.errors import UsageError
from replearn.features import Features
from replearn.metrics import f1_of_sets

Embed = Callable[[Pixels], Vectors]

_RESAMPLES = 2000
_TIMED = 256  # images
_TURNS = 7


def main(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Data folder.")],
    teacher: Annotated[Path, typer.Argument(metavar="TEACHER", help="Encoder.")],
    students: Annotated[list[Path], typer.Argument(metavar="STUDENT...", help="Encoders.")],
) -> None:
    """Print a table of PCA, the teacher and its students."""
    torch.set_num_threads(1)
    opened = [load_encoder(folder, "cpu") for folder in (teacher, *students)]
    form = opened[0].description.form
    if any(encoder.description.form != form for encoder in opened):
        raise UsageError("the encoders see images of different forms; train them on the same")
    with TemporaryDirectory() as place:
        prepare_folder(data, Path(place) / "data", size=form.size, channels=form.channels)
        pixels, parts = open_folder(Path(place) / "data")
    names = ["teacher", *(f"student {number}" for number in range(1, len(students) + 1))]
    embeds: dict[str, Embed] = {"pca": fitted_pca(pixels["train"])}
    embeds |= {name: made.transform for name, made in zip(names, opened, strict=True)}
    scores = {name: score(embed, pixels, parts) for name, embed in embeds.items()}
    speeds = measure(embeds, pixels["train"][:_TIMED])
    print("| encoder | F1 by neighbours | of the teacher's lead | images/s | of the teacher's |")
    print("|---|---|---|---|---|")
    for name in embeds:
        low, high, lead = share_of_lead(scores, name, parts)
        ratio = median(a / b for a, b in zip(speeds[name], speeds["teacher"], strict=True))
        print(
            f"| {name} | {scores[name].mean():.4f} | {lead:.0%} ({low:.0%} to {high:.0%}) "
            f"| {median(speeds[name]):,.0f} | {ratio:.1f} |"
        )


def fitted_pca(pixels: Pixels) -> Embed:
    """Return principal components of training images, with the shipped settings."""
    directions = min(128, len(pixels))
    model = PCA(size=pixels.shape[-1], channels=pixels.shape[1], latent_dim=directions)
    model.fit(scale_pixels(pixels))
    return lambda some: model.embed(scale_pixels(some)).numpy()


def score(embed: Embed, pixels: dict[str, Pixels], parts: Parts) -> NDArray[np.float64]:
    """Return the F1 of each scored image [N]."""
    pairs = []
    for part in ("train", "valid"):
        vectors = embed(pixels[part])
        made = Features(parts.ids[part], vectors, f"benchmark:{part}", encoder="benchmark")
        pairs.append((made, parts.table(part)))
    detector = fit_detector(pairs[0], pairs[1], method="knn", groups=parts.groups or None)
    named = detector.concepts(embed(pixels["test"]))
    truth = parts.table("test").concepts
    return np.array([f1_of_sets({*t}, {*n}) for t, n in zip(truth, named, strict=True)])


def share_of_lead(
    scores: dict[str, NDArray[np.float64]], name: str, parts: Parts
) -> tuple[float, float, float]:
    """Return (low, high, share) of the teacher's lead over PCA; whole groups are drawn."""
    _, number = np.unique(group_keys(parts.ids["test"], parts.groups), return_inverse=True)
    order = ("pca", "teacher", name)
    sums = np.stack([np.bincount(number, scores[each]) for each in order])
    drawn = np.random.default_rng(0).integers(0, sums.shape[1], (_RESAMPLES, sums.shape[1]))
    shares = [_share(sums[:, rows].sum(1)) for rows in drawn]
    low, high = np.quantile(shares, [0.025, 0.975])
    return float(low), float(high), _share(sums.sum(1))


def _share(sums: NDArray[np.float64]) -> float:
    pca, teacher, other = sums
    return float((other - pca) / (teacher - pca))


def measure(embeds: dict[str, Embed], pixels: Pixels) -> dict[str, list[float]]:
    """Return the images for each second of this process's own time, of several turns."""
    speeds: dict[str, list[float]] = {name: [] for name in embeds}
    for _ in range(_TURNS):
        for name, embed in embeds.items():
            began = time.process_time()
            embed(pixels)
            speeds[name].append(len(pixels) / (time.process_time() - began))
    return speeds


if __name__ == "__main__":
    run_benchmark(main)
