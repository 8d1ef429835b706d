"""A bag of visual words: how often each kind of keypoint occurs in an image, wherever it lies.

After Sivic and Zisserman (ICCV 2003).  The keypoints are ORB (Rublee et al., ICCV 2011) or SIFT
(Lowe, IJCV 2004), the latter compared as RootSIFT (Arandjelovic and Zisserman, CVPR 2012).
"""

from typing import Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from replearn.arrays import Array
from replearn.encoders.contract import FittedEncoder
from replearn.encoders.grids import in_rows
from replearn.encoders.preprocessing import quantise_images, scale_pixels
from replearn.errors import DataError

Kind = Literal["orb", "sift"]
Normalisation = Literal["idf", "power", "max"]

_LENGTHS = {"orb": 256, "sift": 128}  # of a descriptor
_KEYPOINTS = 500  # in an image, the strongest
_IMAGES, _DESCRIPTORS = 2000, 100_000  # learned from, at most


class BoVW(FittedEncoder):
    """The normalised histogram of an image's keypoints over a vocabulary of their descriptors.

    One word more, the last, stands for "no keypoint at all" and counts 1 in such an image: no
    histogram is empty then, and images without keypoints are alike.

    Attributes:
        vocabulary: centres of clusters of descriptors [words, 256 (ORB) or 128 (SIFT)].
        idf: weight of each word, larger for a rarer one [words + 1].
    """

    on_cpu = True  # as OpenCV does, where a GPU would only be in the way of other processes

    vocabulary: Tensor
    idf: Tensor
    keypoints: Kind
    normalisation: Normalisation

    def __init__(
        self,
        *,
        size: int = 64,
        channels: int = 1,
        keypoints: Kind = "orb",
        words: int = 500,
        normalisation: Normalisation = "power",
        side: int = 256,
    ) -> None:
        super().__init__()
        self.keypoints, self.normalisation, self.side = keypoints, normalisation, side
        self.register_buffer("vocabulary", torch.zeros(words, _LENGTHS[keypoints]))
        self.register_buffer("idf", torch.ones(words + 1))

    def fit(self, images: Tensor, seed: int = 0) -> None:
        words = len(self.vocabulary)
        random = np.random.default_rng(seed)  # the vocabulary depends on images and seed only
        rows = random.permutation(len(images))[:_IMAGES].tolist()
        found = self._describe(images[rows])
        sample = np.concatenate(found)
        sample = sample[random.permutation(len(sample))[:_DESCRIPTORS]]
        if (different := len(np.unique(sample, axis=0))) < words:
            raise DataError(
                f"words {words}: the keypoints of {len(rows)} images have only {different} "
                "different descriptors; lower it or give more or larger images"
            )
        # Slow to import, and nothing that is fitted needs it.
        from sklearn.cluster import MiniBatchKMeans

        solver = MiniBatchKMeans(words, batch_size=4096, n_init=1, random_state=seed)
        self.vocabulary.copy_(torch.from_numpy(solver.fit(sample).cluster_centers_))
        self.idf.copy_(inverse_document_frequency(self._count(found)))

    def _describe(self, images: Tensor) -> list[Array]:
        return [describe(to_grey(image, self.side), self.keypoints) for image in images]

    def _count(self, found: list[Array]) -> Tensor:
        # Image by image: what is nearest must not depend on how a larger product is rounded.
        tensors = (torch.from_numpy(descriptors).to(self.idf) for descriptors in found)
        return torch.stack([histogram(each, self.vocabulary) for each in tensors])

    def embed(self, images: Tensor) -> Tensor:
        return normalise(self._count(self._describe(images)), self.idf, self.normalisation)

    def grids(self, images: Tensor) -> dict[str, Tensor]:
        """Return the images, enlarged to `side`, with their keypoints: place, size, angle."""
        drawn = [draw(to_grey(image, self.side), self.keypoints) for image in images]
        return {"keypoints": in_rows(torch.stack(drawn).to(images))}


