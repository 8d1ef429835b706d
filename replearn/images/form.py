"""The form of prepared images: size, channels, and how they are fitted into a square."""

from dataclasses import dataclass
from typing import Literal, TypedDict

from replearn.errors import UsageError

Fit = Literal["stretch", "pad"]


class FormArguments(TypedDict, total=False):
    """The fields of `Form` as keyword arguments."""

    size: int
    channels: int
    fit: Fit


@dataclass(frozen=True)
class Form:
    """The form that every image is brought to.

    Attributes:
        size: height and width in pixels.
        channels: 1 (grey) or 3 (red, green, blue).
        fit: `stretch` to the square, or keep the aspect and `pad` with black.

    Raises:
        UsageError: a value that cannot be.
    """

    size: int = 64
    channels: int = 1
    fit: Fit = "stretch"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UsageError(f"size {self.size}: a number of pixels, at least 1")
        if self.channels not in (1, 3):
            raise UsageError(f"channels {self.channels}: 1 (grey) or 3 (colour)")
        if self.fit not in ("stretch", "pad"):
            raise UsageError(f"fit {self.fit}: stretch or pad")

    def __str__(self) -> str:
        return f"size {self.size}, channels {self.channels}, fit {self.fit}"
