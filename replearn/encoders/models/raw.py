"""The pixels themselves: the baseline that shows what a representation adds."""

from torch import Tensor

from replearn.encoders.contract import FittedEncoder


class Raw(FittedEncoder):
    """All pixels of an image, in order; there is nothing to learn."""

    def __init__(self, *, size: int = 64, channels: int = 1) -> None:
        super().__init__()

    def fit(self, images: Tensor, seed: int = 0) -> None:
        pass

    def embed(self, images: Tensor) -> Tensor:
        return images.flatten(1)