def to_grey(image: Tensor, side: int) -> Array:
    """Return an image float [C, H, W] in [-1, 1] as uint8 [H, W], a smaller one enlarged to side.

    ORB describes patches of 31 px, of which 64 px hold few.  SIFT does with a side of 128.
    """
    pixels = quantise_images(image).permute(1, 2, 0).cpu().numpy()
    grey = cv2.cvtColor(pixels.copy(), cv2.COLOR_RGB2GRAY) if len(image) == 3 else pixels[:, :, 0]
    if len(grey) < side:
        grey = cv2.resize(grey, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(grey)


def detector(kind: Kind) -> cv2.Feature2D:
    """Return OpenCV's detector; thresholds and border suit smooth images that fill their frame."""
    orb = cv2.ORB.create(_KEYPOINTS, edgeThreshold=15, fastThreshold=10)
    return orb if kind == "orb" else cv2.SIFT.create(_KEYPOINTS, contrastThreshold=0.02)


def describe(grey: Array, kind: Kind) -> Array:
    """Return descriptors float32 [n, d] of an image uint8 [H, W], for comparison by distance.

    ORB's are 256 bits in 32 bytes.  They are unpacked: the squared distance of vectors of bits is
    the number of bits that differ; of bytes as numbers it would mean nothing.  SIFT's become
    RootSIFT, square roots of shares, whose distance is Hellinger's.
    """
    _, found = detector(kind).detectAndCompute(grey, None)
    if found is None or not len(found):
        return np.zeros((0, _LENGTHS[kind]), np.float32)
    if kind == "orb":
        return np.unpackbits(np.asarray(found, np.uint8), axis=1).astype(np.float32)
    return np.asarray(np.sqrt(found / np.maximum(found.sum(axis=1, keepdims=True), 1e-12)))


def draw(grey: Array, kind: Kind) -> Tensor:
    """Return an image uint8 [H, W] with its 40 strongest keypoints, float [3, H, W] in [-1, 1]."""
    points = sorted(detector(kind).detect(grey), key=lambda point: -point.response)[:40]
    rich = cv2.DRAW_MATCHES_FLAGS_DRAW_RICH_KEYPOINTS
    drawn = cv2.drawKeypoints(grey, points, np.dstack([grey] * 3), (255, 200, 0), rich)
    return scale_pixels(torch.from_numpy(drawn).permute(2, 0, 1))


def histogram(descriptors: Tensor, vocabulary: Tensor) -> Tensor:
    """Count the nearest words of descriptors [n, d], float [words + 1]; the last word is "none"."""
    # |x - v|^2 without |x|^2, which is the same for all words.  In half precision one descriptor
    # of twenty-five would get another word.
    with torch.autocast(vocabulary.device.type, enabled=False):
        distances = vocabulary.square().sum(1) - 2 * descriptors @ vocabulary.T
    nearest = distances.argmin(1) if len(descriptors) else torch.tensor([len(vocabulary)])
    counts = torch.bincount(nearest.to(vocabulary.device), minlength=len(vocabulary) + 1)
    return counts.to(vocabulary.dtype)


def inverse_document_frequency(counts: Tensor) -> Tensor:
    """Return log(1 + N / (1 + df)) for histograms [N, W], df the number of images with a word.

    Sivic and Zisserman's log(N / df) is zero for a word of all images, which alone would vanish.
    """
    return torch.log1p(len(counts) / (1 + (counts > 0).sum(0)))


def normalise(counts: Tensor, idf: Tensor, how: Normalisation) -> Tensor:
    """Normalise histograms [N, W], none of them empty, with the weights idf [W].

    `max` divides by the largest count; `power` takes the root of the shares, whose distance is
    Hellinger's; `idf` weights the shares and brings them to length 1 (Sivic and Zisserman).
    """
    if how == "max":
        return counts / counts.amax(1, keepdim=True)
    shares = counts / counts.sum(1, keepdim=True)
    return shares.sqrt() if how == "power" else F.normalize(shares * idf)
