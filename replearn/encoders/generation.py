"""Samples of a trained model, as pixels; and codes of images, for whatever looks at a generator."""

import numpy as np
import torch

from replearn.arrays import Pixels
from replearn.encoders.contract import Codes
from replearn.encoders.encoder import Encoder
from replearn.encoders.preprocessing import quantise_images

_BATCH = 256


def can_generate(encoder: Encoder) -> bool:
    """Tell whether a model draws images from a prior."""
    codes = encoder.model.codes()
    return codes is not None and codes.draw is not None


def generate(encoder: Encoder, count: int, *, seed: int = 0) -> Pixels | None:
    """Return images that a model draws from its prior, or None if it draws none.

    Args:
        encoder: a trained model.
        count: how many images.
        seed: the same one gives the same images on the same device.

    Returns:
        uint8 [count, C, H, W], of the size that the networks see.
    """
    codes = encoder.model.codes()
    if codes is None or codes.draw is None:
        return None
    description, device = encoder.description, encoder.device
    side = description.crop or description.size
    made = []
    with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.inference_mode():
        torch.manual_seed(seed)
        for start in range(0, count, _BATCH):
            many = min(_BATCH, count - start)
            shape = torch.empty(many, description.channels, side, side, device=device)
            made.append(quantise_images(_decoded(codes, shape)).cpu().numpy())
    return np.concatenate(made)


def _decoded(codes: Codes, shape: torch.Tensor) -> torch.Tensor:
    assert codes.draw is not None
    return codes.decode(codes.draw(shape))
