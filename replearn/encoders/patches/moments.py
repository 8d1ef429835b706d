"""Second moments of the codes of patches: of a code with itself, and with its neighbours'."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from replearn.encoders.networks.full_precision import in_full_precision

_IMAGES = 8  # encoded at a time


def moments(
    images: Tensor,
    encode: Callable[[Tensor], Tensor],
    places: tuple[int, int],
    reach: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mean [K] and covariance [K, K] of codes, and that with their neighbours' means.

    The last is made symmetric.  Neighbours are the places of a square around a patch, itself
    left out.

    Args:
        images: float [N, C, H, W].
        encode: images to codes [N, places, K], row by row.
        places: rows and columns of patches.
        reach: rows and columns from a patch to the last of its neighbours.
    """
    count, total, own, beside = 0, torch.tensor(0.0), torch.tensor(0.0), torch.tensor(0.0)
    for codes, around in _with_neighbours(images, encode, places, reach):
        count += len(codes)
        total = total + codes.sum(0)
        with in_full_precision(codes):
            own = own + codes.T @ codes
            beside = beside + codes.T @ around
    mean = total / count
    square = torch.outer(mean, mean)
    return mean, own / count - square, (beside + beside.T) / (2 * count) - square


def _with_neighbours(
    images: Tensor, encode: Callable[[Tensor], Tensor], places: tuple[int, int], reach: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield codes [M, K] and the means of their neighbours' codes [M, K]."""
    side = 2 * reach + 1
    for part in torch.split(images, _IMAGES):
        flat = encode(part).float().transpose(1, 2)
        codes = flat.reshape(*flat.shape[:2], *places)  # [N, K, rows, columns]
        ones = torch.ones_like(codes[:1, :1])
        within = F.avg_pool2d(ones, side, 1, reach) * side**2
        sums = F.avg_pool2d(codes, side, 1, reach) * side**2 - codes
        around = sums / (within - 1)
        yield (
            codes.flatten(2).transpose(1, 2).flatten(0, 1),
            around.flatten(2).transpose(1, 2).flatten(0, 1),
        )


def slow_directions(own: Tensor, beside: Tensor, count: int, ridge: float = 1e-3) -> Tensor:
    """Return the directions V [K, count] in which a code differs least from its neighbours.

    V maximises tr(V^T B V) with V^T (C + r) V = I: the leading generalised eigenvectors of the
    neighbours' covariance B and the own one C.

    Args:
        own: C [K, K].
        beside: B [K, K].
        count: of directions.
        ridge: r, as a share of the mean variance.
    """
    # torch has no generalised eigenproblem.
    import scipy.linalg

    exact = own.double().cpu()
    exact.diagonal().add_(ridge * exact.diagonal().mean())
    last = len(own) - 1
    _, directions = scipy.linalg.eigh(
        beside.double().cpu().numpy(), exact.numpy(), subset_by_index=[last - count + 1, last]
    )
    return torch.from_numpy(directions[:, ::-1].copy()).to(own)
