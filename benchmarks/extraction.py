"""How fast preparing and extracting go beside plain ways to do so, and what memory they take.

    python -m benchmarks.extraction                         a quarter of an hour, on two cores
    python -m benchmarks.extraction --width 16 --images 20000
                                                            decoding as slow as encoding
    python -m benchmarks.extraction --device cuda           where a GPU encodes
    python -m benchmarks.extraction --flat 224000 --width 8
                                                            memory and time as images become more

Images are phantoms of 600 x 500 pixels as colour JPEG of quality 90.  `prepare` is compared with
Pillow, image by image (open, convert to grey, resize, keep), in the same number of processes, both
with all their starting and writing.  `extract` of the files is compared with decoding alone and
with encoding alone: where each has a core of its own, as where a GPU encodes, and in several
processes.  There the cores that decode also encode, and no more can be had than
1 / (1 / decoding + 1 / encoding); that share is given too.  The overhead of shards is that of
extracting a prepared set over encoding its pixels and writing one array.  From the
speeds, time and storage for very many images are computed.

All that is compared takes turns.  Prints a table and, in the last line, the same as JSON.
"""

import json
import multiprocessing
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stderr
from functools import partial
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image

from benchmarks import markdown
from benchmarks.command import run_benchmark
from benchmarks.extraction_growth import STAGES, growth, measure_growth
from benchmarks.extraction_inputs import draw_files, make_encoder
from benchmarks.time_and_memory import ratios, timed
from replearn.images.form import Form
from replearn.images.ids import Selection
from replearn.images.image_set import ImageSet
from replearn.images.opening import open_files
from replearn.images.preparation import prepare

if TYPE_CHECKING:
    from replearn.encoders.encoder import Encoder

# What needs torch is imported where it is used: the processes that are timed import this file, and
# would spend most of their time on that.

Facts = dict[str, Any]

_ENCODED = 5  # one in so many images, which takes far longer than decoding
_CORES, _FEATURES = 16, 1024  # of a machine, and numbers of an image, in the plans


# Baselines ------------------------------------------------------------------------------------


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


# Turns ----------------------------------------------------------------------------------------


def take_turns(
    methods: dict[str, Callable[[Path], int]], rounds: int, work: Path
) -> dict[str, list[float]]:
    """Let methods take turns; return the images per second of each round.

    Args:
        methods: each works in a new folder, and returns the number of images.
        rounds: turns of each.
        work: where the folders are made.
    """
    rates: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(rounds):
        for name, method in methods.items():
            with tempfile.TemporaryDirectory(dir=work) as folder, redirect_stderr(StringIO()):
                count, duration = timed(partial(method, Path(folder)))
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


# Comparisons ----------------------------------------------------------------------------------


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

    rates = take_turns(
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
    """Return the medians of the methods' images per second, and the ratios between methods."""
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


def plans(preparing: float, encoding: float, file_bytes: float, size: int) -> list[Facts]:
    """Return the time and the storage that many images would take.

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


# Command line ---------------------------------------------------------------------------------


def print_table(rows: list[Facts]) -> None:
    """Print rows of the same names as Markdown."""
    if rows:
        print(f"\n{markdown.table(list(rows[0]), (row.values() for row in rows), words=0)}", end="")


def main(
    images: Annotated[int, typer.Option(help="Files; one in five is extracted.")] = 50000,
    size: Annotated[int, typer.Option(help="They are brought to.")] = 64,
    width: Annotated[int, typer.Option(help="Of the network that encodes.")] = 64,
    jobs: Annotated[int, typer.Option(help="Processes of each method.")] = 2,
    rounds: Annotated[int, typer.Option(help="Turns of each method.")] = 3,
    flat: Annotated[int, typer.Option(help="Measure growth up to so many images instead.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "cpu",
    work: Annotated[Path | None, typer.Option(help="Where files go meanwhile.")] = None,
) -> None:
    """Time preparing and extracting; print a table and, in the last line, the same as JSON."""
    facts: Facts = {"benchmark": "extraction", "images": flat or images, "size": size}
    with tempfile.TemporaryDirectory(dir=work) as folder:
        if flat:
            facts["flat"] = measure_growth(Path(folder), flat, size, width, device)
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
