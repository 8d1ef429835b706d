"""How many different images a generator makes: the birthday paradox (Arora and Zhang 2018).

Of n draws from s equally likely images n (n - 1) / (2 s) pairs coincide on average (arXiv:
1706.08224); for any other distribution s is 1 / sum p^2, which is smaller than the true number.
Images of a continuous generator never coincide exactly, and the paper's authors look at the nearest
pairs.  Here a pair counts that is nearer than all but one in a hundred real images are to their
nearest other one, and the pairs that count are returned, to be looked at.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from replearn.arrays import Vectors
from replearn.diagnostics.estimates import REAL, Estimate
from replearn.diagnostics.neighbourhoods import near_pairs, nearest_others

_NEAR = 0.01  # share of real images that have another one so near
_MOST = 10000  # rows whose pairs are counted
_SHOWN = 8


class Support(NamedTuple):
    """The effective number of different images, and the nearest pairs.

    Attributes:
        size: the estimate; its upper end is infinite where hardly a pair was found.
        pairs: rows of samples that coincide, the nearest first, int64 [P, 2].
        radius: below which a pair counts.
    """

    size: Estimate
    pairs: NDArray[np.int64]
    radius: float


def support_size(real: Vectors, fake: Vectors) -> Support:
    """Return how many different images samples are of, by the birthday paradox.

    The interval is exact for independent pairs (Poisson).  Where every draw of n is different the
    estimate is about n (n - 1) / 2: more than that n draws cannot tell.

    Args:
        real: features of real images float [N, D].
        fake: features of samples float [M, D]; of more than 10,000 the first count.
    """
    radius = float(np.quantile(nearest_others(real, 1).distances[:, 0], _NEAR))
    some = fake[:_MOST]
    count, nearest = _count(some, radius)
    size = _estimate(len(some), count)
    among_real = real[:_MOST]
    baseline = _estimate(len(among_real), _count(among_real, radius)[0]).value
    return Support(size.against(baseline, REAL), nearest, radius)


def _count(rows: Vectors, radius: float) -> tuple[int, NDArray[np.int64]]:
    """Return how many pairs are nearer than a radius, and the nearest of them [P, 2]."""
    count = 0
    best = np.empty((0, 2), np.int64)
    distances = np.empty(0, np.float32)
    for found in near_pairs(rows, rows, np.full(len(rows), radius**2)):
        once = found.first < found.second
        count += int(once.sum())
        best = np.concatenate([best, np.stack(found[:2], axis=1)[once]])
        distances = np.concatenate([distances, found.squares[once]])
        order = np.argsort(distances, kind="stable")[:_SHOWN]
        best, distances = best[order], distances[order]
    return count, best


def _estimate(draws: int, pairs: int) -> Estimate:
    possible = draws * (draws - 1) / 2
    # 1 / (pairs + 1) has the mean 1 / rate, but for exp(-rate); 1 / pairs has none.
    low = possible / float(stats.chi2.ppf(0.975, 2 * pairs + 2) / 2)
    high = possible / float(stats.chi2.ppf(0.025, 2 * pairs) / 2) if pairs else float("inf")
    return Estimate(possible / (pairs + 1), low, high, draws)
