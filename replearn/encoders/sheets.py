"""Sheets: what a model makes of the same images with the same noise, as PNG files."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from replearn.artefacts.disk_rows import all_over
from replearn.encoders import plots
from replearn.encoders.contract import Model
from replearn.encoders.preprocessing import Pixels, centre_crop, to_float


def fixed_images(pixels: Pixels, crop: int | None, count: int = 32) -> Tensor:
    """Return images from all over a set of pixels uint8 [N, C, H, W], the same at every call."""
    rows = all_over(len(pixels), count)
    return to_float(centre_crop(pixels[rows], crop))


def pictures_of(model: Model, images: Tensor) -> dict[str, Tensor]:
    """Return the model's named grids of images, made with the same noise at every call."""
    with noise_of_its_own(images.device), torch.inference_mode():
        return model.pictures(images)


@contextmanager
def noise_of_its_own(device: torch.device) -> Iterator[None]:
    """Draw the same noise every time, and leave a training's as it was."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        yield


def write_sheets(folder: Path, grids: Mapping[str, Tensor], suffix: str = "") -> list[Path]:
    """Write each grid [rows, columns, C, H, W] as `name<suffix>.png` and return the paths."""
    paths = []
    for name, grid in grids.items():
        paths.append(folder / f"{name}{suffix}.png")
        plots.write_png(paths[-1], plots.sheet(grid.cpu()))
    return paths
