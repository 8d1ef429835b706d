"""The shape of a set, by its holes: the Geometry Score (Khrulkov and Oseledets 2018).

A few landmarks are joined, the others of the set telling which (arXiv:1802.02664); as the scale
grows, loops appear and close again.  The mean relative living times say for which share of the
scales there are exactly 0, 1, 2, ... loops: a circle has one for most of them, two circles two.

The paper takes the witness complex of landmarks; here it is the lazy one, which is decided by pairs
(de Silva and Carlsson 2004): two landmarks are joined at the scale at which some image lies so near
to both.  Its persistence is that of a matrix of distances, by gudhi (extra `diagnose`).
"""

import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Float64, Vectors
from replearn.diagnostics.estimates import BLOCKS, Estimate, from_left_out
from replearn.errors import UsageError

LANDMARKS = 64
_MOST_HOLES = 100  # numbers of holes that are told apart
_SHARE = 1 / 16  # of the largest distance: the scales that are looked at
_ROUNDS = 40  # draws of landmarks, 2 in each block
_WITNESSES = 2000


def has_gudhi() -> bool:
    """Tell whether the package is installed that finds the holes."""
    try:
        import gudhi  # noqa: F401
    except ModuleNotFoundError:
        return False
    return True


def living_times(
    vectors: Vectors, *, rounds: int = _ROUNDS, landmarks: int = LANDMARKS, seed: int = 0
) -> Float64:
    """Return the relative living time of 0, 1, 2, ... loops for each draw of landmarks.

    Args:
        vectors: float [N, D]; of more than 2,000 as many are drawn.
        rounds: draws of landmarks.
        landmarks: how many are drawn; at most N.
        seed: of the draws.

    Returns:
        float [rounds, 100]; each row adds up to 1.

    Raises:
        UsageError: gudhi is not installed.

    Example:
        >>> angles = np.random.default_rng(0).uniform(0, 2 * np.pi, 2000)
        >>> circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        >>> int(living_times(circle, rounds=5).mean(axis=0).argmax())
        1
    """
    random = np.random.default_rng(seed)
    rows = random.permutation(len(vectors))[:_WITNESSES]
    witnesses = np.asarray(vectors[rows], np.float32)
    witnesses = witnesses - witnesses.mean(axis=0)
    landmarks = min(landmarks, len(rows))
    drawn = [random.permutation(len(rows))[:landmarks] for _ in range(rounds)]
    return np.array([_round(witnesses, chosen) for chosen in drawn], np.float64)


def _round(witnesses: NDArray[np.float32], chosen: NDArray[np.int64]) -> Float64:
    squares = np.einsum("nd,nd->n", witnesses, witnesses)
    gaps = squares[:, None] + squares[chosen] - 2 * witnesses @ witnesses[chosen].T
    gaps = np.sqrt(np.maximum(gaps, 0), dtype=np.float64)  # [N, L]
    gaps[chosen, np.arange(len(chosen))] = 0
    largest = gaps[chosen].max()
    if largest == 0:  # a set of one image has no holes
        alone = np.zeros(_MOST_HOLES)
        alone[0] = 1
        return alone
    # Each witness joins its two nearest landmarks at scale 0 already.
    own = np.partition(gaps, 1, axis=1)[:, 1:2]
    joined = np.empty((len(chosen), len(chosen)))
    for place in range(len(chosen)):
        scales = np.maximum(gaps, gaps[:, place : place + 1]) - own
        joined[place] = np.maximum(scales, 0).min(axis=0)
    np.fill_diagonal(joined, 0)
    end = _SHARE * largest
    return _shares(_loops(joined, end), end)


def _loops(joined: Float64, end: float) -> Float64:
    """Return birth and death of each loop up to a scale [H, 2]."""
    try:
        import gudhi
    except ModuleNotFoundError:
        raise UsageError(
            "the Geometry Score needs gudhi; pip install 'replearn[diagnose]'"
        ) from None
    complex_ = gudhi.RipsComplex(distance_matrix=joined, max_edge_length=end)
    tree = complex_.create_simplex_tree(max_dimension=2)
    tree.compute_persistence()
    found = np.asarray(tree.persistence_intervals_in_dimension(1), np.float64).reshape(-1, 2)
    return np.minimum(found, end)


def _shares(loops: Float64, end: float) -> Float64:
    """Return the share of the scales from 0 to `end` at which there are 0, 1, 2, ... loops."""
    edges = np.unique(np.concatenate([[0.0, end], loops.ravel()]))
    alive = (loops[:, :1] <= edges[:-1]) & (edges[:-1] < loops[:, 1:])  # [H, S]
    counts = np.minimum(alive.sum(axis=0), _MOST_HOLES - 1)
    shares = np.bincount(counts, np.diff(edges) / end, minlength=_MOST_HOLES)
    return np.asarray(shares, np.float64)


def geometry_score(real: Vectors, fake: Vectors, *, rounds: int = _ROUNDS) -> Estimate:
    """Return the squared distance of the mean relative living times of two sets.

    The interval leaves out blocks of the draws of landmarks: it says how far other landmarks
    would move the score, of the same images.

    Args:
        real: float [N, D].
        fake: float [M, D]; of the larger set as many as of the other are drawn.
        rounds: draws of landmarks of each set.

    Raises:
        UsageError: gudhi is not installed.
    """
    most = min(len(real), len(fake))
    times = [
        living_times(_some(rows, most), rounds=rounds, seed=seed)
        for seed, rows in enumerate((real, fake))
    ]
    block = np.arange(rounds) % BLOCKS

    def score(keep: NDArray[np.bool_]) -> float:
        first, second = (of[keep].mean(axis=0) for of in times)
        return float(np.square(first - second).sum())

    left_out = [score(block != number) for number in range(BLOCKS)]
    return from_left_out(score(block >= 0), left_out, most)


def _some(rows: Vectors, most: int) -> Vectors:
    return rows[np.sort(np.random.default_rng(0).permutation(len(rows))[:most])]
