"""Patch features by k-means, after Coates, Ng and Lee (AISTATS 2011).

A single layer that nothing but counting and averaging has trained ("An analysis of single-layer
networks in unsupervised feature learning"): small patches are normalised and whitened, k-means
makes a dictionary of them, and an image is described by how near its patches come to each word of
the dictionary, averaged over the four quadrants.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from replearn.encoders.contract import FittedEncoder
from replearn.encoders.grids import in_rows
from replearn.encoders.networks.full_precision import in_full_precision
from replearn.errors import DataError, UsageError

# Added to the variance of a patch, lest noise on a plain surface become structure.  Coates et al.
# add 10 where pixels lie in [0, 255]; in [-1, 1] they are smaller by 127.5.
_CONTRAST = 10 / 127.5**2
# Added to the eigenvalues before whitening, as Coates et al. do.  Patches have about unit variance
# by then, so this needs no conversion.
_RIDGE = 0.1

_PATCHES_PER_WORD = 400  # fitted on; Coates et al. take 250 and more
_DISTANCES = 2**20  # computed at once in `embed`, 4 MiB: about what a core has in its cache


class KMeans(FittedEncoder):
    """Nearness to the words of a dictionary of patches, averaged over quadrants.

    With z_k the distance of a whitened patch to word k, its activations are the "triangle"

        f_k = max(0, mean(z) - z_k),

    zero for all words that are farther than the average one.  Coates et al. sum them over the
    quadrants; the means here are the same up to a factor and comparable between image sizes.

    Attributes:
        mean: of the normalised patches [channels * patch * patch].
        whitening: symmetric (ZCA), multiplied to what is left [P, P].
        centroids: the words, among whitened patches [words, P].
    """

    mean: Tensor
    whitening: Tensor
    centroids: Tensor

    def __init__(
        self,
        *,
        size: int = 64,
        channels: int = 1,
        words: int = 256,
        patch: int = 6,
        stride: int = 1,
    ) -> None:
        super().__init__()
        if patch > size:
            raise UsageError(f"patch {patch}: larger than the images, {size} px; lower it")
        values = channels * patch * patch
        self.patch, self.stride = patch, stride
        self.register_buffer("mean", torch.zeros(values))
        self.register_buffer("whitening", torch.eye(values))
        self.register_buffer("centroids", torch.zeros(words, values))

    def fit(self, images: Tensor) -> None:
        words = len(self.centroids)
        patches = normalise(self._random_patches(images, _PATCHES_PER_WORD * words))
        different = len(torch.unique(patches, dim=0))
        if different < words:
            raise DataError(
                f"words {words}: {len(images)} images gave only {different} different patches; "
                "lower it or give more or larger images"
            )
        mean, whitening = zca(patches)
        self.mean.copy_(mean)
        self.whitening.copy_(whitening)
        # Slow to import, and nothing that is fitted needs it.
        from sklearn.cluster import MiniBatchKMeans

        solver = MiniBatchKMeans(words, batch_size=4096, n_init=1, random_state=0)
        solver.fit(self.whiten(patches.to(self.mean)).cpu().numpy())
        self.centroids.copy_(torch.from_numpy(solver.cluster_centers_))

    def _random_patches(self, images: Tensor, count: int) -> Tensor:
        """Return patches [count, P] from random places of random images."""
        windows = images.unfold(2, self.patch, 1).unfold(3, self.patch, 1)
        number, _, rows, columns = windows.shape[:4]
        # A generator of its own: the dictionary depends on the images only.
        random = torch.Generator().manual_seed(0)
        image, row, column = (
            torch.randint(limit, (count,), generator=random).to(images.device)
            for limit in (number, rows, columns)
        )
        return windows[image, :, row, column].flatten(1)

    def whiten(self, patches: Tensor) -> Tensor:
        """Whiten normalised patches [..., P]."""
        return (patches - self.mean) @ self.whitening

    def embed(self, images: Tensor) -> Tensor:
        rows, columns = ((side - self.patch) // self.stride + 1 for side in images.shape[-2:])
        most = max(_DISTANCES // (rows * columns * len(self.centroids)), 1)
        quadrants = _quadrants(rows, columns).to(images)
        parts = []
        for part in torch.split(images, most):
            patches = F.unfold(part, self.patch, stride=self.stride).transpose(1, 2)
            activations = triangle(self.whiten(normalise(patches)), self.centroids)
            parts.append((quadrants @ activations).transpose(1, 2).flatten(1))
        return torch.cat(parts)

    def grids(self, images: Tensor) -> dict[str, Tensor]:
        """Return the dictionary, each word between -1 and 1 and enlarged, 16 in a row."""
        scaled = self.centroids / self.centroids.abs().amax(1, keepdim=True).clamp_min(1e-12)
        patches = scaled.reshape(-1, images.shape[1], self.patch, self.patch)
        return {"patches": in_rows(F.interpolate(patches, scale_factor=8.0), columns=16)}


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


def triangle(patches: Tensor, centroids: Tensor) -> Tensor:
    """Return the activations [..., words] of whitened patches [..., P]; see `KMeans`.

    All but the product |x - c|^2 = |x|^2 - 2 x c + |c|^2 stands in place: the rest is read from and
    written to memory, which costs more than the product.
    """
    # In half precision near words could not be told from the nearest.
    with in_full_precision(patches):
        patches = patches.to(centroids.dtype)
        flat = patches.flatten(0, -2)
        lengths = flat.square().sum(1, keepdim=True)
        squares = torch.addmm(centroids.square().sum(1), flat, centroids.T, alpha=-2)
        distances = squares.add_(lengths).clamp_min_(0).sqrt_()
        means = distances.mean(1, keepdim=True)
        active = distances.neg_().add_(means).clamp_min_(0)
    return active.reshape(*patches.shape[:-1], -1)


def _quadrants(rows: int, columns: int) -> Tensor:
    """Return what averages the patches of each quadrant, [4, rows * columns].

    Of an odd number of rows or columns the middle one counts in both halves.
    """
    halves = [
        F.adaptive_avg_pool1d(torch.eye(count)[:, None], 2)[:, 0].T for count in (rows, columns)
    ]
    return torch.kron(*halves)
