"""The distributions that codes are asked to follow.

Each prior draws codes and puts an encoder's raw output onto its support, so that the critic
compares shapes and not supports.  All have coordinates of about unit variance, whatever the
dimension: the networks after them then see the scale that they were initialised for.
"""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor


class Prior(Protocol):
    """A distribution of codes [N, D]."""

    def sample_like(self, codes: Tensor) -> Tensor:
        """Draw codes of the same shape, type and device [N, D]."""
        ...

    def project(self, raw: Tensor) -> Tensor:
        """Put raw encoder outputs [N, D] onto the support."""
        ...


class Normal:
    """The standard normal distribution; every point is in its support."""

    def sample_like(self, codes: Tensor) -> Tensor:
        """Draw standard normal codes [N, D]."""
        return torch.randn_like(codes)

    def project(self, raw: Tensor) -> Tensor:
        """Return the raw outputs [N, D] as they are."""
        return raw


class Sphere:
    """The uniform distribution on the sphere of radius sqrt(D).

    The seed's prior is the unit sphere, a normalised Gaussian; this one is the same but for the
    scale.
    """

    def sample_like(self, codes: Tensor) -> Tensor:
        """Draw codes [N, D] of length sqrt(D) in uniform directions."""
        return self.project(torch.randn_like(codes)).to(codes.dtype)

    def project(self, raw: Tensor) -> Tensor:
        """Scale each row [N, D] to the length sqrt(D)."""
        length: float = raw.shape[1] ** 0.5
        return F.normalize(raw.float(), dim=1) * length


class Uniform:
    """The uniform distribution on the cube [-sqrt(3), sqrt(3)]^D, which has unit variance."""

    _EDGE = 3**0.5

    def sample_like(self, codes: Tensor) -> Tensor:
        """Draw codes [N, D] uniformly from the cube."""
        return (torch.rand_like(codes) * 2 - 1) * self._EDGE

    def project(self, raw: Tensor) -> Tensor:
        """Squash each coordinate [N, D] smoothly into the cube."""
        return torch.tanh(raw) * self._EDGE


PRIORS: dict[str, Prior] = {"normal": Normal(), "sphere": Sphere(), "uniform": Uniform()}
