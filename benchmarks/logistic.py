"""How fast logistic regression of many labels is, against scikit-learn at the same moment.

    python -m benchmarks.logistic                   about 10 minutes on 2 cores
    python -m benchmarks.logistic --quick           about 1: fewer labels, less growth
    python -m benchmarks.logistic --scale 1         growth at full size: 224,000 x 1,024, 500 labels

The features are rectified mixtures of Gaussians whose spectrum decays (row k of the mixing matrix
is scaled by k^-1/2), standardised.  Label j is what is highest of a random linear score with
logistic noise, in a share f_j of the rows:

a       f_j = 0.3 j^-0.7 + 0.002
b       f_j = 0.3 j^-0.9 + 0.001, with rarer labels

The baseline is a LogisticRegression for each label (lbfgs, tol 1e-4), one after the other on as
many threads as its matrix products take, or in `--jobs` processes.  The two take turns: a round of
replearn, then a part of the labels by the baseline; if it is not given all labels, its time is
scaled up by their number.  Above a ratio of 1 replearn is faster.  Of some labels, the objective is
compared with that of `newton-cholesky` at tol 1e-8: the excess is relative.

Growth is the time at a quarter, a half and all of the rows, and of the labels; the time at full
size (223,859 rows, 500 and 2,500 labels) is extrapolated from it where it was not measured.
"""

import json
import platform
import statistics
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any

import joblib
import numpy as np
import sklearn
import typer
from numpy.typing import NDArray
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

import replearn
from benchmarks.command import run_benchmark
from benchmarks.time_and_memory import peak_memory, timed
from replearn.artefacts.workers import cores
from replearn.detection.logistic.regression import MultiLabelLogisticRegression

Matrix = NDArray[np.floating[Any]]

FULL_ROWS, FULL_WIDTH, FULL_LABELS = 223_859, 1024, 500
FREQUENCIES = {"a": (0.7, 0.002), "b": (0.9, 0.001)}


