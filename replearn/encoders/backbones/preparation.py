"""What an image has to look like for a network, as the network's own configuration says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from replearn.errors import DataError

Mode = Literal["bilinear", "bicubic"]

_DIFFERENCE = 1e-3  # in standard deviations; rounding makes less


@dataclass(frozen=True)
class Preparation:
    """How images in [0, 1] are brought to what a network sees.

    Attributes:
        resized: side to which images are resized first.
        side: of the central crop, which the network sees.
        mean: of each colour, which is subtracted.
        std: of each colour, by which is divided.
        mode: how images are resized; what a library calls lanczos is bicubic here.
    """

    resized: int
    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    mode: Mode

    def facts(self) -> dict[str, Any]:
        """Return the settings as JSON has them."""
        return asdict(self)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "Preparation":
        """Return what `facts` were taken of."""
        colours = {name: tuple(facts[name]) for name in ("mean", "std")}
        return cls(**{**facts, **colours})

    def whole(self) -> "Preparation":
        """Return the same without the crop: images are resized to what the network sees."""
        return replace(self, resized=self.side)

    def apply(self, images: Tensor) -> Tensor:
        """Bring images [N, C, H, W] in [-1, 1] to what the network sees, [N, 3, side, side]."""
        pixels = (images + 1) / 2
        if pixels.shape[1] == 1:
            pixels = pixels.expand(-1, 3, -1, -1)
        if pixels.shape[-1] != self.resized:
            square = (self.resized, self.resized)
            pixels = F.interpolate(pixels, square, mode=self.mode, antialias=True).clamp(0, 1)
        margin = round((self.resized - self.side) / 2)
        pixels = pixels[..., margin : margin + self.side, margin : margin + self.side]
        mean, std = (
            pixels.new_tensor(values).view(1, -1, 1, 1) for values in (self.mean, self.std)
        )
        return (pixels - mean) / std

    def check(self, theirs: Callable[[Image.Image], Tensor]) -> None:
        """Refuse a network whose library does more to an image than what is known here.

        Args:
            theirs: the library's own preprocessing, to [3, side, side].

        Raises:
            DataError: what it makes of an image is not what `apply` makes of it.
        """
        side = self.resized
        pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3)).astype(np.uint8)
        expected = theirs(Image.fromarray(pixels)).float()
        image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
        found = self.apply(image.float() / 127.5 - 1)[0]
        if expected.shape != found.shape:
            raise DataError(
                f"its preprocessing gives {list(expected.shape)} where {list(found.shape)} is "
                "expected; only square colour images of one size are known"
            )
        difference = float((expected - found).abs().max())
        if difference > _DIFFERENCE:
            raise DataError(
                "its preprocessing does more than resize, crop and normalise (it differs by "
                f"{difference:.2g} standard deviations)"
            )


def preparation(
    *, resized: int, side: int, mean: Sequence[float], std: Sequence[float], mode: str
) -> Preparation:
    """Return how images are prepared from what configurations state.

    Raises:
        DataError: the network sees other than three colours, or a crop larger than the image.
    """
    if len(mean) != 3 or len(std) != 3:
        raise DataError(f"it sees {len(mean)} channels; only networks for three colours are known")
    if side > resized:
        raise DataError(f"its preprocessing crops {side} px from {resized} px")
    return Preparation(
        resized=int(resized),
        side=int(side),
        mean=tuple(map(float, mean)),
        std=tuple(map(float, std)),
        mode="bilinear" if mode == "bilinear" else "bicubic",
    )
