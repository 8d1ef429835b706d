"""Sparse codes: a patch as a sum of few words of a dictionary."""

import torch
from torch import Tensor

from replearn.encoders.networks.full_precision import in_full_precision


def sparse_codes(
    patches: Tensor, words: Tensor, curvature: Tensor, penalty: float, steps: int
) -> Tensor:
    """Return the codes [..., K] of patches [..., P] in words [K, P] of at most unit length.

    A code a minimises |x - a W|^2 / 2 + penalty |a|_1 (the lasso), approached by accelerated
    proximal gradients: FISTA, Beck and Teboulle 2009, section 4.  The number of steps is fixed, so
    that a code does not depend on the other patches.

    Args:
        patches: float, at least single precision.
        words: of the dictionary.
        curvature: from `curvature_of`, a scalar.
        penalty: larger ones make fewer words active.
        steps: of the approach.
    """
    with in_full_precision(patches):
        rate = 1 / curvature  # of a step
        target = patches @ words.T * rate
        change = torch.eye(len(words)).to(words) - rate * (words @ words.T)
        codes = torch.zeros_like(target)
        ahead, momentum = codes, 1.0
        for _ in range(steps):
            before = codes
            codes = shrink(ahead @ change + target, penalty * rate)
            following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
            ahead = torch.lerp(before, codes, 1 + (momentum - 1) / following)
            momentum = following
    return codes


def curvature_of(words: Tensor) -> Tensor:
    """Return the largest curvature of the squares, the largest eigenvalue of W W^T, a scalar."""
    return torch.linalg.matrix_norm(words.double(), 2).square().to(words)


def shrink(values: Tensor, by: Tensor) -> Tensor:
    """Return values nearer to zero by this much, zero where they are smaller."""
    return values - values.clamp(-by, by)
