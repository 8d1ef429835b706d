"""Means over the cells of grids laid over the places of an image."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from replearn.encoders.patches.dictionary import Dictionary

_ACTIVATIONS = 2**20  # computed at once, 4 MiB: about what a core has in its cache


def cell_means(rows: int, columns: int, grids: Sequence[int]) -> Tensor:
    """Return the matrix [cells, rows * columns] whose product with values at places is their means.

    A grid of g has g x g cells of equal size; where they do not fit, neighbours share a row or a
    column of places.  The cells of all grids follow one another: the spatial pyramid of Lazebnik,
    Schmid and Ponce (CVPR 2006), without its weights.
    """
    parts = []
    for grid in grids:
        along = [
            F.adaptive_avg_pool1d(torch.eye(count)[:, None], grid)[:, 0].T
            for count in (rows, columns)
        ]
        parts.append(torch.kron(*along))
    return torch.cat(parts)


def pooled(
    images: Tensor,
    dictionary: Dictionary,
    encode: Callable[[Tensor, Tensor], Tensor],
    pyramid: Sequence[int],
) -> Tensor:
    """Return the means of the activations of each word in each cell, [N, words, cells].

    Args:
        images: float [N, C, H, W].
        dictionary: reads their patches.
        encode: patches [N, places, P] and words [K, P] to activations [N, places, words].
        pyramid: cells in a row of each grid.
    """
    cells = cell_means(*dictionary.places(*images.shape[-2:]), pyramid).to(images)
    most = max(_ACTIVATIONS // (cells.shape[1] * len(dictionary.words)), 1)
    parts = []
    for part in torch.split(images, most):
        activations = encode(dictionary.read(part), dictionary.words)
        parts.append((cells @ activations).transpose(1, 2))
    return torch.cat(parts)
