"""How fast logistic regression of many labels is, against scikit-learn at the same moment.

    python -m benchmarks.logistic                   about 10 minutes on 2 cores
    python -m benchmarks.logistic --quick           about 1: fewer labels for the rival, less growth
    python -m benchmarks.logistic --scale 1         growth at full size: 224,000 x 1,024, 500 labels

The features are rectified mixtures of Gaussians whose spectrum decays (row k of the mixing matrix
is scaled by k^-1/2), standardised.  Label j is what is highest of a random linear score with
logistic noise, in a share f_j of the rows:

a       f_j = 0.3 j^-0.7 + 0.002
b       f_j = 0.3 j^-0.9 + 0.001, a harder tail

The rival is a LogisticRegression for each label (lbfgs, tol 1e-4), one after the other on as many
threads as its matrix products take, or in `--jobs` processes.  The two take turns: a round of ours,
then a part of the labels of the rival; if it is not given all labels, its time is scaled up by
their number.  Above a ratio of 1 replearn is faster.  Of some labels, the objective is compared
with that of `newton-cholesky` at tol 1e-8: the excess is relative.

Growth is the time at a quarter, a half and all of the rows, and of the labels; the time at full
size (223,859 rows, 500 and 2,500 labels) is extrapolated from it where it was not measured.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import joblib
import numpy as np
import sklearn
from numpy.typing import NDArray
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

import replearn
from replearn.detection.logistic.regression import MultiLabelLogisticRegression

Matrix = NDArray[np.floating[Any]]

FULL_ROWS, FULL_WIDTH, FULL_LABELS = 223_859, 1024, 500
TAILS = {"a": (0.7, 0.002), "b": (0.9, 0.001)}


@dataclass(frozen=True)
class Options:
    """What is measured.

    Attributes:
        rows: of the comparison.
        width: features of the comparison.
        labels: of the comparison.
        rival: labels that the rival fits.
        exact: labels whose objective is compared.
        rounds: times that ours is measured.
        jobs: processes of the rival.
        scale: rows of the growth, as a share of the full number; 0 leaves it out.
        growth_width: features of the growth.
        growth_labels: labels of the growth.
    """

    rows: int
    width: int
    labels: int
    rival: int
    exact: int
    rounds: int
    jobs: int
    scale: float
    growth_width: int
    growth_labels: int


@dataclass(frozen=True)
class Duration:
    """Seconds by the clock, and of the processor over all threads of this process."""

    wall: float
    cpu: float


def timed(work: Callable[[], Any]) -> tuple[Any, Duration]:
    """Return what `work` returns, and how long it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, Duration(time.perf_counter() - wall, time.process_time() - cpu)


def synthetic(
    rows: int, width: int, labels: int, tail: str, seed: int = 0
) -> tuple[Matrix, sparse.csr_array]:
    """Return features float32 [N, D] and labels 0/1 [N, L], as described above."""
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(width, width)) * np.arange(1, width + 1)[:, None] ** -0.5
    X = np.empty((rows, width), np.float32)
    for start in range(0, rows, 4096):
        block = X[start : start + 4096]
        hidden = generator.standard_normal(block.shape, np.float32)
        np.maximum(hidden @ mixing.astype(np.float32), 0, out=block)
    for column in range(width):  # one at a time: no second matrix of this size
        feature = X[:, column].astype(np.float64)
        X[:, column] = (feature - feature.mean()) / feature.std()
    power, least = TAILS[tail]
    shares = 0.3 * np.arange(1, labels + 1) ** -power + least
    columns = []
    for start in range(0, labels, 32):
        some = shares[start : start + 32]
        directions = generator.standard_normal((width, len(some)), np.float32) / np.sqrt(width)
        for share, score in zip(some, (X @ directions).T, strict=True):
            noisy = score + generator.logistic(size=rows)
            highest = np.argpartition(-noisy, count := round(share * rows))[:count]
            columns.append(highest.astype(np.int32))  # a view would keep the whole order
    indices = np.concatenate(columns)
    starts = np.cumsum([0, *map(len, columns)])
    matrix = sparse.csc_array((np.ones(len(indices), np.int8), indices, starts), (rows, labels))
    return X, sparse.csr_array(matrix)


