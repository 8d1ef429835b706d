"""The sparse manifold transform (Chen, Paiton and Olshausen, NeurIPS 2018; Chen et al. 2022)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from replearn.encoders.contract import FittedEncoder
from replearn.encoders.patches.dictionary import Dictionary
from replearn.encoders.patches.encodings import threshold
from replearn.encoders.patches.moments import moments, slow_directions
from replearn.encoders.patches.pooling import pooled

_IMAGES = 2000  # whose codes the moments are taken of
_SHOWN = 12  # directions, and words of each


class SMT(FittedEncoder):
    """Sparse codes of patches, projected so that neighbouring patches come to lie together.

    With sparse codes f of whitened patches ("Minimalistic unsupervised learning with the sparse
    manifold transform", arXiv:2209.15261, section 2) the projection is

        min_P  E |P f(x) - P f(x')|^2     with  E[P f f^T P^T] = I,   x' a neighbour of x,

    whose rows are the leading generalised eigenvectors of the neighbours' and the codes' own
    covariance.  The projections are averaged over the cells of a grid and brought to length 1 in
    each, so that a distance compares cell by cell.

    Args:
        size: of the images.
        channels: of the images.
        words: in the dictionary.
        patch: side of the patches.
        reach: rows and columns from a patch to the last of its neighbours.
        dimensions: of the projection.
        pyramid: cells in a row of each grid.
    """

    mean: Tensor
    projection: Tensor

    def __init__(
        self,
        *,
        size: int = 64,
        channels: int = 1,
        words: int = 512,
        patch: int = 6,
        reach: int = 3,
        dimensions: int = 128,
        pyramid: tuple[int, ...] = (4,),
    ) -> None:
        super().__init__()
        self.dictionary = Dictionary(
            size=size, channels=channels, words=words, side=patch, stride=1
        )
        self.reach, self.pyramid = reach, pyramid
        self.register_buffer("mean", torch.zeros(words))
        self.register_buffer("projection", torch.zeros(words, min(dimensions, words)))

    def fit(self, images: Tensor, seed: int = 0) -> None:
        self.dictionary.fit(images, seed)
        random = torch.Generator().manual_seed(seed)
        chosen = images[torch.randperm(len(images), generator=random)[:_IMAGES]]
        places = self.dictionary.places(*images.shape[-2:])
        mean, own, beside = moments(chosen, self._codes, places, self.reach)
        self.mean.copy_(mean)
        self.projection.copy_(slow_directions(own, beside, self.projection.shape[1]))

    def _codes(self, images: Tensor) -> Tensor:
        return threshold(self.dictionary.read(images), self.dictionary.words)

    def embed(self, images: Tensor) -> Tensor:
        means = pooled(images, self.dictionary, threshold, self.pyramid)  # [N, words, cells]
        projected = (means.transpose(1, 2) - self.mean) @ self.projection  # [N, cells, dimensions]
        return F.normalize(projected.float(), dim=2).flatten(1)

    def grids(self, images: Tensor) -> dict[str, Tensor]:
        """Show the words, and in each row those that weigh most in one of the first directions."""
        columns = min(_SHOWN, len(self.projection))
        strongest = self.projection[:, :_SHOWN].T.topk(columns).indices  # [directions, columns]
        return {
            "patches": self.dictionary.picture(),
            "directions": self.dictionary.picture(columns, strongest.flatten()),
        }
