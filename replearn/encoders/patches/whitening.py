"""Contrast normalisation and whitening of patches, after Coates, Ng and Lee (AISTATS 2011)."""

import torch
from torch import Tensor

# Added to the variance of a patch, lest noise on a plain surface become structure.  Coates et al.
# add 10 where pixels lie in [0, 255]; in [-1, 1] they are smaller by 127.5.
_CONTRAST = 10 / 127.5**2
# Added to the eigenvalues before whitening, as Coates et al. do.  Patches have about unit variance
# by then, so this needs no conversion.
_RIDGE = 0.1


def normalise(patches: Tensor) -> Tensor:
    """Bring each patch [..., P] to mean 0 and, where it has contrast, to variance 1."""
    centred = patches - patches.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + _CONTRAST).sqrt()


def zca(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean [P] and matrix [P, P] that whiten patches [N, P]: (covariance + ridge)^-1/2."""
    exact = patches.double()
    variances, directions = torch.linalg.eigh(torch.cov(exact.T))
    scales = (variances.clamp_min(0) + _RIDGE).rsqrt()
    return exact.mean(0), (directions * scales) @ directions.T
