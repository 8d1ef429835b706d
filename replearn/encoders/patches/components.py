"""Principal components of feature vectors, each brought to variance 1."""

import torch
from torch import Tensor

from replearn.encoders.networks.full_precision import in_full_precision
from replearn.errors import DataError

_SPARE = 64  # directions beyond those that are kept
_ROUNDS = 2  # power iterations; Halko et al. find one or two enough
_ROWS = 4096  # vectors centred at a time, so that no copy of all of them is needed


def whitened_components(
    vectors: Tensor, count: int, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return mean [D] and matrix [D, count] that turn vectors into uncorrelated numbers.

    The leading principal components, found by random projection and power iterations (Halko,
    Martinsson and Tropp 2011, algorithm 4.4), divided by their standard deviations.

    Args:
        vectors: float [N, D].
        count: of components.
        random: draws the projection.

    Raises:
        DataError: the vectors do not span as many directions.
    """
    number, width = vectors.shape
    most = min(number - 1, width)
    if count > most:
        raise DataError(
            f"whitened {count}: {number} images of {width} values have no more than {most} "
            "principal components; lower it or give more images"
        )
    with in_full_precision(vectors):
        return _components(vectors, count, random, most)


def _components(
    vectors: Tensor, count: int, random: torch.Generator, most: int
) -> tuple[Tensor, Tensor]:
    number, width = vectors.shape
    mean = vectors.double().mean(0).to(vectors) if number < _ROWS else vectors.mean(0)
    basis = torch.randn(width, min(count + _SPARE, most), generator=random).to(vectors)
    for _ in range(_ROUNDS + 1):
        product = torch.zeros_like(basis)
        for part in torch.split(vectors, _ROWS):
            centred = part - mean
            product.addmm_(centred.T, centred @ basis)
        basis = torch.linalg.qr(product)[0]
    scores = torch.cat([(part - mean) @ basis for part in torch.split(vectors, _ROWS)])
    variances, directions = torch.linalg.eigh((scores.T @ scores).double() / number)
    variances, directions = variances.flip(0)[:count], directions.flip(1)[:, :count]
    # What has no variance but that of rounding stays as small as it is.
    scales = variances.clamp_min(1e-9 * variances[0].item() + 1e-30).rsqrt()
    return mean, basis @ (directions * scales).to(basis)
