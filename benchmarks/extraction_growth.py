"""How time and memory of preparing and extracting grow with the number of images."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.extraction_inputs import make_encoder
from benchmarks.time_and_memory import MIB, own_memory_watched
from replearn.console import say
from replearn.images.image_set import ImageSet
from replearn.images.preparation import prepare

Facts = dict[str, Any]

STAGES = ("prepare", "extract")


def draw_table(path: Path, count: int, size: int) -> Path:
    """Write an HDF5 file of so many images of noise, in blocks; they are still to be prepared."""
    block = np.random.default_rng(0).integers(0, 256, (1000, size, size)).astype(np.uint8)
    with h5py.File(path, "w") as file:
        file["id"] = [f"image{number:09d}" for number in range(count)]
        images = file.create_dataset("images", (count, size, size), np.uint8)
        for start in range(0, count, len(block)):
            images[start : start + len(block)] = block[: count - start]
    return path


def measure_growth(work: Path, most: int, size: int, width: int, device: str) -> list[Facts]:
    """Return seconds and peak memory of both stages for a quarter, a half and all of the images."""
    from replearn.encoders.extraction import extract

    rows = []
    # A few come first: what is imported and kept by them is not due to the images.
    for count in (min(1000, most // 4), most // 4, most // 2, most):
        row: Facts = {"images": count}
        table, images = draw_table(work / "table.h5", count, size), work / "images"
        with watched(row, "prepare"):
            prepare(table, images, size=size)
        encoder = make_encoder(work / "encoder", images, width, device)
        with watched(row, "extract"):
            extract(encoder, ImageSet.load(images), work / "features")
        table.unlink()
        for folder in (images, work / "encoder", work / "features"):
            shutil.rmtree(folder)
        say(f"{row}")
        rows.append(row)
    return rows[1:]


@contextmanager
def watched(row: Facts, stage: str) -> Iterator[None]:
    """Note how long a stage takes, also for each image, and the most memory that it has."""
    start = time.perf_counter()
    with own_memory_watched() as peak, redirect_stderr(StringIO()):
        yield
    seconds = time.perf_counter() - start
    row |= {
        f"{stage} s": round(seconds, 2),
        f"{stage} us each": round(1e6 * seconds / row["images"], 1),
        f"{stage} peak MiB": round(peak()),
    }


def growth(rows: list[Facts], stage: str) -> int:
    """Return by how many bytes the peak of memory grows with each image."""
    more: float = rows[-1][f"{stage} peak MiB"] - rows[0][f"{stage} peak MiB"]
    images: int = rows[-1]["images"] - rows[0]["images"]
    return round(MIB * more / images)
