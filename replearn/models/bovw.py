"""A bag of visual words: how often an image shows each kind of keypoint, wherever it lies.

After Sivic and Zisserman (ICCV 2003, "Video Google").  The keypoints are ORB (Rublee et al., ICCV
2011) or SIFT (Lowe, IJCV 2004), the latter compared as RootSIFT (Arandjelovic and Zisserman, CVPR
2012).
"""

from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor

from replearn.errors import DataError
from replearn.objective import FittedEncoder
from replearn.pictures import in_rows

Kind = Literal["orb", "sift"]
Descriptors = NDArray[np.float32]
Grey = NDArray[np.uint8]

_LENGTHS = {"orb": 256, "sift": 128}  # of a descriptor
_KEYPOINTS = 300  # in an image, the strongest
_IMAGES = 2000  # that the vocabulary and the idf come from; more change neither
_DESCRIPTORS = 100_000  # that the vocabulary comes from


class BoVW(FittedEncoder):
    """The normalised histogram of an image's keypoints over a vocabulary of their descriptors.

    One word more, the last, stands for "no keypoint at all" and counts 1 in such an image.  No
    histogram is empty then, and images without keypoints are near to each other.

    Attributes:
        vocabulary: centres of the clusters of descriptors [words, 256 (ORB) or 128 (SIFT)].
        idf: weight of each word, larger for a rare one [words + 1].
    """

    vocabulary: Tensor
    idf: Tensor

    def __init__(
        self,
        *,
        size: int = 64,
        channels: int = 1,
        keypoints: Kind = "orb",
        words: int = 500,
        normalisation: Literal["idf", "power", "max"] = "power",
        side: int = 256,
    ) -> None:
        super().__init__()
        self.keypoints = keypoints
        self.normalisation = normalisation
        self.side = side
        self.register_buffer("vocabulary", torch.zeros(words, _LENGTHS[keypoints]))
        self.register_buffer("idf", torch.ones(words + 1))

    def fit(self, images: Tensor) -> None:
        words = len(self.vocabulary)
        random = np.random.default_rng(0)  # the vocabulary depends on the images only
        rows = random.permutation(len(images))[:_IMAGES]
        found = [self._describe(images[row]) for row in rows.tolist()]
        sample = np.concatenate(found)
        sample = sample[random.permutation(len(sample))[:_DESCRIPTORS]]
        different = len(np.unique(sample, axis=0))
        if different < words:
            raise DataError(
                f"words {words}: the keypoints of {len(rows)} images have only {different} "
                "different descriptors; lower it or give more or larger images"
            )
        solver = MiniBatchKMeans(words, batch_size=4096, n_init=1, random_state=0)
        self.vocabulary.copy_(torch.from_numpy(solver.fit(sample).cluster_centers_))
        counts = torch.stack([self._count(descriptors) for descriptors in found])
        self.idf.copy_(inverse_document_frequency(counts))

    def _describe(self, image: Tensor) -> Descriptors:
        return describe(to_grey(image, self.side), self.keypoints)

    def _count(self, descriptors: Descriptors) -> Tensor:
        return histogram(torch.from_numpy(descriptors).to(self.vocabulary), self.vocabulary)

    def embed(self, images: Tensor) -> Tensor:
        # Image by image: what is nearest must not depend on how a larger product is rounded.
        counts = torch.stack([self._count(self._describe(image)) for image in images])
        return normalise(counts, self.idf, self.normalisation)

    def pictures(self, images: Tensor) -> dict[str, Tensor]:
        """Return the images, enlarged to `side`, with their keypoints drawn: place, size, angle."""
        drawn = [draw(to_grey(image, self.side), self.keypoints) for image in images]
        return {"keypoints": in_rows(torch.stack(drawn).to(images))}


