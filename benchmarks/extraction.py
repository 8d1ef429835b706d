"""How fast preparing and extracting go beside plain ways to do so, and what memory they take.

    python -m benchmarks.extraction                         a quarter of an hour, on two cores
    python -m benchmarks.extraction --width 16 --images 20000
                                                            decoding as slow as encoding
    python -m benchmarks.extraction --device cuda           where a GPU encodes
    python -m benchmarks.extraction --flat 224000 --width 8
                                                            memory and time as images become more

Images are phantoms of 600 x 500 pixels as colour JPEG of quality 90.  `prepare` is raced against
Pillow, image by image (open, convert to grey, resize, keep), in the same number of processes, both
with all their starting and writing.  `extract` of the files is compared with decoding alone and
with encoding alone: where each has a core of its own, as where a GPU encodes, and in several
processes.  There the cores that decode also encode, and no more can be had than
1 / (1 / decoding + 1 / encoding); that share is given too.  The overhead of shards is that of
extracting a prepared set over encoding its pixels and writing one array.  What these speeds mean
for very many images is planned on paper.

Contenders take turns.  Prints a table and, in the last line, the same as JSON.
"""

import json
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stderr
from functools import partial
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import cv2
import h5py
import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image

from benchmarks import markdown
from benchmarks.command import run_benchmark
from benchmarks.time_and_memory import MIB, own_memory_watched, ratios, timed
from replearn.console import say
from replearn.images.form import Form
from replearn.images.ids import Selection
from replearn.images.image_set import ImageSet
from replearn.images.opening import open_files
from replearn.images.preparation import prepare
from replearn.phantoms.rendering import render

if TYPE_CHECKING:
    from replearn.encoders.encoder import Encoder

# What needs torch is imported where it is used: the processes of a race import this file, and would
# spend most of their time on that.

Facts = dict[str, Any]

STAGES = ("prepare", "extract")
WIDTH, HEIGHT, QUALITY = 600, 500, 90
_ENCODED = 5  # one in so many images, which takes far longer than decoding
_DRAWN = 100  # different pictures; the others are copies under another name
_CORES, _FEATURES = 16, 1024  # of a machine, and numbers of an image, in the plans


# What is worked on ----------------------------------------------------------------------------


def draw_files(folder: Path, count: int) -> Path:
    """Write so many JPEG files."""
    folder.mkdir()
    for number in range(min(count, _DRAWN)):
        grey = cv2.resize(render(number, size=256, channels=1).pixels[0], (WIDTH, HEIGHT))
        path = folder / f"{number:06d}.jpg"
        Image.fromarray(grey).convert("RGB").save(path, quality=QUALITY)
    for number in range(_DRAWN, count):
        (folder / f"{number:06d}.jpg").write_bytes(
            (folder / f"{number % _DRAWN:06d}.jpg").read_bytes()
        )
    return folder


def draw_table(path: Path, count: int, size: int) -> Path:
    """Write an HDF5 file of so many images of noise, in blocks; they are still to be prepared."""
    block = np.random.default_rng(0).integers(0, 256, (1000, size, size)).astype(np.uint8)
    with h5py.File(path, "w") as file:
        file["id"] = [f"image{number:09d}" for number in range(count)]
        images = file.create_dataset("images", (count, size, size), np.uint8)
        for start in range(0, count, len(block)):
            images[start : start + len(block)] = block[: count - start]
    return path


def make_encoder(folder: Path, images: Path, width: int, device: str) -> "Encoder":
    """Return an untrained network; what it has learned changes nothing of its speed."""
    from pipelines.train import train
    from replearn.encoders.encoder import load_encoder

    folder.mkdir()
    (folder / "encoder.yaml").write_text(
        f"model: random\narguments: {{width: {width}, latent_dim: 128}}\n"
    )
    train(folder / "encoder.yaml", images, folder / "encoder")
    return load_encoder(folder / "encoder", device)


