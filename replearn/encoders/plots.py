"""Pictures for people: sheets of images, of queries with their neighbours, and tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from replearn.artefacts.files import publish

Picture = np.ndarray[Any, np.dtype[np.uint8]]


def to_pixels(images: Tensor) -> Picture:
    """Turn images float [N, C, H, W] in [-1, 1] into pixels uint8 [N, H, W, 3]."""
    scaled = ((images.float().clamp(-1, 1) + 1) * 127.5).round().byte()
    return scaled.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()


def sheet(grid: Tensor, *, gap: int = 2) -> Picture:
    """Lay a grid of images float [rows, columns, C, h, w] in [-1, 1] out, uint8 [H, W, 3].

    Args:
        grid: what to show.
        gap: white pixels between images.
    """
    rows, columns, _, height, width = grid.shape
    pixels = to_pixels(grid.flatten(0, 1)).reshape(rows, columns, height, width, 3)
    canvas = np.full(
        (rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, dtype=np.uint8
    )
    for row in range(rows):
        for column in range(columns):
            top, left = gap + row * (height + gap), gap + column * (width + gap)
            canvas[top : top + height, left : left + width] = pixels[row, column]
    return canvas


def write_png(path: Path, picture: Picture) -> None:
    """Write a picture uint8 [H, W, 3] as PNG, all at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _, data = cv2.imencode(".png", picture[..., ::-1])
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(data.tobytes())
    publish(temporary, path)


def write_query_sheet(
    path: Path,
    pixels: Sequence[Sequence[Picture]],
    concepts: Sequence[Sequence[Sequence[str]]],
    titles: Sequence[Sequence[str]] | None = None,
) -> None:
    """Write rows of a query and what was found for it, each image above its concepts.

    Concepts that a hit shares with the query are in bold.

    Args:
        path: of the PNG file.
        pixels: for each query its own image and its hits, uint8 [C, H, W].
        concepts: of the same images.
        titles: to stand above them; without, they are numbered.
    """
    rows, columns = len(pixels), max(map(len, pixels))
    # Below each image is room for the lines that `_show` writes.
    figure = Figure(figsize=(1.9 * columns, 3.1 * rows))
    places = {"hspace": 0.75, "wspace": 0.12, "left": 0.02, "right": 0.98, "top": 0.97}
    grid = figure.subplots(rows, columns, squeeze=False, gridspec_kw=places)
    for axes in grid.flat:
        axes.set_axis_off()
    for row, (images, lists) in enumerate(zip(pixels, concepts, strict=True)):
        for column, (image, names) in enumerate(zip(images, lists, strict=True)):
            _show(grid[row, column], image, names, set(lists[0]) if column else set())
            numbered = f"hit {column}" if column else "query"
            title = titles[row][column] if titles else numbered
            grid[row, column].set_title("\n".join(map(_shortened, title.split("\n"))), fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    figure.savefig(temporary, format="png", dpi=110, bbox_inches="tight")
    publish(temporary, path)


def _show(axes: Axes, image: Picture, names: Sequence[str], shared: set[str]) -> None:
    axes.imshow(image.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=255)
    for line, name in enumerate(names[:5]):
        axes.text(
            0.5,
            -0.04 - 0.11 * line,
            _shortened(name),
            transform=axes.transAxes,
            ha="center",
            va="top",
            fontsize=6.5,
            color="#0b6e4f" if name in shared else "#333333",
            fontweight="bold" if name in shared else "normal",
        )


def _shortened(text: str, most: int = 28) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
