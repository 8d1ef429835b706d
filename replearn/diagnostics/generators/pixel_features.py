"""Features that nobody trained: principal components of the pixels of real images.

They tell samples from real images by their coarse shape, without an encoder that was trained for
another purpose, or together with the very generator that is judged.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Pixels, Vectors

_COMPONENTS = 64
_SIDE = 64  # pixels, to which larger images are reduced


class PixelFeatures:
    """The principal components of images, found on real ones; called, it makes features."""

    def __init__(self, pixels: Pixels) -> None:
        """Find the components of real images uint8 [N, C, H, W]."""
        from sklearn.decomposition import PCA

        rows = _rows(pixels)
        count = min(_COMPONENTS, *rows.shape)
        self._projection = PCA(count, svd_solver="randomized", random_state=0).fit(rows)

    def __call__(self, pixels: Pixels) -> Vectors:
        """Return the features float32 [N, D] of images uint8 [N, C, H, W] of the same size."""
        return np.asarray(self._projection.transform(_rows(pixels)), np.float32)


def _rows(pixels: Pixels) -> NDArray[np.float32]:
    if pixels.shape[-1] > _SIDE:
        pixels = np.array(
            [
                cv2.resize(image.transpose(1, 2, 0), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
                for image in pixels
            ],
            np.uint8,
        )
    return pixels.reshape(len(pixels), -1).astype(np.float32) / np.float32(255)
