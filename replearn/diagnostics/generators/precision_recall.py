"""How much of what a generator makes is like real images, and how much of what is real it makes.

A set is described by balls around its members, each as large as the distance to its k-th nearest
other.  Precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991) are the share of samples
inside a ball of a real image, and of real images inside a ball of a sample.  One outlier among the
real images has a ball that holds much; density and coverage (Naeem et al. 2020, arXiv:2002.09797)
bear that: density counts the balls of real images that a sample lies in, over k, and coverage is
the share of real balls with a sample in them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Vectors
from replearn.diagnostics.estimates import BLOCKS, Estimate, blocks_of_rows, from_left_out
from replearn.diagnostics.neighbourhoods import near_pairs, nearest_others

_SPARE = 15  # neighbours beyond k: in random blocks, k of them lie outside of any one block


@dataclass
class _Balls:
    """Balls around the members of a set, with everything and without each block.

    Attributes:
        vectors: float [N, D].
        block: of each member [N].
        squares: squared radii float32 [B + 1, N]; the last row is of everything.
    """

    vectors: Vectors
    block: NDArray[np.int64]
    squares: NDArray[np.float32]

    @classmethod
    def around(cls, vectors: Vectors, k: int, seed: int) -> "_Balls":
        """Return the balls of vectors [N, D], N more than k."""
        block = blocks_of_rows(len(vectors), seed)
        hits = nearest_others(vectors, k + _SPARE)
        there = hits.rows >= 0
        radii = [hits.distances[:, min(k, there.shape[1]) - 1]]
        for left_out in range(BLOCKS):
            kept = np.cumsum(there & (block[hits.rows] != left_out), axis=1) >= k
            last = np.where(kept.any(axis=1), kept.argmax(axis=1), there.shape[1] - 1)
            radii.append(np.take_along_axis(hits.distances, last[:, None], axis=1)[:, 0])
        return cls(vectors, block, np.square(np.array([*radii[1:], radii[0]])))


@dataclass
class _Met:
    """What was met inside balls: of everything, and without each block.

    Attributes:
        visitors: who lies in a ball, bool [B + 1, N].
        hosts: in whose ball someone lies, bool [B + 1, M].
        count: of visits [B + 1].
    """

    visitors: NDArray[np.bool_]
    hosts: NDArray[np.bool_]
    count: NDArray[np.int64]


def _meet(visitors: _Balls, hosts: _Balls) -> _Met:
    """Find which visitors lie in balls of the hosts, without holding more than a tile of pairs."""
    met = _Met(
        np.zeros((BLOCKS + 1, len(visitors.vectors)), bool),
        np.zeros((BLOCKS + 1, len(hosts.vectors)), bool),
        np.zeros(BLOCKS + 1, np.int64),
    )
    for pairs in near_pairs(visitors.vectors, hosts.vectors, hosts.squares.max(axis=0)):
        for case in range(BLOCKS + 1):
            inside = pairs.squares <= hosts.squares[case, pairs.second]
            inside &= visitors.block[pairs.first] != case
            inside &= hosts.block[pairs.second] != case
            met.visitors[case, pairs.first[inside]] = True
            met.hosts[case, pairs.second[inside]] = True
            met.count[case] += int(inside.sum())
    return met


def _share(marks: NDArray[np.bool_], block: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the share of marked members [B + 1] among those outside of each block."""
    return np.array([mark[block != case].mean() for case, mark in enumerate(marks)])


def _estimate(values: NDArray[np.float64], n: int) -> Estimate:
    return from_left_out(float(values[-1]), values[:-1], n)


def precision_recall(real: Vectors, fake: Vectors, k: int = 5) -> dict[str, Estimate]:
    """Return precision, recall, density and coverage of samples against real images.

    Args:
        real: features float [N, D], N at least 20.
        fake: features of samples float [M, D], M at least 20.
        k: which neighbour a ball reaches to.

    Example:
        >>> same = np.random.default_rng(0).normal(size=(500, 8))
        >>> {name: found.value for name, found in precision_recall(same, same).items()}
        {'precision': 1.0, 'recall': 1.0, 'density': 1.2, 'coverage': 1.0}
    """
    # The same blocks on both sides, so that copies of real images leave together with them.
    balls, others = _Balls.around(real, k, seed=0), _Balls.around(fake, k, seed=0)
    in_real, in_fake = _meet(others, balls), _meet(balls, others)
    kept = np.array([(others.block != case).sum() for case in range(BLOCKS + 1)])
    shares = {
        "precision": _share(in_real.visitors, others.block),
        "recall": _share(in_fake.visitors, balls.block),
        "density": in_real.count / (k * kept),
        "coverage": _share(in_real.hosts, balls.block),
    }
    found = {name: _estimate(values, min(len(real), len(fake))) for name, values in shares.items()}
    return {
        name: estimate if name == "density" else estimate.clipped(0, 1)
        for name, estimate in found.items()
    }
