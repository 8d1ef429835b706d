"""Which kinds of real images a generator never makes: bins of the real ones, and who falls in them.

The real images are cut into bins by k-means; a bin that far fewer samples fall into than real
images has been dropped (Richardson and Weiss 2018, arXiv:1805.12462, who count the bins whose
shares differ).  Blur moves a sample, but seldom into the bin of another kind.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Vectors
from replearn.diagnostics.estimates import (
    BLOCKS,
    Estimate,
    blocks_of_rows,
    from_left_out,
)
from replearn.diagnostics.neighbourhoods import nearest

BINS = 20
DROPPED = 0.2  # samples in a bin over those expected: below this it counts as dropped
_Z = 1.96  # by which a share must be below that, in standard errors
_STARTS = 3


class Modes(NamedTuple):
    """Kinds of real images and how often each is made.

    Attributes:
        missing: share of the real images that lie in bins which are as good as never made.
        different: share of the bins whose shares differ (two-sided, level 0.05).
        real: share of the real images in each bin [B].
        made: share of the samples in each bin [B].
        dropped: numbers of the bins that are missing.
        bin_of: number of the bin of each real image that was binned [H].
        rows: of these real images [H].
    """

    missing: Estimate
    different: Estimate
    real: NDArray[np.float64]
    made: NDArray[np.float64]
    dropped: NDArray[np.int64]
    bin_of: NDArray[np.int64]
    rows: NDArray[np.int64]


def find_missing_modes(real: Vectors, fake: Vectors, bins: int = BINS, seed: int = 0) -> Modes:
    """Return which kinds of real images are missing among samples.

    One half of the real images makes the bins, the other half is counted in them; the baseline
    counts a half of that against its other half.

    Args:
        real: features float [N, D].
        fake: features of samples float [M, D].
        bins: how many kinds are told apart; fewer where there are fewer than 20 images for each.
        seed: of the halves and of k-means.
    """
    from sklearn.cluster import KMeans

    half = blocks_of_rows(len(real), seed, blocks=2) == 0
    count = max(2, min(bins, int(half.sum()) // 20))
    grown = KMeans(count, n_init=_STARTS, random_state=seed).fit(real[half])
    centres = np.asarray(grown.cluster_centers_, np.float32)
    counted = np.flatnonzero(~half)
    of_real = nearest(centres, real[counted], 1).rows[:, 0]
    of_fake = nearest(centres, fake, 1).rows[:, 0]
    shares = [np.bincount(of, minlength=count) / len(of) for of in (of_real, of_fake)]
    dropped = _dropped(of_real, of_fake, count)
    first = blocks_of_rows(len(counted), seed + 1, blocks=2) == 0
    baseline = _numbers(of_real[first], of_real[~first], count)
    missing, different = _estimates(of_real, of_fake, count)
    return Modes(
        missing.against(baseline[0]),
        different.against(baseline[1]),
        shares[0],
        shares[1],
        dropped,
        of_real,
        counted,
    )


def _estimates(
    of_real: NDArray[np.int64], of_fake: NDArray[np.int64], bins: int
) -> tuple[Estimate, Estimate]:
    blocks = [blocks_of_rows(len(of)) for of in (of_real, of_fake)]
    value = _numbers(of_real, of_fake, bins)
    left_out = np.array(
        [
            _numbers(of_real[blocks[0] != block], of_fake[blocks[1] != block], bins)
            for block in range(min(BLOCKS, len(of_real), len(of_fake)))
        ]
    )
    n = min(len(of_real), len(of_fake))
    missing, different = (
        from_left_out(value[place], left_out[:, place], n).clipped(0, 1) for place in range(2)
    )
    return missing, different


def _numbers(
    of_real: NDArray[np.int64], of_fake: NDArray[np.int64], bins: int
) -> tuple[float, float]:
    """Return the share of real images in dropped bins, and the share of bins that differ."""
    dropped = _dropped(of_real, of_fake, bins)
    real, fake = (np.bincount(of, minlength=bins) / len(of) for of in (of_real, of_fake))
    both = (real * len(of_real) + fake * len(of_fake)) / (len(of_real) + len(of_fake))
    error = np.sqrt(both * (1 - both) * (1 / len(of_real) + 1 / len(of_fake)))
    return float(real[dropped].sum()), float((np.abs(real - fake) > _Z * error).mean())


def _dropped(
    of_real: NDArray[np.int64], of_fake: NDArray[np.int64], bins: int
) -> NDArray[np.int64]:
    """Return the bins in which samples are, beyond doubt, below a fifth of the real share."""
    real, fake = (np.bincount(of, minlength=bins) / len(of) for of in (of_real, of_fake))
    error = np.sqrt(
        fake * (1 - fake) / len(of_fake) + DROPPED**2 * real * (1 - real) / len(of_real)
    )
    return np.flatnonzero(fake + _Z * error < DROPPED * real)
