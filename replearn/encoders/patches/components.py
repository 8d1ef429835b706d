"""Principal components of feature vectors, whitened in part."""

import torch
from torch import Tensor

from replearn.encoders.networks.full_precision import in_full_precision

_ROUNDS = 2  # power iterations; Halko, Martinsson and Tropp 2011 find one or two enough


def whitened_components(
    vectors: Tensor, count: int, whitening: float, seed: int
) -> tuple[Tensor, Tensor]:
    """Return mean [D] and matrix [D, count] that project vectors onto principal components.

    Each component is divided by a power of its standard deviation.  With 0 that is PCA, where few
    directions decide every distance; with 1 it is whitening, where noise counts as much as what
    images differ in.  The components are then turned at random, so that all numbers have about the
    same variance: standardising them, as detectors do, does not whiten them any further.

    Args:
        vectors: float [N, D], two or more.
        count: of components, at most N and D.
        whitening: the power, from 0 to 1.
        seed: draws the solver's start and the turn.
    """
    # Slow to import, and nothing that is fitted needs it.
    from sklearn.decomposition import PCA

    solver = PCA(
        count,
        svd_solver="randomized",
        iterated_power=_ROUNDS,
        power_iteration_normalizer="QR",
        random_state=seed,
    )
    solver.fit(vectors.cpu().numpy())
    variances = torch.from_numpy(solver.explained_variance_)
    # What has no variance but that of rounding must not be made larger by it.
    scales = variances.clamp_min(1e-9 * variances[0]).clamp_min(1e-30) ** (-whitening / 2)
    random = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(count, count, generator=random).to(scales))[0]
    with in_full_precision(scales):
        projection = (torch.from_numpy(solver.components_).T * scales) @ turn
    return torch.from_numpy(solver.mean_).to(vectors), projection.to(vectors)
