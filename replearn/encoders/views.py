"""Views of an image at extraction, whose embeddings are averaged: its crops, mirrored or not.

Ten crops are the four corners and the centre, each also mirrored (Krizhevsky et al. 2012).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from replearn.arrays import Pixels
from replearn.errors import UsageError


@dataclass(frozen=True)
class View:
    """A square that is cut out of an image.

    Attributes:
        top: how far down it lies, from 0 to 1; the centre is at 1/2.
        left: how far to the right.
        mirrored: whether it is mirrored, left to right.
    """

    top: float = 0.5
    left: float = 0.5
    mirrored: bool = False

    def of(self, pixels: Pixels, crop: int | None) -> Pixels:
        """Return the view of each image [N, C, H, W], [N, C, crop, crop]."""
        side = crop or pixels.shape[-1]
        top, left = (int((pixels.shape[-1] - side) * place) for place in (self.top, self.left))
        cut = pixels[..., top : top + side, left : left + side]
        return np.ascontiguousarray(cut[..., ::-1]) if self.mirrored else cut


CENTRE = View()
_CORNERS = [View(top, left) for top in (0.0, 1.0) for left in (0.0, 1.0)]


def views_of(count: int, *, size: int, crop: int | None, training: dict[str, Any]) -> list[View]:
    """Return as many views as wanted of those that an encoder's settings allow.

    The central crop comes first, then the corners; each is followed by its mirror image where the
    encoder learned from mirrored images.

    Args:
        count: how many.
        size: side of the prepared images.
        crop: side of the crops that the networks see, None for whole images.
        training: the settings that the encoder was trained with.

    Raises:
        UsageError: the settings allow fewer.
    """
    crops = [CENTRE, *_CORNERS] if crop is not None and crop < size else [CENTRE]
    flips = (False, True) if training.get("flip") else (False,)
    allowed = [View(view.top, view.left, flip) for view in crops for flip in flips]
    if not 1 <= count <= len(allowed):
        missing = ["training.crop has none"] * (len(crops) == 1)
        missing += ["training.flip is false"] * (len(flips) == 1)
        raise UsageError(
            f"--views {count}: this encoder's settings allow 1 to {len(allowed)}"
            + (f" ({', '.join(missing)})" if missing else "")
        )
    return allowed[:count]
