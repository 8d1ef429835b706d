"""Whether a model that encodes and decodes knows images that it did not learn from.

What was learned by heart is reconstructed, and other images are not: the ratio of the two errors
needs images that were held out.  It is what samples cannot show, as a decoder meets codes of the
prior that no image has.
"""

import numpy as np
from numpy.typing import NDArray

from replearn.diagnostics.estimates import Estimate, blocks_of_rows, jackknife


def reconstruction_gap(learned: NDArray[np.floating], held_out: NDArray[np.floating]) -> Estimate:
    """Return the mean error of held-out images over that of those that were learned from.

    The baseline is that of one half of the held-out images over the other's.

    Args:
        learned: squared error of each image [N], N at least 2.
        held_out: of each image that was not learned from [M], M at least 4.

    Example:
        >>> errors = np.random.default_rng(0).exponential(size=(2, 400))
        >>> reconstruction_gap(errors[0], 5 * errors[1]).low > 4
        True
    """
    half = blocks_of_rows(len(held_out), seed=1, blocks=2) == 0
    found = jackknife(_ratio, np.asarray(learned), np.asarray(held_out)).clipped(0, np.inf)
    return found.against(_ratio(held_out[half], held_out[~half]))


def _ratio(learned: NDArray[np.floating], held_out: NDArray[np.floating]) -> float:
    return float(held_out.mean() / max(float(learned.mean()), 1e-30))
