"""Patch features by k-means, after Coates, Ng and Lee (AISTATS 2011).

A single layer that nothing but counting and averaging has trained ("An analysis of single-layer
networks in unsupervised feature learning"): small patches are normalised and whitened, k-means
makes a dictionary of them, and an image is described by how near its patches come to each word of
the dictionary, averaged over the cells of a grid.
"""

from typing import Any

import torch
from torch import Tensor, nn

from replearn.encoders.contract import FittedEncoder
from replearn.encoders.networks.full_precision import in_full_precision
from replearn.encoders.patches.components import whitened_components
from replearn.encoders.patches.dictionary import Dictionary
from replearn.encoders.patches.encodings import ENCODINGS, EncodingName
from replearn.encoders.patches.pooling import pooled
from replearn.errors import DataError

_BATCH = 256  # images at a time while fitting
# What an encoder with one dictionary was stored under, before there were several.
_SINGLE = {"mean": "mean", "whitening": "whitening", "centroids": "words"}


class KMeans(FittedEncoder):
    """Nearness to the words of a dictionary of patches, averaged over the cells of grids.

    Coates et al. sum the activations over quadrants; the means here are the same up to a factor and
    comparable between image sizes.

    With `components` the square roots of the means are projected onto their principal components,
    whitened in part, so that no direction decides a distance.

    Args:
        size: of the images.
        channels: of the images.
        words: in the dictionary of each size of patches.
        patch: side of the patches, or several, each with a dictionary of its own.
        stride: between two patches of an image.
        encoding: how a patch is compared with the words, see `patches/encodings.py`.
        pyramid: cells in a row of each grid that the means are taken over.
        mirrored: take the mean over an image and its mirror image; not where sides mean something.
        components: numbers that are left of the means, at most, and at most half as many as images;
            None keeps the means.
        whitening: of the components, from 0 (none) to 1 (all have variance 1).
    """

    mean: Tensor
    projection: Tensor

    def __init__(
        self,
        *,
        size: int = 64,
        channels: int = 1,
        words: int = 256,
        patch: int | tuple[int, ...] = 6,
        stride: int = 1,
        encoding: EncodingName = "triangle",
        pyramid: tuple[int, ...] = (2,),
        mirrored: bool = False,
        components: int | None = None,
        whitening: float = 0.5,
    ) -> None:
        super().__init__()
        sides = (patch,) if isinstance(patch, int) else patch
        self.dictionaries = nn.ModuleList(
            Dictionary(size=size, channels=channels, words=words, side=side, stride=stride)
            for side in sides
        )
        self.encoding = encoding
        self.pyramid, self.mirrored = pyramid, mirrored
        if components:
            cells = sum(grid * grid for grid in pyramid)
            width = len(sides) * cells * words
            self.register_buffer("mean", torch.zeros(width))
            self.register_buffer("projection", torch.zeros(width, components))
        self.components, self.whitening = components, whitening

    def fit(self, images: Tensor, seed: int = 0) -> None:
        for dictionary in self._dictionaries():
            dictionary.fit(images, seed)
        if self.components:
            if len(images) < 2:
                raise DataError("components: one image has none; give more images")
            roots = self._root_means(images)
            # Of as many components as images the last ones are noise.
            count = min(self.components, len(images) // 2, roots.shape[1])
            mean, projection = whitened_components(roots, count, self.whitening, seed)
            self.mean.copy_(mean)
            self.projection = projection

    def embed(self, images: Tensor) -> Tensor:
        means = self.means(images)
        if not self.components:
            return means
        with in_full_precision(means):
            return (means.to(self.mean.dtype).sqrt() - self.mean) @ self.projection

    def means(self, images: Tensor) -> Tensor:
        """Return the mean activations [N, D] of each word in each cell."""
        means = self._means(images)
        return (means + self._means(images.flip(3))) / 2 if self.mirrored else means

    def _means(self, images: Tensor) -> Tensor:
        encode = ENCODINGS[self.encoding]
        parts = [
            pooled(images, dictionary, encode, self.pyramid).flatten(1)
            for dictionary in self._dictionaries()
        ]
        return torch.cat(parts, dim=1)

    def _root_means(self, images: Tensor) -> Tensor:
        roots = torch.empty(len(images), len(self.mean), device=images.device)
        for start in range(0, len(images), _BATCH):
            part = images[start : start + _BATCH]
            roots[start : start + len(part)] = self.means(part).sqrt()
        return roots

    def grids(self, images: Tensor) -> dict[str, Tensor]:
        return {
            "patches" if place == 0 else f"patches-{dictionary.side}": dictionary.picture()
            for place, dictionary in enumerate(self._dictionaries())
        }

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *others: Any) -> None:
        if f"{prefix}centroids" in state_dict:
            for old, new in _SINGLE.items():
                state_dict[f"{prefix}dictionaries.0.{new}"] = state_dict.pop(prefix + old)
        stored = state_dict.get(f"{prefix}projection")
        if stored is not None and len(stored) == len(self.projection):
            self.projection = self.projection.new_zeros(stored.shape)  # as many as were kept
        super()._load_from_state_dict(state_dict, prefix, *others)

    def _dictionaries(self) -> list[Dictionary]:
        return [module for module in self.dictionaries if isinstance(module, Dictionary)]
