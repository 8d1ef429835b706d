"""How far apart two sets of features are: the Fréchet distance and the kernel distance.

The Fréchet distance of the normal distributions of the same means and covariances is that of Heusel
et al. 2017 (arXiv:1706.08500), on features of any encoder.  Of N images it is too large by about
c / N (Chong and Forsyth 2020, arXiv:1911.07023); the jackknife finds c, so `frechet_unbiased` is
that with this taken out.  The kernel distance (Binkowski et al. 2018,
arXiv:1801.01401) has no bias.
"""

from dataclasses import dataclass

import numpy as np

from replearn.arrays import Float64, Vectors
from replearn.diagnostics.estimates import (
    BLOCKS,
    Estimate,
    blocks_of_rows,
    from_left_out,
    without_bias,
)
from replearn.neighbors.engine import even_blocks

_WIDEST = 1024  # columns; wider features are projected for the Fréchet distance
_MOST = 5000  # rows of each set for the kernel distance, which compares all with all
_ROWS = 4096  # in float64 at a time
_ENOUGH = 2  # images for each column, from which on the bias falls as 1 / N


@dataclass
class _Moments:
    """Count, sum [D] and sum of products [D, D] of rows, which can be taken out again."""

    count: int
    total: Float64
    products: Float64

    @classmethod
    def of(cls, rows: Vectors) -> "_Moments":
        found = cls(len(rows), np.zeros(rows.shape[1]), np.zeros((rows.shape[1],) * 2))
        for some in even_blocks(len(rows), _ROWS):
            part = np.asarray(rows[some], np.float64)
            found.total += part.sum(axis=0)
            found.products += part.T @ part
        return found

    def without(self, rows: Vectors) -> "_Moments":
        part = _Moments.of(rows)
        return _Moments(
            self.count - part.count, self.total - part.total, self.products - part.products
        )

    @property
    def mean(self) -> Float64:
        return self.total / self.count

    @property
    def covariance(self) -> Float64:
        return (self.products - np.outer(self.total, self.mean)) / max(self.count - 1, 1)


def _between_normals(first: _Moments, second: _Moments) -> float:
    """Return |m - n|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2)."""
    one, other = first.covariance, second.covariance
    values, axes = np.linalg.eigh(one)
    root = axes * np.sqrt(np.maximum(values, 0))  # root root' = A
    shared = np.linalg.eigvalsh(root.T @ other @ root)
    gap = np.square(first.mean - second.mean).sum()
    trace = np.trace(one) + np.trace(other) - 2 * np.sqrt(np.maximum(shared, 0)).sum()
    return float(max(gap + trace, 0))


def frechet_distance(real: Vectors, fake: Vectors, *, interval: bool = True) -> dict[str, Estimate]:
    """Return the Fréchet distance of two sets of features, as usual and with its bias taken out.

    `frechet_unbiased` is left out where a set has fewer than 2 images for each column: the bias
    then does not fall as 1 / N yet.  Both are squared distances, in the features' unit squared.

    Args:
        real: float [N, D]; where D is above 1,024, both are projected on as many random directions.
        fake: float [M, D].
        interval: with the jackknife, which takes 20 times as long.

    Example:
        >>> random = np.random.default_rng(0)
        >>> near, far = random.normal(size=(1000, 2)), random.normal(3, 1, size=(1000, 2))
        >>> round(frechet_distance(near, far)["frechet"].value)
        18
    """
    sets = _narrowed(real, fake)
    moments = [_Moments.of(rows) for rows in sets]
    value, n = _between_normals(*moments), min(map(len, sets))
    if not interval:
        return {"frechet": Estimate(value, value, value, n)}
    blocks = [blocks_of_rows(len(rows), 0) for rows in sets]
    left_out = [
        _between_normals(
            *(
                whole.without(rows[of == block])
                for whole, rows, of in zip(moments, sets, blocks, strict=True)
            )
        )
        for block in range(min(BLOCKS, n))
    ]
    found = {"frechet": from_left_out(value, left_out, n)}
    if n >= _ENOUGH * sets[0].shape[1]:
        found["frechet_unbiased"] = without_bias(value, left_out, n)
    return found


def _narrowed(real: Vectors, fake: Vectors) -> list[Vectors]:
    """Return both sets around the mean of the first, in float32, at most 1,024 wide."""
    mean, width = real.mean(axis=0, dtype=np.float64), real.shape[1]
    if width <= _WIDEST:
        return [np.asarray(rows - mean, np.float32) for rows in (real, fake)]
    random = np.random.default_rng(0).standard_normal((width, _WIDEST))
    basis = np.linalg.qr(random)[0] * np.sqrt(width / _WIDEST)  # keeps squared lengths on average
    return [np.asarray((rows - mean) @ basis, np.float32) for rows in (real, fake)]


def kernel_distance(real: Vectors, fake: Vectors) -> Estimate:
    """Return the squared maximum mean discrepancy with the kernel (x'y / D + 1)^3, without bias.

    It is below zero by chance where the sets are alike.  Features are scaled by the real ones'
    mean square first, so that the cube neither vanishes nor overflows: the number has no unit.

    Args:
        real: float [N, D]; of more than 5,000 images, as many are drawn.
        fake: float [M, D], likewise.

    Example:
        >>> random = np.random.default_rng(0)
        >>> alike = kernel_distance(random.normal(size=(500, 4)), random.normal(size=(500, 4)))
        >>> alike.low < 0 < alike.high
        True
    """
    sets = [_drawn(rows) for rows in (real, fake)]
    scale = np.sqrt(max(float(np.square(sets[0]).mean()), 1e-30))
    sets = [rows / scale for rows in sets]
    first, second = (_in_blocks(rows) for rows in sets)
    within, beyond, across = _sums(first, first), _sums(second, second), _sums(first, second)
    counts = [np.array([len(rows) for rows in blocks]) for blocks in (first, second)]
    full = _discrepancy(within, beyond, across, *counts)
    left_out = []
    for block in range(len(first)):
        kept = np.arange(len(first)) != block
        parts = (sums[np.ix_(kept, kept)] for sums in (within, beyond, across))
        left_out.append(_discrepancy(*parts, *(count[kept] for count in counts)))
    return from_left_out(full, left_out, min(map(len, sets)))


def _drawn(rows: Vectors) -> Float64:
    if len(rows) > _MOST:
        rows = rows[np.sort(np.random.default_rng(0).choice(len(rows), _MOST, replace=False))]
    return np.asarray(rows, np.float64)


def _in_blocks(rows: Float64) -> list[Float64]:
    numbers = blocks_of_rows(len(rows))
    return [rows[numbers == block] for block in range(BLOCKS)]


def _sums(first: list[Float64], second: list[Float64]) -> Float64:
    """Return the sum of the kernel over each pair of blocks [B, B]; of one set, without i = j."""
    sums = np.empty((len(first), len(second)))
    for row, ours in enumerate(first):
        for column, theirs in enumerate(second):
            values = (ours @ theirs.T / ours.shape[1] + 1) ** 3
            same = first is second and row == column
            sums[row, column] = values.sum() - (np.trace(values) if same else 0)
    return sums


def _discrepancy(
    within: Float64, beyond: Float64, across: Float64, first: Float64, second: Float64
) -> float:
    n, m = first.sum(), second.sum()
    inside = within.sum() / (n * (n - 1)) + beyond.sum() / (m * (m - 1))
    return float(inside - 2 * across.sum() / (n * m))
