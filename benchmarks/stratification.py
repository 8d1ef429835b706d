"""How evenly concepts are divided: random, iterative-stratification's and stratified splits.

    python -m benchmarks.stratification CONCEPTS [--copies 10] [--without-peer]

Prints, for each way to split off a tenth, the mean |share in part - share in all| over the concepts
with at least 10 images (mean over seeds), the seconds of CPU, and the largest number of parts that
a group is in.  `--copies` repeats the file; groups of 1 to 8 images are drawn with seed 0.  The
peer is the package iterative-stratification, where it is installed.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.command import run_benchmark
from benchmarks.markdown import table as table_of
from replearn.concepts.splitting.stratification import deviations, stratify
from replearn.concepts.table import read_concepts
from replearn.concepts.vocabulary import multi_hot, vocabulary

SHARES = np.array([0.9, 0.1])
Parts = Callable[[int], NDArray[np.intp]]  # a seed to the part of each image


def main(
    concept_file: Annotated[Path, typer.Argument(metavar="CONCEPTS", help="Concept file.")],
    copies: Annotated[int, typer.Option(min=1, help="How often its images are repeated.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, help="Splits of each kind.")] = 3,
    without_peer: Annotated[
        bool, typer.Option("--without-peer", help="Leave iterative-stratification out.")
    ] = False,
) -> None:
    """Compare ways to split off a tenth of a concept file."""
    table = read_concepts(concept_file)
    once = multi_hot(table, vocabulary(table))
    labels = sparse.csr_array(sparse.vstack([once] * copies))
    alone = np.arange(labels.shape[0])
    groups = draw_groups(labels.shape[0])
    ways: dict[str, tuple[Parts, NDArray[np.intp]]] = {
        "random": (at_random(alone), alone),
        "stratified": (lambda seed: stratify(labels, alone, SHARES, seed), alone),
        "random groups": (at_random(groups), groups),
        "stratified groups": (lambda seed: stratify(labels, groups, SHARES, seed), groups),
    }
    if not without_peer:
        ways["iterative-stratification"] = (peer(labels), alone)
    rows = [measure(name, parts, labels, of, seeds) for name, (parts, of) in ways.items()]
    print(f"{labels.shape[0]:,} images, {groups.max() + 1:,} groups, {seeds} seeds\n")
    head = ["split", "deviation, train", "deviation, valid", "share of valid", "CPU seconds"]
    print(table_of([*head, "parts of a group, at most"], rows), end="")


def draw_groups(count: int) -> NDArray[np.intp]:
    """Return the group of each image [N]: 1 to 8 images drawn at random, with seed 0."""
    generator = np.random.default_rng(0)
    number = np.repeat(np.arange(count), generator.integers(1, 9, count))[:count]
    return np.asarray(number[np.argsort(generator.permutation(count))], np.intp)


def at_random(groups: NDArray[np.intp]) -> Parts:
    """Return a random split of whole groups."""
    count = int(groups.max()) + 1
    return lambda seed: np.random.default_rng(seed).choice(2, count, p=SHARES)[groups]


def peer(labels: sparse.csr_array) -> Parts:
    """Return the split of the package iterative-stratification, which knows no groups."""
    from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit

    dense = labels.toarray()

    def split(seed: int) -> NDArray[np.intp]:
        splitter = MultilabelStratifiedShuffleSplit(n_splits=1, test_size=0.1, random_state=seed)
        _, valid = next(splitter.split(dense, dense))
        part = np.zeros(len(dense), np.intp)
        part[valid] = 1
        return part

    return split


def measure(
    name: str, parts: Parts, labels: sparse.csr_array, groups: NDArray[np.intp], seeds: int
) -> list[str]:
    """Return the row of one way to split."""
    found, shares, seconds, most = [], [], [], 0
    for seed in range(seeds):
        start = time.process_time()
        part = parts(seed)
        seconds.append(time.process_time() - start)
        found.append(deviations(labels, part, 2))
        shares.append((part == 1).mean())
        homes = np.unique(np.stack([groups, part]), axis=1)
        most = max(most, int(np.bincount(homes[0]).max()))
    train, valid = np.mean(found, axis=0)
    spread = np.std(found, axis=0, ddof=1)[1] if seeds > 1 else 0.0
    return [
        name,
        f"{train:.6f}",
        f"{valid:.6f} ± {spread:.6f}",
        f"{np.mean(shares):.4f}",
        f"{np.mean(seconds):.1f}",
        str(most),
    ]


if __name__ == "__main__":
    run_benchmark(main)
