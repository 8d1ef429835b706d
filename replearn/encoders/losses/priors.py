"""The distributions that codes are asked to follow.

Each prior draws codes and puts an encoder's raw output onto its support, so that the critic
compares shapes and not supports.  All have coordinates of unit mean square, whatever the
dimension: the networks after them then see the scale that they were initialised for.  A prior
also knows its own geometry: the way from one code to another, and the code nearest to any vector.
"""

from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from replearn.encoders.networks.full_precision import to_full_precision

PriorName = Literal["normal", "sphere", "uniform", "rectified", "bernoulli", "categorical"]


class Prior(Protocol):
    """A distribution of codes [N, D]."""

    def sample_like(self, codes: Tensor) -> Tensor:
        """Draw codes of the same shape, type and device [N, D]."""
        ...

    def project(self, raw: Tensor) -> Tensor:
        """Put raw encoder outputs [N, D] smoothly onto the support, or its convex hull."""
        ...

    def nearest(self, vectors: Tensor) -> Tensor:
        """Return the codes [N, D] that lie nearest to any vectors [N, D]."""
        ...

    def between(self, start: Tensor, end: Tensor, share: float) -> Tensor:
        """Return the codes [N, D] at this share, in [0, 1], of the way from start to end."""
        ...


class Normal:
    """The standard normal distribution; every point is in its support.

    The straight way between two draws passes closer to the origin than any draw does, so
    directions turn along the great circle while lengths go straight (White 2016, arXiv:1609.04468).
    """

    def sample_like(self, codes: Tensor) -> Tensor:
        """Draw standard normal codes [N, D]."""
        return torch.randn_like(codes)

    def project(self, raw: Tensor) -> Tensor:
        """Return the raw outputs [N, D] as they are."""
        return raw

    def nearest(self, vectors: Tensor) -> Tensor:
        """Return the vectors [N, D] as they are."""
        return vectors

    def between(self, start: Tensor, end: Tensor, share: float) -> Tensor:
        """Turn the direction evenly and change the length evenly [N, D]."""
        lengths = torch.lerp(start.norm(dim=1), end.norm(dim=1), share)
        return _turn(start, end, share) * lengths[:, None]


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
        return F.normalize(to_full_precision(raw), dim=1) * length

    def nearest(self, vectors: Tensor) -> Tensor:
        """Scale each row [N, D] to the length sqrt(D)."""
        return self.project(vectors)

    def between(self, start: Tensor, end: Tensor, share: float) -> Tensor:
        """Go along the great circle [N, D]."""
        length: float = start.shape[1] ** 0.5
        return _turn(start, end, share) * length


class Uniform:
    """The uniform distribution on the cube [-sqrt(3), sqrt(3)]^D, which has unit variance."""

    _EDGE = 3**0.5

    def sample_like(self, codes: Tensor) -> Tensor:
        """Draw codes [N, D] uniformly from the cube."""
        return (torch.rand_like(codes) * 2 - 1) * self._EDGE

    def project(self, raw: Tensor) -> Tensor:
        """Squash each coordinate [N, D] smoothly into the cube."""
        return torch.tanh(raw) * self._EDGE

    def nearest(self, vectors: Tensor) -> Tensor:
        """Clip each coordinate [N, D] to the cube."""
        return vectors.clamp(-self._EDGE, self._EDGE)

    def between(self, start: Tensor, end: Tensor, share: float) -> Tensor:
        """Go straight [N, D]: the cube is convex."""
        return torch.lerp(start, end, share)


class Rectified:
    """The rectified normal distribution, max(0, n): about half of each code is exactly zero.

    An encoder that could not give exact zeros would be told apart by them alone, so its output
    is rectified too.  The factor sqrt(2) makes the mean square 1; the seed has none.
    """

    _SCALE = 2**0.5

    def sample_like(self, codes: Tensor) -> Tensor:
        """Draw normal codes [N, D], negative coordinates set to zero."""
        return torch.randn_like(codes).relu() * self._SCALE

    def project(self, raw: Tensor) -> Tensor:
        """Set negative coordinates [N, D] to zero."""
        return raw.relu() * self._SCALE

    def nearest(self, vectors: Tensor) -> Tensor:
        """Set negative coordinates [N, D] to zero."""
        return vectors.relu()

    def between(self, start: Tensor, end: Tensor, share: float) -> Tensor:
        """Go straight [N, D]: the support is convex, and what is zero at both ends stays zero."""
        return torch.lerp(start, end, share)


