"""Small images in folders, and what is read of them."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from replearn.images.decoding import decode
from replearn.images.form import Fit
from replearn.images.image_set import ImageSet
from replearn.images.opening import open_images

Pixels = np.ndarray[Any, Any]


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
