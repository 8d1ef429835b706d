"""Sheets: a model's grids of the same images with the same noise, as PNG files."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from replearn.arrays import Pixels
from replearn.artefacts.disk_rows import evenly_spaced
from replearn.artefacts.files import write_bytes
from replearn.artefacts.outputs import is_free, place_of
from replearn.encoders.contract import Model
from replearn.encoders.encoder import load_encoder
from replearn.encoders.preprocessing import centre_crop, quantise_images, scale_pixels
from replearn.errors import DataError
from replearn.ids import IdList
from replearn.images.opening import open_images


def draw_sheets(
    encoder_folder: Path,
    source: Path,
    folder: Path,
    *,
    images: Sequence[str] | None = None,
    ids: Sequence[str] | IdList | None = None,
    device: str = "auto",
    max_errors: float = 0.05,
) -> list[Path]:
    """Draw an encoder's grids of some images and return the paths of the sheets.

    Args:
        encoder_folder: of a trained encoder.
        source: whatever `replearn.images.opening.open_images` opens.
        folder: where the sheets go; it must be empty or not there.
        images: ids of the images to draw, in this order: two give an interpolation, three
            a - b + c.
        ids: without `images`, ids to draw some images of; if None, some of all are drawn.
        device: `auto`, `cpu`, `cuda`, ...
        max_errors: the largest share of the images that may be missing or unreadable.

    Raises:
        DataError: the folder is not empty, the model has no grids, or a file is not readable.
    """
    folder = place_of(folder)
    if not is_free(folder):
        raise DataError(f"{folder}: not empty; choose another place, or empty it")
    encoder = load_encoder(encoder_folder, device)
    description = encoder.description
    image_set = open_images(
        source, ids=images or ids, max_errors=max_errors, **description.form.arguments
    )
    batch = (
        scale_pixels(centre_crop(image_set.pixels[:], description.crop))
        if images
        else fixed_images(image_set.pixels, description.crop)
    )
    grids = grids_of(encoder.model, batch.to(encoder.device))
    if not grids:
        raise DataError(
            f"{encoder_folder}: the model {description.model} has no pictures to show; "
            "take another encoder"
        )
    return write_sheets(folder, grids)


def fixed_images(pixels: Pixels, crop: int | None, count: int = 32) -> Tensor:
    """Return images from all over a set of pixels uint8 [N, C, H, W], the same at every call."""
    rows = evenly_spaced(len(pixels), count)
    return scale_pixels(centre_crop(pixels[rows], crop))


def grids_of(model: Model, images: Tensor) -> dict[str, Tensor]:
    """Return the model's named grids of images, made with the same noise at every call."""
    with fixed_noise(images.device), torch.inference_mode():
        return model.grids(images)


@contextmanager
def fixed_noise(device: torch.device) -> Iterator[None]:
    """Draw the same noise every time, and leave a training's as it was."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        yield


def write_sheets(folder: Path, grids: Mapping[str, Tensor], suffix: str = "") -> list[Path]:
    """Write each grid [rows, columns, C, H, W] as `name<suffix>.png` and return the paths."""
    paths = []
    for name, grid in grids.items():
        paths.append(folder / f"{name}{suffix}.png")
        write_png(paths[-1], sheet(grid.cpu()))
    return paths


def to_rgb(images: Tensor) -> Pixels:
    """Turn images float [N, C, H, W] in [-1, 1] into pixels uint8 [N, H, W, 3]."""
    return quantise_images(images).expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()


def sheet(grid: Tensor, *, gap: int = 2) -> Pixels:
    """Lay a grid of images float [rows, columns, C, h, w] in [-1, 1] out, uint8 [H, W, 3].

    Args:
        grid: what to show.
        gap: white pixels between images.
    """
    rows, columns, _, height, width = grid.shape
    pixels = to_rgb(grid.flatten(0, 1)).reshape(rows, columns, height, width, 3)
    canvas = np.full(
        (rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, dtype=np.uint8
    )
    for row in range(rows):
        for column in range(columns):
            top, left = gap + row * (height + gap), gap + column * (width + gap)
            canvas[top : top + height, left : left + width] = pixels[row, column]
    return canvas


def write_png(path: Path, picture: Pixels) -> None:
    """Write a picture uint8 [H, W, 3] as PNG, all at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _, data = cv2.imencode(".png", picture[..., ::-1])
    write_bytes(path, data.tobytes())