class Bernoulli:
    """Fair coins: each coordinate is -1 or +1, the corners of a cube."""

    def sample_like(self, codes: Tensor) -> Tensor:
        """Draw codes [N, D] of -1 and +1."""
        return torch.randint_like(codes, 2) * 2 - 1

    def project(self, raw: Tensor) -> Tensor:
        """Squash each coordinate [N, D] smoothly between -1 and +1."""
        return torch.tanh(raw)

    def nearest(self, vectors: Tensor) -> Tensor:
        """Clip each coordinate [N, D] to [-1, 1], where projected codes lie."""
        return vectors.clamp(-1, 1)

    def between(self, start: Tensor, end: Tensor, share: float) -> Tensor:
        """Go along the edges of the cube [N, D]: one coordinate after the other changes."""
        dimension = start.shape[1]
        places = torch.arange(dimension, device=start.device, dtype=start.dtype)
        return torch.lerp(start, end, (share * dimension - places).clamp(0, 1).expand_as(start))


class Categorical:
    """One of D categories: a one-hot code, scaled by sqrt(D)."""

    def sample_like(self, codes: Tensor) -> Tensor:
        """Draw one-hot codes [N, D] times sqrt(D), all categories alike."""
        dimension = codes.shape[1]
        drawn = torch.randint(dimension, (len(codes),), device=codes.device)
        scale: float = dimension**0.5
        return F.one_hot(drawn, dimension).to(codes.dtype) * scale

    def project(self, raw: Tensor) -> Tensor:
        """Turn raw outputs [N, D] into probabilities, times sqrt(D)."""
        scale: float = raw.shape[1] ** 0.5
        return torch.softmax(raw, dim=1) * scale

    def nearest(self, vectors: Tensor) -> Tensor:
        """Return the nearest points [N, D] of the simplex (Duchi et al. 2008, figure 1)."""
        scale: float = vectors.shape[1] ** 0.5
        weights = vectors / scale
        weights = weights - weights.amax(1, keepdim=True)  # the same nearest point, no overflow
        ordered = weights.sort(dim=1, descending=True).values
        # Not on a GPU, which adds them up in an order of its own, if it may at all.
        excess = ordered.cpu().cumsum(1).to(vectors.device) - 1
        counts = torch.arange(1, vectors.shape[1] + 1, device=vectors.device)
        kept = (ordered * counts > excess).sum(1, keepdim=True)
        return (weights - excess.gather(1, kept - 1) / kept).relu() * scale

    def between(self, start: Tensor, end: Tensor, share: float) -> Tensor:
        """Shift probability evenly from one to the other [N, D]."""
        return torch.lerp(start, end, share)


def compare(codes: Tensor, prior: Prior, *, drawn: Tensor | None = None) -> dict[str, Tensor]:
    """Return how codes [N, D] differ from as many draws of their prior.

    `mean` and `deviation` are those of a unit over the images, averaged over the units; `distance`
    is the sliced Wasserstein distance to draws, and `distance_of_draws` that of draws to draws,
    which is what it comes down to where codes follow the prior (Kolouri et al. 2018,
    arXiv:1804.01947).

    Args:
        codes: of images.
        prior: what they should follow.
        drawn: what should follow it instead, where codes are means of distributions: one draw of
            each [N, D].
    """
    codes = to_full_precision(codes)
    one, other = prior.sample_like(codes), prior.sample_like(codes)
    return {
        "codes/mean": codes.mean(0).abs().mean(),
        "codes/deviation": codes.std(0, correction=0).mean(),
        "codes/distance": _sliced_distance(
            codes if drawn is None else to_full_precision(drawn), one
        ),
        "codes/distance_of_draws": _sliced_distance(other, one),
    }


def _sliced_distance(first: Tensor, second: Tensor, directions: int = 64) -> Tensor:
    """Return the mean over directions of the Wasserstein-2 distance of the projections."""
    random = torch.Generator().manual_seed(0)
    lines = torch.randn(first.shape[1], directions, generator=random).to(first)
    lines = F.normalize(lines, dim=0)
    gaps = (first @ lines).sort(0).values - (second @ lines).sort(0).values
    return gaps.square().mean(0).sqrt().mean()


def _turn(start: Tensor, end: Tensor, share: float) -> Tensor:
    """Return unit vectors [N, D] at this share of the arc between two directions."""
    first, last = F.normalize(start, dim=1), F.normalize(end, dim=1)
    angle = torch.acos((first * last).sum(1, keepdim=True).clamp(-1, 1))
    arc = torch.sin((1 - share) * angle) * first + torch.sin(share * angle) * last
    # On directions that (almost) agree the arc is the chord; opposite ones have no one arc.
    straight = torch.lerp(first, last, share)
    return F.normalize(torch.where(torch.sin(angle) > 1e-4, arc, straight), dim=1)


PRIORS: dict[PriorName, Prior] = {
    "normal": Normal(),
    "sphere": Sphere(),
    "uniform": Uniform(),
    "rectified": Rectified(),
    "bernoulli": Bernoulli(),
    "categorical": Categorical(),
}