# The contenders -------------------------------------------------------------------------------


def pillow(folder: Path, out: Path, size: int, jobs: int) -> int:
    """Prepare with Pillow, image by image, in so many processes; return the number of images."""
    paths = sorted(folder.iterdir())
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context) as pool:
        strips = [paths[start : start + 256] for start in range(0, len(paths), 256)]
        parts = list(pool.map(_pillow, strips, [size] * len(strips)))
    with out.open("wb") as file:
        np.save(file, np.concatenate(parts))
    return len(paths)


def _pillow(paths: list[Path], size: int) -> NDArray[np.uint8]:
    return np.stack(
        [np.asarray(Image.open(path).convert("L").resize((size, size))) for path in paths]
    )


def encode_plainly(encoder: "Encoder", images: ImageSet, out: Path) -> int:
    """Encode pixels and write one array; return the number of images."""
    import torch

    threads = torch.get_num_threads()
    if encoder.device.type == "cpu":
        torch.set_num_threads(1)  # as extraction does
    blocks = [
        block
        for start in range(0, len(images), 2048)
        for block in encoder.embed(images.pixels[start : start + 2048])
    ]
    torch.set_num_threads(threads)
    with out.open("wb") as file:
        np.save(file, np.concatenate(blocks))
    return len(images)


# Measuring ------------------------------------------------------------------------------------


def race(
    contenders: dict[str, Callable[[Path], int]], rounds: int, work: Path
) -> dict[str, list[float]]:
    """Let contenders take turns; return the images per second of each round."""
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            with tempfile.TemporaryDirectory(dir=work) as folder, redirect_stderr(StringIO()):
                count, duration = timed(partial(contender, Path(folder)))
                rates[name].append(count / duration.seconds)
    return rates


@contextmanager
def on_cores(number: int) -> Iterator[None]:
    """Let this thread, and those that it starts, have so many cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:number])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


# What is compared -----------------------------------------------------------------------------


def measure(
    work: Path, count: int, size: int, width: int, jobs: int, rounds: int, device: str
) -> Facts:
    """Return the comparisons as facts."""
    from replearn.encoders.extraction import extract

    files = draw_files(work / "files", count)
    few = Selection([f"{number:06d}" for number in range(count // _ENCODED)])
    prepare(files, work / "set.h5", size=size, selection=few)
    images = ImageSet.load(work / "set.h5")
    encoder = make_encoder(work / "encoder", work / "set.h5", width, device)
    form = Form(size, 1, "stretch")

    def from_files(folder: Path, jobs: int = jobs) -> int:
        with open_files(files, form, few) as reader:
            return len(extract(encoder, reader, folder / "features", jobs=jobs))

    def decoding_on_one(folder: Path) -> int:
        with on_cores(1):
            return len(prepare(files, folder / "set", size=size, selection=few))

    def from_files_on_two(folder: Path) -> int:
        with on_cores(2):
            return from_files(folder, 1)

    rates = race(
        {
            "prepare": lambda folder: len(prepare(files, folder / "set", size=size, jobs=jobs)),
            "pillow": lambda folder: pillow(files, folder / "set.npy", size, jobs),
            "extract": from_files,
            "encoding alone": lambda folder: len(extract(encoder, images, folder / "f", jobs=jobs)),
            "decoding on one core": decoding_on_one,
            "extract from files on two cores": from_files_on_two,
            "extract in one process": lambda folder: len(extract(encoder, images, folder / "f")),
            "plain in one process": lambda folder: encode_plainly(
                encoder, images, folder / "f.npy"
            ),
        },
        rounds,
        work,
    )
    facts = compared(rates)
    each = {name: rate / jobs for name, rate in facts["images_per_second"].items()}
    weight = statistics.fmean(path.stat().st_size for path in files.iterdir())
    planned = plans(each["prepare"], each["encoding alone"], weight, size)
    return facts | {
        "bytes_per_file": round(weight),
        "plans": planned if encoder.device.type == "cpu" else [],
    }


def compared(rates: dict[str, list[float]]) -> Facts:
    """Return the medians of the contestants' images a second, and what they say of each other."""
    decoding, encoding = rates["prepare"], rates["encoding alone"]
    slower = [min(pair) for pair in zip(decoding, encoding, strict=True)]
    shared = [1 / (1 / d + 1 / e) for d, e in zip(decoding, encoding, strict=True)]
    one, plain = rates["extract in one process"], rates["plain in one process"]
    core_each = [min(pair) for pair in zip(rates["decoding on one core"], one, strict=True)]
    return {
        "images_per_second": {name: round(statistics.median(r), 1) for name, r in rates.items()},
        "prepare_over_pillow": ratios(decoding, rates["pillow"]),
        "extract_over_slower_core_each": ratios(
            rates["extract from files on two cores"], core_each
        ),
        "extract_over_slower": ratios(rates["extract"], slower),
        "extract_over_shared_cores": ratios(rates["extract"], shared),
        "sharded_over_plain": ratios(one, plain),
    }