def spread(count: int, number: int) -> NDArray[np.intp]:
    """Return `number` labels of `count`, from the most frequent to the rarest."""
    return np.unique(np.linspace(0, count - 1, min(number, count)).round().astype(np.intp))


def compare(options: Options, tail: str) -> dict[str, Any]:
    """Return the times of both, their ratio and the excess of our objectives."""
    X, Y = synthetic(options.rows, options.width, options.labels, tail)
    double = X.astype(np.float64)  # as scikit-learn is usually given; it is no faster in float32
    dense = Y.toarray().astype(np.int8)
    model = MultiLabelLogisticRegression()
    ours, rival = [], []
    parts = np.array_split(spread(options.labels, options.rival), options.rounds)
    model.fit(double[:2000], dense[:2000])  # warm up
    for part in parts:
        _, duration = timed(lambda: model.fit(double, dense))
        ours.append(duration)
        _, duration = timed(partial(fit_each, double, dense[:, part], options.jobs))
        rival.append(duration)
    scale = options.labels / sum(map(len, parts))
    wall = statistics.median(one.wall for one in ours)
    cpu = statistics.median(one.cpu for one in ours)
    rival_wall = scale * sum(one.wall for one in rival)
    rival_cpu = scale * sum(one.cpu for one in rival)
    excess = excesses(model, double, dense, spread(options.labels, options.exact))
    return {
        "seconds": round(wall, 3),
        "passes": model.n_iter_,
        "rival": round(rival_wall, 1),
        "ratio": round(rival_wall / wall, 1),
        "least": round(rival_wall / max(one.wall for one in ours), 1),
        "most": round(rival_wall / min(one.wall for one in ours), 1),
        "cpu_ratio": round(rival_cpu / cpu, 1) if options.jobs == 1 else None,
        "excess": float(f"{excess.max():.2g}"),
    }


def fit_each(X: Matrix, Y: NDArray[Any], jobs: int) -> None:
    """Fit the rival to each label."""
    one = LogisticRegression(tol=1e-4, max_iter=1000)
    joblib.Parallel(n_jobs=jobs)(joblib.delayed(one.fit)(X, y) for y in Y.T)


def excesses(
    model: MultiLabelLogisticRegression, X: Matrix, Y: NDArray[Any], labels: NDArray[np.intp]
) -> Matrix:
    """Return by what share our objective of some labels is above the least one."""
    coef, intercept = model.folded()

    def one(label: int) -> float:
        exact = LogisticRegression(solver="newton-cholesky", tol=1e-8, max_iter=200)
        exact.fit(X, Y[:, label])
        least = objective(X, Y[:, label], exact.coef_[0], exact.intercept_[0])
        return objective(X, Y[:, label], coef[label], intercept[label]) / least - 1

    return np.array([one(label) for label in labels])


def objective(X: Matrix, y: NDArray[Any], w: Matrix, b: float) -> float:
    """Return scikit-learn's objective with C = 1, in double precision."""
    w = w.astype(np.float64)
    z = X @ w + b
    return float((np.logaddexp(0, z) - y * z).sum() + w @ w / 2)


def growth(options: Options) -> dict[str, Any]:
    """Return how the time grows with rows and with labels."""
    rows = round(FULL_ROWS * options.scale)
    X, Y = synthetic(rows, options.growth_width, options.growth_labels, "a")
    shares = (0.25, 0.5, 1.0)

    def seconds(some_rows: int, some: NDArray[np.intp]) -> float:
        model = MultiLabelLogisticRegression()
        _, duration = timed(lambda: model.fit(X[:some_rows], Y[:some_rows][:, some]))
        return duration.wall

    everything = np.arange(options.growth_labels)
    by_rows = {int(rows * share): seconds(int(rows * share), everything) for share in shares}
    fewer = [spread(len(everything), round(len(everything) * share)) for share in shares[:2]]
    by_labels = {len(some): seconds(rows, some) for some in fewer}
    by_labels[len(everything)] = by_rows[rows]
    full = slope(by_rows) * FULL_ROWS * FULL_WIDTH / options.growth_width
    return {
        "width": options.growth_width,
        "by_rows": {key: round(value, 2) for key, value in by_rows.items()},
        "by_labels": {key: round(value, 2) for key, value in by_labels.items()},
        "minutes_500": round(full * FULL_LABELS / len(everything) / 60, 2),
        "minutes_2500": round(full * 2500 / len(everything) / 60, 2),
        "gigabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
    }


