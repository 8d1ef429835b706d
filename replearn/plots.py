"""Pictures for people: sheets of images, of queries with their neighbours, and tables."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch import Tensor

from replearn.artefacts import publish

Picture = np.ndarray[Any, np.dtype[np.uint8]]


def to_pixels(images: Tensor) -> Picture:
    """Turn images float [N, C, H, W] in [-1, 1] into pixels uint8 [N, H, W, 3]."""
    scaled = ((images.float().clamp(-1, 1) + 1) * 127.5).round().byte()
    return scaled.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()


def sheet(
    images: Tensor, *, beside: Tensor | None = None, columns: int = 8, gap: int = 2
) -> Picture:
    """Lay images float [N, C, H, W] out in rows, uint8 [H, W, 3].

    Args:
        images: what to show.
        beside: as many images again, each shown to the left of its counterpart.
        columns: images in a row.
        gap: white pixels between images.
    """
    pixels = to_pixels(images)
    if beside is not None:
        pixels = np.stack([to_pixels(beside), pixels], axis=1).reshape(-1, *pixels.shape[1:])
    count, height, width, _ = pixels.shape
    rows = -(-count // columns)
    canvas = np.full(
        (rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, dtype=np.uint8
    )
    for place, image in enumerate(pixels):
        row, column = divmod(place, columns)
        top, left = gap + row * (height + gap), gap + column * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas


def write_png(path: Path, picture: Picture) -> None:
    """Write a picture uint8 [H, W, 3] as PNG, all at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _, data = cv2.imencode(".png", picture[..., ::-1])
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(data.tobytes())
    publish(temporary, path)
