"""The codes of a trained encoder as arrays: encoded, drawn, decoded, and how sharply they act."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from replearn.arrays import Floats, Pixels, Vectors
from replearn.encoders.contract import Codes
from replearn.encoders.encoder import Encoder
from replearn.encoders.networks.jacobian import gains, singular_values
from replearn.encoders.preprocessing import centre_crop, scale_pixels

_BATCH = 256
_SMALL_STEP = 0.01


@dataclass(frozen=True)
class Latent:
    """An encoder whose codes become images.

    Attributes:
        encoder: with its device and its crop.
        codes: of its model.
    """

    encoder: Encoder
    codes: Codes

    @classmethod
    def of(cls, encoder: Encoder) -> "Latent | None":
        """Return an encoder's codes; None if its model makes no images."""
        codes = encoder.model.codes()
        return None if codes is None else cls(encoder, codes)

    def images(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return prepared pixels [N, C, H, W] as the model sees them, in [-1, 1] [N, P]."""
        return self._scaled(pixels).flatten(1).numpy()

    def encode(self, pixels: Pixels) -> Vectors | None:
        """Return the code of each image [N, Z], or None if the model has no way back."""
        if self.codes.encode is None:
            return None
        return self._in_batches(self.codes.encode, self._scaled(pixels))

    def posterior(self, pixels: Pixels) -> tuple[Vectors, Vectors] | None:
        """Return means and log variances [N, Z] of each image's codes; None if there are none."""
        posterior = self.codes.posterior
        if posterior is None:
            return None
        images = self._scaled(pixels)
        both = self._in_batches(lambda some: torch.cat(posterior(some), dim=1), images)
        half = both.shape[1] // 2
        return both[:, :half], both[:, half:]

    def draw(self, count: int, seed: int) -> Vectors | None:
        """Return draws of the prior [count, Z], or None if there is no prior."""
        if self.codes.draw is None:
            return None
        description = self.encoder.description
        side = description.crop or description.size
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(seed)
            drawn = self.codes.draw(torch.empty(count, description.channels, side, side))
        return np.asarray(drawn.numpy())

    def decode(self, codes: Floats) -> Vectors:
        """Return what codes [N, Z] are decoded to, in [-1, 1] [N, P]."""
        return self._in_batches(lambda some: self.codes.decode(some).flatten(1), _tensor(codes))

    def singular_values(self, codes: Floats) -> Vectors:
        """Return those of the decoder's Jacobian at codes [N, Z], largest first [N, min(Z, P)]."""
        found = singular_values(self.codes.decode, _tensor(codes).to(self.encoder.device))
        return np.asarray(found.detach().cpu().numpy())

    def gains(self, codes: Floats, seed: int) -> NDArray[np.float32]:
        """Return the decoder's gain at each code [N, Z] in one random direction [N]."""

        def measured(some: Tensor) -> Tensor:
            return gains(self.codes.decode, some, _SMALL_STEP)

        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return self._in_batches(measured, _tensor(codes))

    def _scaled(self, pixels: Pixels) -> Tensor:
        return scale_pixels(centre_crop(pixels, self.encoder.description.crop))

    def _in_batches(
        self, function: Callable[[Tensor], Tensor], rows: Tensor
    ) -> NDArray[np.float32]:
        def parts() -> Iterator[Tensor]:
            for start in range(0, len(rows), _BATCH):
                some = rows[start : start + _BATCH].to(self.encoder.device)
                yield function(some).float().cpu()

        with torch.inference_mode():
            return np.asarray(torch.cat(list(parts())).numpy())


def _tensor(codes: Floats) -> Tensor:
    return torch.from_numpy(codes.astype(np.float32))