def slope(points: dict[int, float]) -> float:
    """Return seconds for each unit, of the line through the largest points."""
    (first, before), (last, after) = sorted(points.items())[-2:]
    return (after - before) / (last - first)


def main(options: Options) -> None:
    """Measure and print: a table, and last one line of JSON."""
    warnings.simplefilter("ignore", ConvergenceWarning)  # rows of a small growth hold rare labels
    result: dict[str, Any] = {"benchmark": "logistic", **asdict(options), **machine()}
    print(f"{options.rows} rows, {options.width} features, {options.labels} labels")
    print("tail   replearn   scikit-learn   ratio (least to most)   by CPU   worst excess")
    for tail in TAILS:
        one = result[tail] = compare(options, tail)
        between = f"{one['ratio']:.1f} ({one['least']:.1f} to {one['most']:.1f})"
        print(
            f"{tail:4} {one['seconds']:8.2f} s {one['rival']:12.1f} s   {between:>21} "
            f"{one['cpu_ratio'] or '-':>8}   {one['excess']:12.1e}",
            flush=True,
        )
    if options.scale:
        result["growth"] = grown = growth(options)
        print(f"growth at {grown['width']} features: by rows {grown['by_rows']} s,")
        print(f"by labels {grown['by_labels']} s; resident at most {grown['gigabytes']} GB")
        print(
            f"{FULL_ROWS} rows, {FULL_WIDTH} features: {grown['minutes_500']} minutes for 500 "
            f"labels, {grown['minutes_2500']} for 2500, by the slope"
        )
    print(json.dumps(result))


def machine() -> dict[str, Any]:
    """Return what the numbers depend on beside the code."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "processor": platform.machine(),
        "numpy": np.__version__,
        "sklearn": sklearn.__version__,
        "replearn": replearn.__version__,
    }


def asked(arguments: list[str]) -> Options:
    """Read the command line."""
    lines = (__doc__ or "").splitlines()
    parser = argparse.ArgumentParser("python -m benchmarks.logistic", description=lines[0])
    add = parser.add_argument
    add("--rows", type=int, default=20_000, help="of the comparison (20,000)")
    add("--width", type=int, default=512, help="features of the comparison (512)")
    add("--labels", type=int, default=200, help="of the comparison (200)")
    add("--rival", type=int, help="labels that scikit-learn fits (all; quick: 20)")
    add("--exact", type=int, help="labels whose objective is compared (40; quick: 10)")
    add("--rounds", type=int, default=5, help="times that replearn is measured (5)")
    add("--jobs", type=int, default=1, help="processes of scikit-learn (1)")
    add("--scale", type=float, help="share of the full rows for the growth (0.25; quick: 0.05)")
    add("--growth-width", type=int, default=FULL_WIDTH, help="features of the growth (1,024)")
    add("--growth-labels", type=int, default=FULL_LABELS, help="labels of the growth (500)")
    add("--quick", action="store_true", help="a tenth of the work")
    args = parser.parse_args(arguments)
    quick = args.quick

    def given(value: Any, default: Any) -> Any:
        return default if value is None else value

    return Options(
        rows=args.rows,
        width=args.width,
        labels=args.labels,
        rival=given(args.rival, 20 if quick else args.labels),
        exact=given(args.exact, 10 if quick else 40),
        rounds=args.rounds,
        jobs=args.jobs,
        scale=given(args.scale, 0.05 if quick else 0.25),
        growth_width=args.growth_width,
        growth_labels=args.growth_labels,
    )


if __name__ == "__main__":
    main(asked(sys.argv[1:]))
