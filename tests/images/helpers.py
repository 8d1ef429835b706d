"""Small images as files and in folders, and what is read of them."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from replearn.images.decoding import decode
from replearn.images.form import Fit
from replearn.images.image_set import ImageSet
from replearn.images.opening import open_images

Pixels = np.ndarray[Any, Any]


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def encoded_cv2(pixels: Pixels, suffix: str) -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


def gradient(height: int = 48, width: int = 64) -> Pixels:
    """A smooth coloured picture whose corners all differ, uint8 [H, W, 3], red green blue."""
    y, x = np.mgrid[:height, :width]
    red, green = x * 255 // (width - 1), y * 255 // (height - 1)
    return np.asarray(np.stack([red, green, (red + green) // 2], axis=-1), np.uint8)


def noise(height: int = 96, width: int = 96) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def colour(data: bytes, size: int, fit: Fit = "stretch") -> Pixels:
    return decode(data, size=size, channels=3, fit=fit).transpose(1, 2, 0)


def as_pillow(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("RGB")).astype(int)


def grey(data: bytes, size: int, fit: Fit = "stretch") -> Pixels:
    return decode(data, size=size, channels=1, fit=fit).reshape(size, size)


def write_images(folder: Path, names: list[str], size: int = 8) -> None:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (size, size), 10 + number).save(path)


def opened(source: Path, **options: Any) -> ImageSet:
    settings: dict[str, Any] = {"size": 8, "channels": 1, "fit": "stretch"}
    return open_images(source, **(settings | options))
