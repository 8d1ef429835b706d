"""Jacobian clamping (Odena et al. 2018, arXiv:1802.08768, algorithm 1)."""

from torch import Tensor

from replearn.encoders.networks.full_precision import to_full_precision
from replearn.encoders.networks.jacobian import Decode, gains

_STEP = 1.0  # epsilon, of the paper


def clamping_penalty(decode: Decode, codes: Tensor, bounds: tuple[float, float]) -> Tensor:
    """Return the mean squared distance of a generator's gains from an interval.

    E (max(Q, high) - high)^2 + (min(Q, low) - low)^2, where Q = |G(z + d) - G(z)| / |d| for a
    random d of length 1.

    Args:
        decode: the generator.
        codes: drawn from the prior [N, D].
        bounds: low and high; 1 and 20 in the paper, whose images are of 32 px in [-1, 1].  The gain
            of the same picture at twice the side is twice as large.
    """
    low, high = bounds
    gain = to_full_precision(gains(decode, codes, _STEP))
    return ((gain - high).relu().square() + (low - gain).relu().square()).mean()
