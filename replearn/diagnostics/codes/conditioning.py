"""How a generator answers to small changes of its code, over many codes.

Odena et al. 2018 (arXiv:1802.08768): where the largest singular value of the Jacobian is many times
the smallest, some directions of the code change everything and others nothing.  Their metric tensor
is J^T J, with the square of this condition number.
"""

import numpy as np

from replearn.arrays import Floats
from replearn.diagnostics.diagnosis import Numbers
from replearn.diagnostics.estimates import jackknife, mean_of


def conditioning(singular_values: Floats, gains: Floats, dimensions: int) -> Numbers:
    """Return the size and the spread of a generator's answers.

    Args:
        singular_values: of the Jacobian at some codes, largest first [N, K].
        gains: |G(z + d) - G(z)| / |d| of small random d at other codes [M].
        dimensions: length of a code.
    """
    values = singular_values.astype(np.float64)
    largest, smallest = values[:, 0], np.maximum(values[:, -1], np.finfo(np.float32).tiny)
    exact = float(np.sqrt((values**2).sum(1).mean() / dimensions))
    return {
        "log10_condition": mean_of(np.log10(largest / smallest)),
        "largest_singular_value": mean_of(largest),
        "smallest_singular_value": mean_of(smallest),
        "sampled_gain": jackknife(
            lambda some: float(np.sqrt((some.astype(np.float64) ** 2).mean())), gains
        ).against(exact, "by singular values"),
    }
