"""All numbers on samples of a generator against real images, from features of any one encoder."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Float64, Vectors
from replearn.diagnostics.estimates import BLOCKS, Estimate, blocks_of_rows, from_left_out
from replearn.diagnostics.generators.copies import Copies, find_copies
from replearn.diagnostics.generators.geometry import geometry_score, has_gudhi
from replearn.diagnostics.generators.modes import Modes, find_missing_modes
from replearn.diagnostics.generators.precision_recall import precision_recall
from replearn.diagnostics.generators.set_distances import frechet_distance, kernel_distance
from replearn.diagnostics.generators.support import Support, support_size


class Comparison(NamedTuple):
    """Samples against real images.

    Attributes:
        numbers: by name, each with the value of real against real.
        support: with the nearest pairs of samples.
        copies: with the likeliest copies.
        modes: with the kinds of real images that are missing.
    """

    numbers: dict[str, Estimate]
    support: Support
    copies: Copies
    modes: Modes


def compare_samples(
    real: Vectors, fake: Vectors, learned: NDArray[np.bool_] | None = None
) -> Comparison:
    """Return how features of samples differ from those of real images.

    The value of real against real is that of one half of the real images against the other.

    Args:
        real: float [N, D].
        fake: float [M, D].
        learned: which real images the generator learned from [N]; all of them if None.
    """
    real, fake = np.asarray(real, np.float32), np.asarray(fake, np.float32)
    found, plain = _distances(real, fake), _distances(*_halves(real))
    numbers = {
        name: estimate.against(plain[name].value) if name in plain else estimate
        for name, estimate in found.items()
    }
    support, copies = support_size(real, fake), _copies(real, fake, learned)
    modes = find_missing_modes(real, fake)
    numbers |= {"support": support.size, "copies": copies.share}
    numbers |= {"missing_modes": modes.missing, "different_modes": modes.different}
    return Comparison(numbers, support, copies, modes)


def _copies(real: Vectors, fake: Vectors, learned: NDArray[np.bool_] | None) -> Copies:
    if learned is None:
        return find_copies(real, fake)
    found = find_copies(real[learned], fake, held_out=real[~learned])
    rows = found.rows.copy()
    rows[:, 1] = np.flatnonzero(learned)[rows[:, 1]]
    return found._replace(rows=rows)


def _halves(real: Vectors) -> tuple[Vectors, Vectors]:
    half = blocks_of_rows(len(real), seed=1, blocks=2) == 0
    return real[half], real[~half]


def _distances(real: Vectors, fake: Vectors) -> dict[str, Estimate]:
    found = frechet_distance(real, fake)
    found |= {"kernel": kernel_distance(real, fake)} | precision_recall(real, fake)
    found["spread"] = _spread(real, fake)
    if has_gudhi():
        found["geometry"] = geometry_score(real, fake)
    return found


def _spread(real: Vectors, fake: Vectors) -> Estimate:
    """Return the total variance of samples over that of real images."""
    centre = real.mean(axis=0, dtype=np.float64)
    sums = [_block_sums(rows, centre) for rows in (real, fake)]

    def ratio(kept: NDArray[np.bool_]) -> float:
        of_real, of_fake = (_variance(*(part[kept].sum(axis=0) for part in of)) for of in sums)
        return of_fake / max(of_real, 1e-30)

    everything = np.arange(BLOCKS) >= 0
    left_out = [ratio(np.arange(BLOCKS) != block) for block in range(BLOCKS)]
    n = min(len(real), len(fake))
    return from_left_out(ratio(everything), left_out, n).clipped(0, np.inf)


def _block_sums(rows: Vectors, centre: Float64) -> tuple[Float64, Float64, Float64]:
    """Return number [B], sum [B, D] and sum of squared lengths [B] of the rows of each block."""
    block = blocks_of_rows(len(rows))
    parts = [rows[block == number] - centre for number in range(BLOCKS)]
    return (
        np.array([float(len(part)) for part in parts]),
        np.array([part.sum(axis=0) for part in parts]),
        np.array([float(np.square(part).sum()) for part in parts]),
    )


def _variance(count: float, total: Float64, squares: float) -> float:
    return float(squares / count - np.square(total / count).sum())
