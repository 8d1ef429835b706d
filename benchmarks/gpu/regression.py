"""Logistic regression of many labels on a device: as NumPy does it, and how fast."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
from scipy import sparse

from benchmarks.gpu.form import Form
from benchmarks.gpu.roofline import least_seconds, share_of
from benchmarks.gpu.rows import Row, check, each, speed
from benchmarks.gpu.short_memory import crowded
from benchmarks.logistic import (
    FULL_LABELS,
    FULL_ROWS,
    FULL_WIDTH,
    Matrix,
    objective,
    spread,
    synthetic,
)
from benchmarks.time_and_memory import timed
from replearn.detection.logistic.regression import MultiLabelLogisticRegression

_LEFT = 384 * 2**20  # bytes of a GPU, of which half are for the 200 MiB of rows


def check_regression(form: Form) -> Iterator[Row]:
    """Compare solutions: the objectives, whose tolerance is 2e-7, and the probabilities."""
    X, Y = synthetic(*form.choose((100_000, 512, 100), (600, 16, 6)), "a")
    expected = MultiLabelLogisticRegression().fit(X, Y)

    def compared(how: str) -> Iterator[Row]:
        streamed = how == "streamed rows"
        memory: dict[str, Any] = {"memory": 0} if streamed else {}
        with crowded(form, _LEFT) if streamed else nullcontext():
            found = MultiLabelLogisticRegression(device=form.device, **memory).fit(X, Y)
        worst = np.abs(_objectives(found, X, Y) / _objectives(expected, X, Y) - 1).max()
        yield check(f"{how}, objective", worst, 1e-6, "of the objective")
        apart = np.abs(found.predict_proba(X) - expected.predict_proba(X)).max()
        yield check(f"{how}, probabilities", apart, 0.01)

    yield from each(("rows on the device", "streamed rows"), compared)


def _objectives(
    model: MultiLabelLogisticRegression, X: Matrix, Y: sparse.csr_array
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the objectives of some of the labels."""
    coef, intercept = model.folded()
    dense, double = Y.toarray(), X.astype(np.float64)
    labels = spread(Y.shape[1], 20)
    return np.array([objective(double, dense[:, n], coef[n], intercept[n]) for n in labels])


def measure_regression(form: Form) -> Iterator[Row]:
    """Time a fit on the device, all that the host does included, beside NumPy on all cores.

    Its work is what torch is seen to do: in each pass 4 N K operations for each label that is not
    done yet, of N rows with K features, in two products in float32.
    """
    rows, width, labels = form.choose((FULL_ROWS, FULL_WIDTH, FULL_LABELS), (2000, 32, 20))
    X, Y = synthetic(rows, width, labels, "a")
    model = MultiLabelLogisticRegression(device=form.device)
    least = least_seconds(lambda: model.fit(X, Y), form)  # and a warm-up
    _, here = timed(lambda: model.fit(X, Y))
    _, host = timed(lambda: MultiLabelLogisticRegression().fit(X, Y))
    yield speed(
        f"{rows:,} x {width:,}, {labels} labels",
        here.seconds,
        "s",
        share_of(least, here.seconds),
        f"{model.n_iter_} passes; NumPy {host.seconds:.2f} s, "
        f"{host.seconds / here.seconds:.2f} times as long",
    )
