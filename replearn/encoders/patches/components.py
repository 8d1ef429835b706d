"""Principal components of feature vectors, whitened in part."""

import torch
from torch import Tensor

from replearn.encoders.networks.full_precision import in_full_precision
from replearn.errors import DataError

_SPARE = 64  # directions beyond those that are kept
_ROUNDS = 2  # power iterations; Halko et al. find one or two enough
_ROWS = 4096  # vectors centred at a time, so that no copy of all of them is needed


def whitened_components(
    vectors: Tensor, count: int, whitening: float, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return mean [D] and matrix [D, count] that project vectors onto principal components.

    Each component is divided by a power of its standard deviation.  With 0 that is PCA, where few
    directions decide every distance; with 1 it is whitening, where noise counts as much as what
    images differ in.  The components are then turned at random, so that all numbers have about the
    same variance: standardising them, as detectors do, does not whiten them any further.

    Args:
        vectors: float [N, D].
        count: of components.
        whitening: the power, from 0 to 1.
        random: draws projection and turn.

    Raises:
        DataError: the vectors do not span as many directions.
    """
    number, width = vectors.shape
    most = min(number - 1, width)
    if count > most:
        raise DataError(
            f"components {count}: {number} images of {width} values have no more than {most} "
            "principal components; lower it or give more images"
        )
    with in_full_precision(vectors):
        mean = vectors.mean(0)
        basis = leading_directions(vectors, mean, min(count + _SPARE, most), random)
        scores = torch.cat([(part - mean) @ basis for part in torch.split(vectors, _ROWS)])
        variances, directions = torch.linalg.eigh((scores.T @ scores).double() / number)
        variances, directions = variances.flip(0)[:count], directions.flip(1)[:, :count]
        # What has no variance but that of rounding must not be made larger by it.
        scales = variances.clamp_min(1e-9 * variances[0]).clamp_min(1e-30) ** (-whitening / 2)
        turn = torch.linalg.qr(torch.randn(count, count, generator=random).to(basis))[0]
        return mean, basis @ (directions * scales).to(basis) @ turn


def leading_directions(
    vectors: Tensor, mean: Tensor, count: int, random: torch.Generator
) -> Tensor:
    """Return orthonormal directions [D, count] that hold most of the variance of vectors [N, D].

    A random projection and power iterations: Halko, Martinsson and Tropp 2011, algorithm 4.4.
    """
    basis = torch.randn(vectors.shape[1], count, generator=random).to(vectors)
    for _ in range(_ROUNDS + 1):
        product = torch.zeros_like(basis)
        for part in torch.split(vectors, _ROWS):
            centred = part - mean
            product.addmm_(centred.T, centred @ basis)
        basis = torch.linalg.qr(product)[0]
    return basis
