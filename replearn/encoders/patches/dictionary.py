"""A dictionary of patches: how they are whitened, and the words that they are compared with."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from replearn.encoders.grids import in_rows
from replearn.encoders.networks.full_precision import in_full_precision
from replearn.encoders.patches.sampling import random_patches
from replearn.encoders.patches.whitening import normalise, zca
from replearn.errors import DataError, UsageError

_PATCHES_PER_WORD = 400  # fitted on; Coates et al. take 250 and more
_MOST_PATCHES = 409_600


class Dictionary(nn.Module):
    """Words among the whitened patches of one size.

    Attributes:
        side: of a patch, in pixels.
        stride: between two patches of an image.
        mean: of the normalised patches [P], P = channels * side * side.
        whitening: symmetric (ZCA), multiplied to what is left [P, P].
        words: float [K, P].
    """

    mean: Tensor
    whitening: Tensor
    words: Tensor

    def __init__(self, *, size: int, channels: int, words: int, side: int, stride: int) -> None:
        super().__init__()
        if side > size:
            raise UsageError(f"patch {side}: larger than the images, {size} px; lower it")
        values = channels * side * side
        self.side, self.stride = side, stride
        self.register_buffer("mean", torch.zeros(values))
        self.register_buffer("whitening", torch.eye(values))
        self.register_buffer("words", torch.zeros(words, values))

    def fit(self, images: Tensor, seed: int) -> None:
        """Learn whitening and words, the centres of clusters, from images float [N, C, H, W].

        The seed draws the patches and starts the clusters.

        Raises:
            DataError: there are fewer different patches than words.
        """
        count = len(self.words)
        drawn = min(_PATCHES_PER_WORD * count, _MOST_PATCHES)
        # A generator of its own: the words depend on images and seed only.
        random = torch.Generator().manual_seed(seed)
        patches = normalise(random_patches(images, self.side, drawn, random))
        different = len(torch.unique(patches, dim=0))
        if different < count:
            raise DataError(
                f"words {count}: {len(images)} images gave only {different} different patches; "
                "lower it or give more or larger images"
            )
        mean, whitening = zca(patches)
        self.mean.copy_(mean)
        self.whitening.copy_(whitening)
        with in_full_precision(patches):
            white = self.whiten(patches.to(self.mean))
        self.words.copy_(centres(white, count, seed))

    def whiten(self, patches: Tensor) -> Tensor:
        """Whiten normalised patches [..., P]."""
        return (patches - self.mean) @ self.whitening

    def places(self, height: int, width: int) -> tuple[int, int]:
        """Return how many patches an image has below and beside one another."""
        return (height - self.side) // self.stride + 1, (width - self.side) // self.stride + 1

    def read(self, images: Tensor) -> Tensor:
        """Return the whitened patches [N, places, P] of images [N, C, H, W], row by row."""
        patches = F.unfold(images, self.side, stride=self.stride).transpose(1, 2)
        return self.whiten(normalise(patches))

    def picture(self, columns: int = 16, chosen: Tensor | None = None) -> Tensor:
        """Return the words, or those chosen by number, as a grid: each in [-1, 1] and enlarged."""
        words = self.words if chosen is None else self.words[chosen]
        scaled = words / words.abs().amax(1, keepdim=True).clamp_min(1e-12)
        patches = scaled.reshape(len(scaled), -1, self.side, self.side)
        return in_rows(F.interpolate(patches, scale_factor=8.0), columns=columns)


def centres(patches: Tensor, count: int, seed: int) -> Tensor:
    """Return the centres [count, P] of clusters of patches [N, P] by k-means."""
    # Slow to import, and nothing that is fitted needs it.
    from sklearn.cluster import MiniBatchKMeans

    solver = MiniBatchKMeans(count, batch_size=4096, n_init=1, random_state=seed)
    solver.fit(patches.cpu().numpy())
    return torch.from_numpy(solver.cluster_centers_)
