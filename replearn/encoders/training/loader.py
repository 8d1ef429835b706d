"""Loads batches onto the device ahead of the step that needs them.

A set that fits lies on the device, and a batch is one gather there.  A larger one stays where it
is, and a thread reads the coming batches while the device works.
"""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from replearn.arrays import Pixels, Rows
from replearn.artefacts.disk_rows import DiskRows
from replearn.device_memory import free_memory
from replearn.encoders.preprocessing import scale_pixels
from replearn.encoders.training.sampling import WHOLE, Views, rows_of, to_device
from replearn.encoders.training.settings import TrainingSettings
from replearn.errors import UsageError

_AHEAD = 4  # batches that wait for the device
_SHARE = 0.5  # of the device's free memory that images may take
_PART = 4096  # images that are copied there at a time


class BatchLoader:
    """The batches of a training, by their step; a process of several gets its share of each."""

    def __init__(
        self,
        pixels: Pixels,
        settings: TrainingSettings,
        device: torch.device,
        *,
        part: int = 0,
        parts: int = 1,
    ) -> None:
        """Take images uint8 [N, C, H, W] to the device if they fit there.

        Args:
            pixels: the images, maybe a memory map.
            settings: say which images make a batch, and which view of them.
            device: where batches are wanted.
            part: which share of each batch is wanted, of `parts` equal ones.
            parts: how many shares there are.

        Raises:
            UsageError: a batch cannot be shared evenly; means over the parts would weight images
                differently.
        """
        self.device = device
        self.batch_size = min(settings.batch_size, len(pixels))
        if self.batch_size % parts:
            raise UsageError(
                f"training.batch_size: {self.batch_size} images cannot be shared evenly by {parts} "
                f"processes; give a multiple of {parts}, at most {len(pixels)}"
            )
        size = self.batch_size // parts
        self._share = slice(part * size, (part + 1) * size)
        self._settings = settings
        self._pixels = pixels
        self._resident = _moved(pixels, device) if self._fits() else None
        on_disk = isinstance(pixels, (np.memmap, DiskRows))
        ahead = self._resident is None and (device.type != "cpu" or on_disk)
        self._reader = ThreadPoolExecutor(1) if ahead else None
        self._coming: deque[tuple[int, Future[Tensor]]] = deque()

    def _fits(self) -> bool:
        if self.device.type != "cuda":
            return False  # what is in memory is where it is wanted
        return self._pixels.nbytes <= _SHARE * free_memory(self.device)

    def rows(self, step: int) -> Rows:
        """Return which images make this process's share of a step's batch."""
        return self._joint_rows(step)[self._share]

    def batch(self, step: int) -> Tensor:
        """Return this process's share of a step's batch, float [n, C, H, W] in [-1, 1]."""
        return scale_pixels(self._views(step).share(self._share).of(self._pixels_of(step)))

    def joint(self, step: int) -> tuple[Rows, Tensor]:
        """Return which images make the batch of all processes, and it, in the host's memory."""
        rows = self._joint_rows(step)
        return rows, scale_pixels(self._views(step).of(self._gathered(rows)))

    def _joint_rows(self, step: int) -> Rows:
        return rows_of(
            step,
            len(self._pixels),
            batch_size=self.batch_size,
            seed=self._settings.seed,
            whole=self._pixels.nbytes <= WHOLE,
        )

    def _views(self, step: int) -> Views:
        settings = self._settings
        return Views.draw(
            self.batch_size,
            self._pixels.shape[-1],
            crop=settings.crop,
            flip=settings.flip,
            seed=settings.seed,
            step=step,
        )

    def _pixels_of(self, step: int) -> Tensor:
        if self._resident is not None:
            return self._resident[to_device(self.rows(step), self.device)]
        if self._reader is None:
            return self._read(step)
        if self._coming and self._coming[0][0] != step:
            self._coming.clear()  # somebody went back, or on from a checkpoint
        for later in range(step + len(self._coming), step + 1 + _AHEAD):
            self._coming.append((later, self._reader.submit(self._read, later)))
        return self._coming.popleft()[1].result().to(self.device, non_blocking=True)

    def _read(self, step: int) -> Tensor:
        pixels = self._gathered(self.rows(step))
        return pixels.pin_memory() if self.device.type == "cuda" else pixels

    def _gathered(self, rows: Rows) -> Tensor:
        # Rows that follow each other may be a view of the file, which torch warns not to write to.
        return torch.from_numpy(np.require(self._pixels[rows], requirements="W"))


def _moved(pixels: Pixels, device: torch.device) -> Tensor:
    """Copy images to the device in parts: the whole set may not fit into the host's memory."""
    there = torch.empty(pixels.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(pixels), _PART):
        part = np.array(pixels[start : start + _PART])
        there[start : start + _PART] = torch.from_numpy(part).to(device)
    return there
