"""When the memory of the device is short: batches are halved, images and rows are streamed."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.gpu.embeddings import LIMIT, UNIT, largest_error
from benchmarks.gpu.form import Form
from benchmarks.gpu.inputs import noise
from benchmarks.gpu.rows import Row, check, each, number
from replearn.arrays import Pixels
from replearn.encoders.contract import Model
from replearn.encoders.embedding import embeddings
from replearn.encoders.models import build
from replearn.encoders.training.loader import BatchLoader
from replearn.encoders.training.settings import TrainingSettings
from replearn.encoders.training.trainer import seed_all

_MIB = 2**20
_MOST = 5  # images for which a processor is made out to have the memory


@contextmanager
def crowded(form: Form, left: int) -> Iterator[None]:
    """Leave so many bytes of a GPU's memory free; do nothing on a processor."""
    if form.device != "cuda":
        yield
        return
    # What the libraries keep for themselves is there before the rest is taken.
    torch.ones(8, 8, device=form.device).mm(torch.ones(8, 8, device=form.device))
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    taken = torch.empty(max(free - left, 0), dtype=torch.uint8, device=form.device)
    try:
        yield
    finally:
        del taken
        torch.cuda.empty_cache()


class Greedy(Model):
    """Embeds as another model does, but has no memory for more than a few images."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def embed(self, images: Tensor) -> Tensor:
        """Return the other model's embeddings [N, D].

        Raises:
            torch.OutOfMemoryError: there are more than a few images, as a GPU would raise it.
        """
        if len(images) > _MOST:
            raise torch.OutOfMemoryError(f"no memory for {len(images)} images")
        return self.model.embed(images)


def check_memory(form: Form) -> Iterator[Row]:
    """Embed where a batch does not fit, and train where the images do not."""
    checks = {"halving": _halved, "streaming": _streamed}
    yield from each(checks, lambda name: checks[name](form))


def _halved(form: Form) -> Iterator[Row]:
    seed_all(0)
    pixels = noise(form.choose(4096, 48), form.choose(64, 16))
    arguments = {"width": form.choose(64, 4)}
    model = build("random", size=pixels.shape[-1], channels=1, arguments=arguments)
    device = torch.device(form.device)
    model.to(device).eval()
    few = embeddings(model, pixels, crop=None, device=device, batch_size=form.choose(256, _MOST))
    expected = np.concatenate(list(few))
    tight = model if form.full else Greedy(model)
    with crowded(form, 512 * _MIB):
        blocks = list(embeddings(tight, pixels, crop=None, device=device, batch_size=len(pixels)))
    yield number("images at a time that fitted", len(blocks[0]), text=f"of {len(pixels)}")
    yield check("these as a share of what was asked for", len(blocks[0]) / len(pixels), 0.5)
    missing = abs(sum(map(len, blocks)) - len(pixels))
    yield check("images that were left out", missing, 0)
    yield check("halved batches", largest_error(np.concatenate(blocks), expected), LIMIT, UNIT)


def _streamed(form: Form) -> Iterator[Row]:
    size = form.choose(64, 16)
    pixels = noise(form.choose(2**16, 512), size)
    settings = TrainingSettings.model_validate({"crop": size - 8, "flip": True})
    there, known = torch.device(form.device), BatchLoader(pixels, settings, torch.device("cpu"))
    with tempfile.TemporaryDirectory() as folder, crowded(form, 384 * _MIB):
        loader = BatchLoader(_mapped(pixels, Path(folder)), settings, there)
        yield check("images that lie on the device", int(loader._resident is not None), 0)
        worst = max(
            float((loader.batch(step).cpu() - known.batch(step)).abs().max())
            for step in (0, 1, 2, 7, 8, 3)  # forwards, a leap and back
        )
        yield check("streamed batches", worst, 1e-6, "of a pixel's range")


def _mapped(pixels: Pixels, folder: Path) -> Pixels:
    """Return the pixels in a file, as those of a set that is larger than memory."""
    np.save(folder / "pixels.npy", pixels)
    mapped: Pixels = np.load(folder / "pixels.npy", mmap_mode="r")
    return mapped
