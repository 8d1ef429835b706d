"""Sparse coding of patches (Olshausen and Field 1996), read as in Coates and Ng (ICML 2011)."""

import torch
from torch import Tensor

from replearn.encoders.contract import FittedEncoder
from replearn.encoders.patches.dictionary import Dictionary
from replearn.encoders.patches.pooling import cell_means, pooled
from replearn.encoders.patches.sparse_codes import curvature_of, sparse_codes

_PATCHES_PER_WORD = 400  # the words are learned from


class SparseCoding(FittedEncoder):
    """How much of each word of a dictionary the patches of an image hold, averaged over quadrants.

    Words W and codes a of whitened patches x are learned together,

        min_W,a  sum |x - a W|^2 / 2  +  penalty |a|_1,     |w_k| <= 1,

    by scikit-learn's dictionary learning.  Positive and negative parts of a code count apart.

    Args:
        size: of the images.
        channels: of the images.
        words: in the dictionary.
        patch: side of the patches.
        stride: between two patches of an image.
        penalty: larger ones make fewer words active.
        steps: towards each code.
        pyramid: cells in a row of each grid that the means are taken over.
    """

    curvature: Tensor

    def __init__(
        self,
        *,
        size: int = 64,
        channels: int = 1,
        words: int = 256,
        patch: int = 6,
        stride: int = 2,
        penalty: float = 1.0,
        steps: int = 20,
        pyramid: tuple[int, ...] = (2,),
    ) -> None:
        super().__init__()
        self.dictionary = Dictionary(
            size=size, channels=channels, words=words, side=patch, stride=stride
        )
        self.register_buffer("curvature", torch.ones(()))
        self.penalty, self.steps, self.pyramid = penalty, steps, pyramid

    def fit(self, images: Tensor, seed: int = 0) -> None:
        dictionary = self.dictionary
        patches = dictionary.fit_whitening(images, _PATCHES_PER_WORD * len(dictionary.words), seed)
        # Slow to import, and nothing that is fitted needs it.
        from sklearn.decomposition import MiniBatchDictionaryLearning

        solver = MiniBatchDictionaryLearning(
            len(dictionary.words),
            alpha=self.penalty,
            batch_size=1024,
            max_iter=10,
            fit_algorithm="cd",
            random_state=seed,
        )
        solver.fit(patches.double().cpu().numpy())  # in single precision it would not converge
        dictionary.words.copy_(torch.from_numpy(solver.components_))
        self.curvature.copy_(curvature_of(dictionary.words))

    def embed(self, images: Tensor) -> Tensor:
        places = self.dictionary.places(*images.shape[-2:])
        cells = cell_means(*places, self.pyramid).to(images)
        return pooled(images, self.dictionary, self._encode, cells)

    def _encode(self, patches: Tensor, words: Tensor) -> Tensor:
        codes = sparse_codes(patches, words, self.curvature, self.penalty, self.steps)
        return torch.cat([codes.clamp_min(0), codes.neg().clamp_min(0)], dim=-1)

    def grids(self, images: Tensor) -> dict[str, Tensor]:
        return {"patches": self.dictionary.picture()}
