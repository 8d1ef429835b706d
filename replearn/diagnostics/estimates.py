"""Numbers with an interval: the jackknife over blocks, permutation tests, and the table of them.

The jackknife leaves out one of 20 blocks at a time (Efron and Stein 1981): the spread of what
remains tells how far the value would move with other images of the same kind.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from replearn.arrays import Float64

BLOCKS = 20
_PERMUTATIONS = 999

REAL = "real against real"


@dataclass(frozen=True)
class Estimate:
    """A number with all that it takes to judge it.

    Attributes:
        value: of all that was measured.
        low: end of the 95 % interval.
        high: the other end.
        n: how many images, or pairs or draws where the number is of those, it was measured on.
        baseline: the same number where nothing is wrong, as of real images against real ones.
        baseline_of: what that is.
        p: of a test of no difference; None where the number is no test.
    """

    value: float
    low: float
    high: float
    n: int
    baseline: float | None = None
    baseline_of: str = REAL
    p: float | None = None

    def against(self, baseline: float, of: str = REAL) -> "Estimate":
        """Return the estimate with a baseline beside it."""
        return replace(self, baseline=float(baseline), baseline_of=of)

    def clipped(self, low: float, high: float) -> "Estimate":
        """Return the estimate with an interval inside what the number can be at all."""
        return replace(self, low=min(max(self.low, low), high), high=min(max(self.high, low), high))

    def to_json(self) -> dict[str, Any]:
        """Return the fields for JSON, which has no infinity; what there is none of is left out."""
        return {
            name: value if isinstance(value, str) or np.isfinite(value) else None
            for name, value in asdict(self).items()
            if value is not None
        }

    def __str__(self) -> str:
        text = f"{self.value:.4g} (95% interval {self.low:.4g} to {self.high:.4g}, N {self.n:,}"
        if self.baseline is not None:
            text += f"; {self.baseline_of} {self.baseline:.4g}"
        return text + (f"; p {self.p:.3g})" if self.p is not None else ")")


def blocks_of_rows(count: int, seed: int = 0, blocks: int = BLOCKS) -> NDArray[np.int64]:
    """Return the number of each row's block [N]: blocks as even as can be, drawn at random.

    Neighbours in a file are often of one patient, so none is cut in order.
    """
    numbers = np.arange(count, dtype=np.int64) % min(blocks, count)
    return np.random.default_rng(seed).permutation(numbers)


def from_left_out(value: float, left_out: Sequence[float] | Float64, n: int) -> Estimate:
    """Return the estimate of a value from what it is without each block.

    Args:
        value: of everything.
        left_out: the same number without one block at a time.
        n: what it was measured on.
    """
    return Estimate(value, *_interval(value, np.asarray(left_out, np.float64)), n)


def _interval(value: float, left_out: Float64) -> tuple[float, float]:
    spread = left_out - left_out.mean()
    count = len(left_out)
    error = float(np.sqrt((count - 1) / count * (spread**2).sum()))
    reach = float(stats.t.ppf(0.975, max(count - 1, 1))) * error
    return value - reach, value + reach


def without_bias(value: float, left_out: Sequence[float] | Float64, n: int) -> Estimate:
    """Return the estimate of a value whose bias falls as 1 / N, with that bias taken out.

    Args:
        value: of everything.
        left_out: the same number without one block at a time.
        n: what it was measured on.
    """
    left = np.asarray(left_out, np.float64)
    corrected = len(left) * value - (len(left) - 1) * float(left.mean())
    return Estimate(corrected, *_interval(corrected, left), n)


def jackknife(
    statistic: Callable[..., float], *samples: NDArray[Any], blocks: int = BLOCKS
) -> Estimate:
    """Return a statistic of samples, with the interval that leaving out blocks gives.

    Args:
        statistic: of arrays [N_i, ...] to a number.
        samples: one array or several; block b is left out of all of them at once.
        blocks: how many; fewer where a sample has fewer rows.

    Example:
        >>> jackknife(lambda rows: float(rows.mean()), np.arange(100.0)).value
        49.5
    """
    count = min(blocks, *(len(sample) for sample in samples))
    numbers = [blocks_of_rows(len(sample), seed, count) for seed, sample in enumerate(samples)]
    left_out = [
        statistic(*(rows[of != block] for rows, of in zip(samples, numbers, strict=True)))
        for block in range(count)
    ]
    return from_left_out(statistic(*samples), left_out, min(map(len, samples)))


def mean_of(values: NDArray[Any]) -> Estimate:
    """Return the mean of one number for each image [N], with the jackknife's interval."""
    numbers = blocks_of_rows(len(values))
    sums = np.bincount(numbers, np.asarray(values, np.float64))
    counts = np.bincount(numbers)
    total = float(sums.sum())
    left_out = (total - sums) / np.maximum(len(values) - counts, 1)
    return from_left_out(total / len(values), left_out, len(values))


def permutation_p(
    statistic: Callable[[NDArray[np.bool_]], float],
    first: int,
    second: int,
    *,
    permutations: int = _PERMUTATIONS,
    seed: int = 0,
) -> float:
    """Return the p-value of a statistic under the exchange of two samples' members.

    It is (1 + those permutations that reach the statistic) / (1 + permutations), which is valid at
    any number of them (Phipson and Smyth 2010).

    Args:
        statistic: of which of the joined rows belong to the first sample, bool [N + M]; large
            where the samples differ.
        first: N.
        second: M.
        permutations: how many random ones.
        seed: of them.
    """
    member = np.arange(first + second) < first
    found = statistic(member)
    random = np.random.default_rng(seed)
    reached = sum(statistic(random.permutation(member)) >= found for _ in range(permutations))
    return (1 + reached) / (1 + permutations)
