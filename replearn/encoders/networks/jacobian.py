"""How strongly a generator answers to small changes of its code: the spectrum of its Jacobian.

Odena et al. 2018 (arXiv:1802.08768) found that training goes wrong where the largest and the
smallest singular value are far apart.  Their metric tensor is J^T J, whose condition number is the
square of that of J.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Decode = Callable[[Tensor], Tensor]
"""Maps codes [N, D] to outputs [N, ...], each on its own: batch normalisation in evaluation."""

_EXACT = 4  # codes, each of which is as much work as D outputs
_SAMPLED = 64
_SMALL_STEP = 0.01


def singular_values(decode: Decode, codes: Tensor) -> Tensor:
    """Return the singular values of the Jacobian at each code [N, min(D, outputs)], largest first.

    Exact, by forward differentiation: for each code the work of D outputs, one code at a time.
    """

    def output(code: Tensor) -> Tensor:
        return decode(code[None]).flatten()

    rows = [torch.linalg.svdvals(torch.func.jacfwd(output)(code)) for code in codes.detach()]
    return torch.stack(rows)


def gains(decode: Decode, codes: Tensor, step: float) -> Tensor:
    """Return |G(z + e d) - G(z)| / e in one random direction d, |d| = 1, at each code [N].

    For a small step e a gain lies between the smallest and the largest singular value, and the mean
    of D g^2 is that of the sum of the squared singular values (D being the length of a code, of
    which there must be as many as outputs at most).

    Args:
        decode: maps codes to outputs; gradients pass through both of them.
        codes: [N, D].
        step: the length e.
    """
    directions = F.normalize(torch.randn_like(codes), dim=1)
    changes = decode(codes + step * directions) - decode(codes)
    lengths: Tensor = changes.flatten(1).norm(dim=1)
    return lengths / step


def conditioning(decode: Decode, codes: Tensor) -> dict[str, Tensor]:
    """Return how well conditioned a generator is at codes [N, D]: numbers to watch.

    `largest` and `smallest` are the means of the exact singular values at the first few codes,
    `condition` that of the decimal logarithm of their ratio, and `gain` is the root mean square of
    sampled gains.
    """
    exact = singular_values(decode, codes[:_EXACT])
    largest, smallest = exact[:, 0], exact[:, -1]
    floor = torch.finfo(exact.dtype).tiny  # of a generator that does not see all of its code
    return {
        "jacobian/largest": largest.mean(),
        "jacobian/smallest": smallest.mean(),
        "jacobian/condition": (largest / smallest.clamp_min(floor)).log10().mean(),
        "jacobian/gain": gains(decode, codes[:_SAMPLED], _SMALL_STEP).square().mean().sqrt(),
    }