def measure_flat(work: Path, most: int, size: int, width: int, device: str) -> list[Facts]:
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


def plans(preparing: float, encoding: float, file_bytes: float, size: int) -> list[Facts]:
    """Return what many images take on paper.

    Args:
        preparing: images per second and core.
        encoding: images per second and core.
        file_bytes: of an image as it comes.
        size: side of a prepared image, which is grey.
    """
    return [
        {
            "images": count,
            "machines": f"{machines} x {_CORES} cores",
            "files TB": round(count * file_bytes / 1e12, 3),
            "prepare s": round(count / (preparing * machines * _CORES)),
            "prepared GB": round(count * size**2 / 1e9, 1),
            "extract s": round(count / (encoding * machines * _CORES)),
            "features GB": round(count * 4 * _FEATURES / 1e9, 1),
            "core hours": " + ".join(f"{count / r / 3600:,.2f}" for r in (preparing, encoding)),
        }
        for count, machines in ((10**6, 1), (10**8, 16), (10**9, 64))
    ]


# Being asked ----------------------------------------------------------------------------------


def print_table(rows: list[Facts]) -> None:
    """Print rows of the same names as Markdown."""
    if rows:
        print(f"\n{markdown.table(list(rows[0]), (row.values() for row in rows), words=0)}", end="")


def main(
    images: Annotated[int, typer.Option(help="Files; one in five is extracted.")] = 50000,
    size: Annotated[int, typer.Option(help="They are brought to.")] = 64,
    width: Annotated[int, typer.Option(help="Of the network that encodes.")] = 64,
    jobs: Annotated[int, typer.Option(help="Processes of every contender.")] = 2,
    rounds: Annotated[int, typer.Option(help="Turns of every contender.")] = 3,
    flat: Annotated[int, typer.Option(help="Measure growth up to so many images instead.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "cpu",
    work: Annotated[Path | None, typer.Option(help="Where files go meanwhile.")] = None,
) -> None:
    """Race preparing and extracting; print a table and, in the last line, the same as JSON."""
    facts: Facts = {"benchmark": "extraction", "images": flat or images, "size": size}
    with tempfile.TemporaryDirectory(dir=work) as folder:
        if flat:
            facts["flat"] = measure_flat(Path(folder), flat, size, width, device)
            print_table(facts["flat"])
            facts["bytes_each"] = {stage: growth(facts["flat"], stage) for stage in STAGES}
        else:
            facts |= {"jobs": jobs, "device": device, "width": width}
            facts |= measure(Path(folder), images, size, width, jobs, rounds, device)
            speeds = facts["images_per_second"].items()
            print_table([{"": name, "images/s": round(rate)} for name, rate in speeds])
            print_table(facts["plans"])
    print(json.dumps(facts))


if __name__ == "__main__":
    run_benchmark(main)
