"""Whether samples are copies of training images: how much nearer the nearest is than the next ones.

A copy lies at one training image and far from all others; an image of its own has several at about
the same distance.  The ratio of the two distances is what Yoon et al. 2023 and Carlini et al. 2023
(arXiv:2301.13188) extract copies with.  Unlike the distance itself, it does not take a blurred
sample, which lies near everything, for a copy.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Vectors
from replearn.diagnostics.estimates import Estimate, mean_of
from replearn.diagnostics.neighbourhoods import nearest, nearest_others
from replearn.neighbors.engine import Hits

_NEXT = 10  # neighbours beyond the nearest, whose mean distance is the scale
_RARE = 0.05  # share of real images with a ratio so low


class Copies(NamedTuple):
    """How many samples are copies, and the likeliest ones.

    Attributes:
        share: of samples with a ratio as low as 5 % of the real images have.
        rows: rows of samples and of their nearest real image, the likeliest copy first [P, 2].
        ratios: of these pairs, ascending [P].
    """

    share: Estimate
    rows: NDArray[np.int64]
    ratios: NDArray[np.float64]


def find_copies(
    real: Vectors, fake: Vectors, *, held_out: Vectors | None = None, shown: int = 8
) -> Copies:
    """Return the share of samples that lie at one real image and far from the others.

    The baseline is the share of held-out images that lie so at one of the others, or of the real
    images that lie so at another one: 5 %, or less where fewer can be told apart.

    Args:
        real: features of the images that the generator was trained on, float [N, D], N at least 12.
        fake: features of samples, float [M, D].
        held_out: features of real images that it was not trained on, float [H, D].
        shown: how many of the likeliest copies to return.
    """
    if held_out is None:
        of_real = _ratios(nearest_others(real, 1 + _NEXT))
    else:
        of_real = _ratios(nearest(real, held_out, 1 + _NEXT))
    hits = nearest(real, fake, 1 + _NEXT)
    ratios = _ratios(hits)
    limit = float(np.quantile(of_real, _RARE))
    order = np.argsort(ratios, kind="stable")[:shown]
    share = mean_of(ratios <= limit).clipped(0, 1).against(float((of_real <= limit).mean()))
    return Copies(share, np.stack([order, hits.rows[order, 0]], axis=1), ratios[order])


def _ratios(hits: Hits) -> NDArray[np.float64]:
    """Return the distance of the nearest over the mean distance of the next ones [N]."""
    distances = np.asarray(hits.distances, np.float64)
    scale = distances[:, 1:].mean(axis=1)
    return np.where(scale > 0, distances[:, 0] / np.maximum(scale, 1e-30), 1.0)
