"""How fast preparing and extracting go beside plain ways to do so, and what memory they take.

    python -m benchmarks.extraction                         some minutes, on two cores
    python -m benchmarks.extraction --device cuda           where a GPU encodes
    python -m benchmarks.extraction --flat 224000           memory and time as images become more

Images are phantoms of 600 x 500 pixels as colour JPEG of quality 90.  `prepare` is raced against
Pillow, image by image (open, convert to grey, resize, keep), in the same number of processes, both
with all their starting and writing.  `extract` of the files is compared with decoding alone and
with encoding alone, in the same processes.  Where the cores that decode also encode, no more can be
had than 1 / (1 / decoding + 1 / encoding); that share is given too.  The overhead of shards is that
of extracting a prepared set over encoding its pixels and writing one array.

Contenders take turns.  Prints a table and, in the last line, the same as JSON.
"""

import json
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image

from replearn import hdf5
from replearn.artefacts import say
from replearn.errors import DataError, UsageError
from replearn.images import ImageSet, identity_of, open_files
from replearn.phantoms import render
from replearn.preparing import prepare
from replearn.supply import Form, image_digests

if TYPE_CHECKING:
    from replearn.encoders import Encoder

# What needs torch is imported where it is used: the processes of a race import this file, and would
# spend most of their time on that.

Facts = dict[str, Any]

WIDTH, HEIGHT, QUALITY = 600, 500, 90
_DRAWN = 100  # different pictures; the others are copies under another name


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


def draw_set(path: Path, count: int, size: int) -> Path:
    """Write an image set of so many images of noise, in blocks."""
    ids = [f"image{number:09d}" for number in range(count)]
    block = np.random.default_rng(0).integers(0, 256, (1000, 1, size, size)).astype(np.uint8)
    digests = np.tile(image_digests(block), (-(-count // 1000), 1))[:count]
    blocks = (block[: count - start] for start in range(0, count, 1000))
    identity = identity_of(ids, digests, block.shape[1:], "stretch")
    facts = {"fit": "stretch", "identity": identity}
    hdf5.write_rows(path, "pixels", blocks, ids, [], facts, {"digests": digests})
    return path


def make_encoder(folder: Path, images: Path, width: int, device: str) -> "Encoder":
    """Return an untrained network; what it has learned changes nothing of its speed."""
    from pipelines.train import train
    from replearn.encoders import load_encoder

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
                start = time.perf_counter()
                count = contender(Path(folder))
                rates[name].append(count / (time.perf_counter() - start))
    return rates


def ratio(ours: list[float], theirs: list[float]) -> Facts:
    """Return median, least and most of the ratios of the rounds."""
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return {
        "ratio": round(statistics.median(ratios), 3),
        "least": round(min(ratios), 3),
        "most": round(max(ratios), 3),
    }


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """Watch the memory of this process that is its own, not pages of files; the peak in bytes."""
    peak, stop = [_own_memory()], threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            peak[0] = max(peak[0], _own_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        stop.set()
        watcher.join()


def _own_memory() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    own = next(line for line in lines if line.startswith("RssAnon"))
    return int(own.split()[1]) * 1024


# What is compared -----------------------------------------------------------------------------


def measure(
    work: Path, count: int, size: int, width: int, jobs: int, rounds: int, device: str
) -> Facts:
    """Return the comparisons as facts."""
    from replearn.extraction import extract

    files = draw_files(work / "files", count)
    prepare(files, work / "set.h5", size=size)
    images = ImageSet.load(work / "set.h5")
    encoder = make_encoder(work / "encoder", work / "set.h5", width, device)
    form = Form(size, 1, "stretch")

    def from_files(folder: Path) -> int:
        with open_files(files, form, ids=None, ids_from="name", frames="middle") as supply:
            return len(extract(encoder, supply, folder / "features", jobs=jobs))

    rates = race(
        {
            "prepare": lambda folder: len(prepare(files, folder / "set", size=size, jobs=jobs)),
            "pillow": lambda folder: pillow(files, folder / "set.npy", size, jobs),
            "extract": from_files,
            "encoding alone": lambda folder: len(extract(encoder, images, folder / "f", jobs=jobs)),
            "extract in one process": lambda folder: len(extract(encoder, images, folder / "f")),
            "plain in one process": lambda folder: encode_plainly(
                encoder, images, folder / "f.npy"
            ),
        },
        rounds,
        work,
    )
    decoding, encoding = rates["prepare"], rates["encoding alone"]
    slower = [min(pair) for pair in zip(decoding, encoding, strict=True)]
    shared = [1 / (1 / d + 1 / e) for d, e in zip(decoding, encoding, strict=True)]
    plain = rates["plain in one process"]
    return {
        "images_per_second": {name: round(statistics.median(r), 1) for name, r in rates.items()},
        "prepare_over_pillow": ratio(decoding, rates["pillow"]),
        "extract_over_slower": ratio(rates["extract"], slower),
        "extract_over_shared_cores": ratio(rates["extract"], shared),
        "sharded_over_plain": ratio(rates["extract in one process"], plain),
    }


def measure_flat(work: Path, most: int, size: int, width: int, device: str) -> list[Facts]:
    """Return seconds and peak memory of extracting a quarter, a half and all of so many images."""
    from replearn.extraction import extract

    rows = []
    for count in (most // 4, most // 2, most):
        images = draw_set(work / f"{count}.h5", count, size)
        encoder = make_encoder(work / f"encoder-{count}", images, width, device)
        start = time.perf_counter()
        with peak_memory() as peak, redirect_stderr(StringIO()):
            extract(encoder, ImageSet.load(images), work / f"features-{count}")
        seconds = time.perf_counter() - start
        rows.append(
            {
                "images": count,
                "seconds": round(seconds, 2),
                "microseconds_each": round(1e6 * seconds / count, 1),
                "peak_mb": round(peak[0] / 1e6),
            }
        )
        say(f"{rows[-1]}")
        images.unlink()
    return rows


# Being asked ----------------------------------------------------------------------------------


def main(
    images: Annotated[int, typer.Option(help="Files that are prepared and extracted.")] = 20000,
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
            print("| images | seconds | us each | peak MB |\n|---:|---:|---:|---:|")
            for row in facts["flat"]:
                print(f"| {' | '.join(f'{value:,}' for value in row.values())} |")
        else:
            facts |= {"jobs": jobs, "device": device, "width": width}
            facts |= measure(Path(folder), images, size, width, jobs, rounds, device)
            print("| | images/s |\n|---|---:|")
            for name, rate in facts["images_per_second"].items():
                print(f"| {name} | {rate:,.0f} |")
    print(json.dumps(facts))


if __name__ == "__main__":
    try:
        typer.run(main)
    except (DataError, UsageError) as problem:
        sys.exit(f"benchmarks.extraction: {problem}")
