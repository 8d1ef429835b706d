"""How a whitened patch is described by the words of a dictionary."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from replearn.encoders.networks.full_precision import in_full_precision

EncodingName = Literal["triangle", "threshold"]

# Of the cosine.  Chosen on validation images of CIFAR-10 among 0.05 to 0.35.
_THRESHOLD = 0.15


def triangle(patches: Tensor, words: Tensor) -> Tensor:
    """Return how much nearer [..., K] patches [..., P] are to words [K, P] than to the average one.

    With z_k the distance to word k the activation is max(0, mean(z) - z_k) (Coates et al. 2011).
    All but the product |x - c|^2 = |x|^2 - 2 x c + |c|^2 stands in place: the rest is read from and
    written to memory, which costs more than the product.
    """
    # In half precision near words could not be told from the nearest.
    with in_full_precision(patches):
        patches = patches.to(words.dtype)
        flat = patches.flatten(0, -2)
        lengths = flat.square().sum(1, keepdim=True)
        squares = torch.addmm(words.square().sum(1), flat, words.T, alpha=-2)
        distances = squares.add_(lengths).clamp_min_(0).sqrt_()
        means = distances.mean(1, keepdim=True)
        active = distances.neg_().add_(means).clamp_min_(0)
    return active.reshape(*patches.shape[:-1], -1)


def threshold(patches: Tensor, words: Tensor) -> Tensor:
    """Return by how much the cosine [..., K] of patches and words exceeds a threshold, or 0.

    The soft threshold of Coates and Ng (ICML 2011), on directions only.
    """
    flat = F.normalize(patches, dim=-1).flatten(0, -2)
    least = flat.new_tensor(-_THRESHOLD)  # added by the product: one pass less over what is large
    above = torch.addmm(least, flat, F.normalize(words, dim=1).T).clamp_min_(0)
    return above.reshape(*patches.shape[:-1], -1)


ENCODINGS: dict[EncodingName, Callable[[Tensor, Tensor], Tensor]] = {
    "triangle": triangle,
    "threshold": threshold,
}