def to_grey(image: Tensor, side: int) -> Grey:
    """Return an image float [C, H, W] in [-1, 1] as uint8 [H, W], a smaller one enlarged to side.

    ORB describes a patch of 31 px and finds nothing that is nearer to the border: in an image of
    64 px that is next to nothing.
    """
    pixels = ((image.detach().clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0)
    array = np.ascontiguousarray(pixels.cpu().numpy())
    grey = cv2.cvtColor(array, cv2.COLOR_RGB2GRAY) if array.shape[2] == 3 else array[:, :, 0]
    if min(grey.shape) < side:
        grey = cv2.resize(grey, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(grey, np.uint8)


def detector(kind: Kind) -> Any:
    """Return OpenCV's detector with settings that find enough in smooth radiographs."""
    if kind == "orb":
        return cv2.ORB_create(_KEYPOINTS, fastThreshold=10)
    return cv2.SIFT_create(_KEYPOINTS, contrastThreshold=0.02)


def describe(grey: Grey, kind: Kind) -> Descriptors:
    """Return the descriptors of the keypoints of an image uint8 [H, W], float32 [n, d].

    They are to be compared by Euclidean distance.  An ORB descriptor is 256 comparisons packed
    into 32 bytes.  They are unpacked, since the squared distance of vectors of bits is the number
    of bits that differ; the bytes as numbers would make one bit count 128 times another.  A SIFT
    descriptor becomes RootSIFT: the distance of square roots is Hellinger's of the histograms.
    """
    _, found = detector(kind).detectAndCompute(grey, None)
    if found is None or not len(found):
        return np.zeros((0, _LENGTHS[kind]), np.float32)
    if kind == "orb":
        return np.unpackbits(found, axis=1).astype(np.float32)
    sums = np.maximum(found.sum(axis=1, keepdims=True), np.float32(1e-12))
    return np.sqrt(found / sums)


def draw(grey: Grey, kind: Kind) -> Tensor:
    """Return an image uint8 [H, W] with its keypoints drawn on it, float [3, H, W] in [-1, 1]."""
    points = detector(kind).detect(grey, None)
    flags = cv2.DRAW_MATCHES_FLAGS_DRAW_RICH_KEYPOINTS
    picture = cv2.drawKeypoints(grey, points, None, color=(255, 200, 0), flags=flags)
    return torch.from_numpy(picture).permute(2, 0, 1).float() / 127.5 - 1


def histogram(descriptors: Tensor, vocabulary: Tensor) -> Tensor:
    """Count the nearest words of descriptors [n, d], float [words + 1]; the last word is none."""
    words = len(vocabulary)
    if not len(descriptors):
        nearest = torch.tensor([words], device=vocabulary.device)
    else:
        # |x - v|^2 without |x|^2, which is the same for all words.
        nearest = (vocabulary.square().sum(1) - 2 * descriptors @ vocabulary.T).argmin(1)
    return torch.bincount(nearest, minlength=words + 1).to(vocabulary.dtype)


def inverse_document_frequency(counts: Tensor) -> Tensor:
    """Return log(1 + N / (1 + df)) for histograms [N, W], df the number of images with a word.

    Sivic and Zisserman's log(N / df), kept finite for a word that no image shows, and above zero
    for one that all show: a histogram of such words alone would vanish.
    """
    return torch.log1p(len(counts) / (1 + (counts > 0).sum(0)))


def normalise(counts: Tensor, idf: Tensor, how: Literal["idf", "power", "max"]) -> Tensor:
    """Normalise histograms [N, W], none of them empty.

    Args:
        counts: of each word in each image.
        idf: weight of each word [W].
        how: `max` divides by the largest count (the seed's); `power` takes the root of the
            shares, whose distances are Hellinger's; `idf` weights the shares and brings them to
            length 1 (Sivic and Zisserman).
    """
    if how == "max":
        return counts / counts.amax(1, keepdim=True)
    shares = counts / counts.sum(1, keepdim=True)
    return shares.sqrt() if how == "power" else torch.nn.functional.normalize(shares * idf)
