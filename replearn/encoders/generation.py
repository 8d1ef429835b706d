"""Images that a trained model makes: samples of its prior, and how well it reconstructs."""

import numpy as np
import torch
from numpy.typing import NDArray

from replearn.arrays import Pixels
from replearn.encoders.encoder import Encoder
from replearn.encoders.latent import Latent
from replearn.encoders.preprocessing import quantise_images

_BATCH = 256


def generate(encoder: Encoder, count: int, *, seed: int = 0) -> Pixels | None:
    """Return images that a model draws from its prior, or None if it draws none.

    Args:
        encoder: a trained model.
        count: how many images.
        seed: the same one gives the same images on the same device.

    Returns:
        uint8 [count, C, H, W], of the size that the networks see.
    """
    latent = Latent.of(encoder)
    codes = None if latent is None else latent.draw(count, seed)
    if latent is None or codes is None:
        return None
    side = encoder.description.crop or encoder.description.size
    made = np.empty((count, encoder.description.channels, side, side), np.uint8)
    for start in range(0, count, _BATCH):
        some = torch.from_numpy(latent.decode(codes[start : start + _BATCH]))
        made[start : start + _BATCH] = quantise_images(some).numpy().reshape(-1, *made.shape[1:])
    return made


def reconstruction_errors(encoder: Encoder, pixels: Pixels) -> NDArray[np.float32] | None:
    """Return the mean squared error of each image's reconstruction [N], in the range [-1, 1].

    None if the model does not encode and decode.

    Args:
        encoder: a trained model.
        pixels: uint8 [N, C, H, W], of the encoder's form.
    """
    latent = Latent.of(encoder)
    if latent is None or latent.codes.encode is None:
        return None
    errors = np.empty(len(pixels), np.float32)
    for start in range(0, len(pixels), _BATCH):
        some = np.asarray(pixels[start : start + _BATCH])
        codes = latent.encode(some)
        assert codes is not None
        gaps = latent.decode(codes) - latent.images(some)
        errors[start : start + _BATCH] = np.square(gaps).mean(axis=1)
    return errors
