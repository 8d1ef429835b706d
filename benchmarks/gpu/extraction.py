"""How fast features are extracted from image files, beside decoding and encoding alone."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.extraction import take_turns
from benchmarks.extraction_inputs import draw_files, make_encoder
from benchmarks.gpu.form import Form
from benchmarks.gpu.inputs import noise
from benchmarks.gpu.roofline import least_seconds, share_of
from benchmarks.gpu.rows import Row, speed
from benchmarks.turns import clocked
from replearn.artefacts.workers import cores
from replearn.encoders.encoder import Encoder
from replearn.encoders.extraction import extract
from replearn.encoders.preprocessing import scale_pixels
from replearn.images.form import Form as ImageForm
from replearn.images.ids import EVERY_IMAGE
from replearn.images.image_set import ImageSet
from replearn.images.opening import open_files
from replearn.images.preparation import prepare

_COUNTED = 256  # images, by which the work of encoding is counted


def measure_extraction(form: Form) -> Iterator[Row]:
    """Time extraction from JPEG files, `prepare` of them, and extraction of what it made.

    All start their processes and write what they make.  The work on the device is that of the
    network on each image, each operation with its inputs and outputs in memory.
    """
    count, width, size = form.choose(30_000, 60), form.choose(64, 4), form.choose(64, 16)
    jobs = form.choose(cores(), 1)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        files = draw_files(work / "files", count)
        prepare(files, work / "set.h5", size=size, jobs=jobs)
        images = ImageSet.load(work / "set.h5")
        encoder = make_encoder(work / "encoder", work / "set.h5", width, form.device)
        np.concatenate(list(encoder.embed(images.pixels[:2048])))  # the libraries are loaded

        def from_files(place: Path) -> int:
            with open_files(files, ImageForm(size, 1, "stretch"), EVERY_IMAGE) as reader:
                return len(extract(encoder, reader, place / "features", jobs=jobs))

        rates = take_turns(
            {
                "extract": from_files,
                "decoding": lambda place: len(prepare(files, place / "set", size=size, jobs=jobs)),
                "encoding": lambda place: len(extract(encoder, images, place / "f", jobs=jobs)),
            },
            form.choose(2, 1),
            work,
        )
    best = {name: max(each) for name, each in rates.items()}
    slower = min(("decoding", "encoding"), key=best.__getitem__)
    ratio = f"{best['extract'] / best[slower]:.2f} times {slower} alone, the slower of its parts"
    yield speed("extract", best["extract"], "images/s", None, f"{ratio}; {jobs} processes")
    yield speed("decoding alone", best["decoding"], "images/s", None)
    least = _least_seconds_of_an_image(encoder, size, form)
    share = share_of(least, 1 / best["encoding"])
    yield speed("encoding alone", best["encoding"], "images/s", share, "with reading and writing")
    yield _embedding(encoder, size, form, least)


def _least_seconds_of_an_image(encoder: Encoder, size: int, form: Form) -> float | None:
    images = scale_pixels(noise(_COUNTED, size)).to(form.device)
    with torch.no_grad():
        least = least_seconds(lambda: encoder.model.embed(images), form)
    return None if least is None else least / _COUNTED


def _embedding(encoder: Encoder, size: int, form: Form, least: float | None) -> Row:
    """Return the speed of embedding pixels in memory, to vectors in memory."""
    pixels = noise(form.choose(32_768, 256), size)

    def embed() -> int:
        return sum(map(len, encoder.embed(pixels)))

    embed()
    rate = max(clocked(embed, torch.device(form.device)) for _ in range(3))
    return speed("embedding in memory", rate, "images/s", share_of(least, 1 / rate))