def synthetic(
    rows: int, width: int, labels: int, frequencies: str, seed: int = 0
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
    power, least = FREQUENCIES[frequencies]
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


def compare(
    frequencies: str,
    *,
    rows: int,
    width: int,
    labels: int,
    baseline: int,
    exact: int,
    rounds: int,
    jobs: int,
) -> dict[str, Any]:
    """Return the times of both, their ratio and the excess of our objectives.

    Args:
        frequencies: of the labels, a key of `FREQUENCIES`.
        rows: images.
        width: features.
        labels: in all.
        baseline: labels that the baseline fits.
        exact: labels whose objective is compared.
        rounds: times that replearn is measured.
        jobs: processes of the baseline.
    """
    X, Y = synthetic(rows, width, labels, frequencies)
    double = X.astype(np.float64)  # as scikit-learn is usually given; it is no faster in float32
    dense = Y.toarray().astype(np.int8)
    model = MultiLabelLogisticRegression()
    ours, theirs = [], []
    parts = np.array_split(spread(labels, baseline), rounds)
    model.fit(double[:2000], dense[:2000])  # warm up
    for part in parts:
        _, duration = timed(lambda: model.fit(double, dense))
        ours.append(duration)
        _, duration = timed(partial(fit_each, double, dense[:, part], jobs))
        theirs.append(duration)
    scale = labels / sum(map(len, parts))
    wall = statistics.median(one.seconds for one in ours)
    cpu = statistics.median(one.processor for one in ours)
    their_wall = scale * sum(one.seconds for one in theirs)
    their_cpu = scale * sum(one.processor for one in theirs)
    excess = excesses(model, double, dense, spread(labels, exact))
    return {
        "seconds": round(wall, 3),
        "passes": model.n_iter_,
        "baseline": round(their_wall, 1),
        "ratio": round(their_wall / wall, 1),
        "least": round(their_wall / max(one.seconds for one in ours), 1),
        "most": round(their_wall / min(one.seconds for one in ours), 1),
        "cpu_ratio": round(their_cpu / cpu, 1) if jobs == 1 else None,
        "excess": float(f"{excess.max():.2g}"),
    }


def fit_each(X: Matrix, Y: NDArray[Any], jobs: int) -> None:
    """Fit the baseline to each label."""
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


def growth(scale: float, width: int, labels: int) -> dict[str, Any]:
    """Return how the time grows with rows and with labels.

    Args:
        scale: rows as a share of the full number.
        width: features.
        labels: the most.
    """
    rows = round(FULL_ROWS * scale)
    X, Y = synthetic(rows, width, labels, "a")
    shares = (0.25, 0.5, 1.0)

    def seconds(some_rows: int, some: NDArray[np.intp]) -> float:
        model = MultiLabelLogisticRegression()
        _, duration = timed(lambda: model.fit(X[:some_rows], Y[:some_rows][:, some]))
        return duration.seconds

    everything = np.arange(labels)
    by_rows = {int(rows * share): seconds(int(rows * share), everything) for share in shares}
    fewer = [spread(len(everything), round(len(everything) * share)) for share in shares[:2]]
    by_labels = {len(some): seconds(rows, some) for some in fewer}
    by_labels[len(everything)] = by_rows[rows]
    full = slope(by_rows) * FULL_ROWS * FULL_WIDTH / width
    return {
        "width": width,
        "by_rows": {key: round(value, 2) for key, value in by_rows.items()},
        "by_labels": {key: round(value, 2) for key, value in by_labels.items()},
        "minutes_500": round(full * FULL_LABELS / len(everything) / 60, 2),
        "minutes_2500": round(full * 2500 / len(everything) / 60, 2),
        "peak_mib": round(peak_memory()),
    }


def slope(points: dict[int, float]) -> float:
    """Return seconds for each unit, of the line through the largest points."""
    (first, before), (last, after) = sorted(points.items())[-2:]
    return (after - before) / (last - first)


def compare_all(compared: dict[str, int]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the comparison of each kind of labels, and print its row when it is known."""
    print("{rows} rows, {width} features, {labels} labels".format_map(compared))
    print("labels   replearn   scikit-learn   ratio (least to most)   by CPU   worst excess")
    for frequencies in FREQUENCIES:
        one = compare(frequencies, **compared)
        between = f"{one['ratio']:.1f} ({one['least']:.1f} to {one['most']:.1f})"
        print(
            f"{frequencies:6} {one['seconds']:8.2f} s {one['baseline']:12.1f} s   {between:>21} "
            f"{one['cpu_ratio'] or '-':>8}   {one['excess']:12.1e}",
            flush=True,
        )
        yield frequencies, one


def print_growth(grown: dict[str, Any]) -> None:
    """Print how the time grows."""
    print(f"growth at {grown['width']} features: by rows {grown['by_rows']} s,")
    print(f"by labels {grown['by_labels']} s; resident at most {grown['peak_mib']:,} MiB")
    print(
        f"{FULL_ROWS} rows, {FULL_WIDTH} features: {grown['minutes_500']} minutes for 500 "
        f"labels, {grown['minutes_2500']} for 2500, by the slope"
    )


def machine() -> dict[str, Any]:
    """Return what the numbers depend on beside the code."""
    return {
        "cores": cores(),
        "processor": platform.machine(),
        "numpy": np.__version__,
        "sklearn": sklearn.__version__,
        "replearn": replearn.__version__,
    }


def main(
    rows: Annotated[int, typer.Option(help="Of the comparison.")] = 20_000,
    width: Annotated[int, typer.Option(help="Features of the comparison.")] = 512,
    labels: Annotated[int, typer.Option(help="Of the comparison.")] = 200,
    baseline: Annotated[
        int | None,
        typer.Option(help="Labels that scikit-learn fits.", show_default="all; quick: 20"),
    ] = None,
    exact: Annotated[
        int | None,
        typer.Option(help="Labels whose objective is compared.", show_default="40; quick: 10"),
    ] = None,
    rounds: Annotated[int, typer.Option(help="Times that replearn is measured.")] = 5,
    jobs: Annotated[int, typer.Option(help="Processes of scikit-learn.")] = 1,
    scale: Annotated[
        float | None,
        typer.Option(
            help="Share of the full rows for the growth; 0 leaves it out.",
            show_default="0.25; quick: 0.05",
        ),
    ] = None,
    growth_width: Annotated[int, typer.Option(help="Features of the growth.")] = FULL_WIDTH,
    growth_labels: Annotated[int, typer.Option(help="Labels of the growth.")] = FULL_LABELS,
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the work.")] = False,
) -> None:
    """Time logistic regression of many labels; print a table and, in the last line, JSON."""
    warnings.simplefilter("ignore", ConvergenceWarning)  # rows of a small growth hold rare labels

    def given(value: Any, default: Any) -> Any:
        return default if value is None else value

    compared: dict[str, int] = {
        "rows": rows,
        "width": width,
        "labels": labels,
        "baseline": given(baseline, 20 if quick else labels),
        "exact": given(exact, 10 if quick else 40),
        "rounds": rounds,
        "jobs": jobs,
    }
    grown = {
        "scale": given(scale, 0.05 if quick else 0.25),
        "growth_width": growth_width,
        "growth_labels": growth_labels,
    }
    result: dict[str, Any] = {"benchmark": "logistic", **compared, **grown, **machine()}
    result |= dict(compare_all(compared))
    if grown["scale"]:
        result["growth"] = growth(grown["scale"], growth_width, growth_labels)
        print_growth(result["growth"])
    print(json.dumps(result))


if __name__ == "__main__":
    run_benchmark(main)
