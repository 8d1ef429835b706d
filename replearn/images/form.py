"""The form of prepared images: size, channels, how they are fitted, what is black and white."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypedDict

from replearn.errors import UsageError

Fit = Literal["stretch", "pad"]
ValueRange = tuple[float, float]  # what is shown black, and what is shown white


def parse_range(text: str) -> ValueRange:
    """Read a range as options have it: two numbers and a comma between them.

    Raises:
        UsageError: it is something else.
    """
    try:
        black, white = map(float, text.split(","))
    except ValueError:
        raise UsageError(f"range {text!r}: two numbers, as 0,1")
    return black, white


class FormArguments(TypedDict, total=False):
    """The fields of `Form` as keyword arguments."""

    size: int
    channels: int
    fit: Fit
    bits: int | None
    value_range: ValueRange | None


@dataclass(frozen=True)
class Form:
    """The form that every image is brought to.

    Attributes:
        size: height and width in pixels.
        channels: 1 (grey) or 3 (red, green, blue).
        fit: `stretch` to the square, or keep the aspect and `pad` with black.
        bits: of samples that have more than 8, all images alike: 2^bits - 1 is white.  If None,
            each image has the bits that it uses.
        value_range: of signed and floating-point samples; without it they cannot be read.

    Raises:
        UsageError: a value that cannot be.
    """

    size: int = 64
    channels: int = 1
    fit: Fit = "stretch"
    bits: int | None = None
    value_range: ValueRange | None = None

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UsageError(f"size {self.size}: a number of pixels, at least 1")
        if self.channels not in (1, 3):
            raise UsageError(f"channels {self.channels}: 1 (grey) or 3 (colour)")
        if self.fit not in ("stretch", "pad"):
            raise UsageError(f"fit {self.fit}: stretch or pad")
        if self.bits is not None and not 8 <= self.bits <= 32:
            raise UsageError(f"bits {self.bits}: 8 to 32 bits a sample")
        if self.value_range is not None:
            black, white = self.value_range
            if not -math.inf < black < white < math.inf:
                raise UsageError(f"range {black:g},{white:g}: two numbers, the smaller one first")

    @property
    def arguments(self) -> dict[str, Any]:
        """Return what makes it again, without what is not stated."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def __str__(self) -> str:
        text = f"size {self.size}, channels {self.channels}, fit {self.fit}"
        if self.bits is not None:
            text += f", bits {self.bits}"
        if self.value_range is not None:
            text += ", range {:g},{:g}".format(*self.value_range)
        return text
