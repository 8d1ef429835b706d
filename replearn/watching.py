"""What is seen of a running training: metrics, events, sheets of pictures, a progress bar."""

import json
import math
import time
from collections import defaultdict
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from replearn import plots
from replearn.artefacts import say, write_text
from replearn.errors import DataError
from replearn.sheets import write_sheets


class Watch:
    """Writes `metrics.jsonl`, TensorBoard events and `sheets/` of one run into its folder."""

    def __init__(self, folder: Path, step: int, steps: int) -> None:
        """Begin after `step` of `steps`; what an earlier run logged later than that is dropped."""
        self.folder = folder
        self._metrics = folder / "metrics.jsonl"
        _forget_after(self._metrics, step)
        self._writer = SummaryWriter(str(folder), purge_step=step)
        self._bar = tqdm(total=steps, initial=step, unit="step", delay=1, disable=None)
        self._steps = steps
        self._clear()

    def __enter__(self) -> "Watch":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()
        self._bar.close()

    def _clear(self) -> None:
        self._sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros(()))
        self._rounds = self._images = 0
        self._since = time.perf_counter()

    def add(self, values: dict[str, Tensor], *, images: int) -> None:
        """Add the terms of one round on this many images; nothing waits for the device."""
        for name, value in values.items():
            self._sums[name] = self._sums[name].to(value.device) + value
        self._rounds += 1
        self._images += images
        self._bar.update()

    def _means(self) -> dict[str, float]:
        return {name: float(total) / self._rounds for name, total in self._sums.items()}

    def check_finite(self, step: int) -> None:
        """Stop a training that diverged.

        Raises:
            DataError: a term since the last line of metrics is NaN or infinite.
        """
        for name, mean in self._means().items():
            if not math.isfinite(mean):
                raise DataError(
                    f"{self.folder}: the term {name} is {mean} at step {step}; the last "
                    "checkpoint is from before: lower training.learning_rate and start anew"
                )

    def log(self, step: int) -> None:
        """Write one line with the mean of each term since the last line.

        Raises:
            DataError: as `check_finite`.
        """
        self.check_finite(step)
        means = self._means()
        means["images_per_second"] = self._images / (time.perf_counter() - self._since)
        with self._metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **means}) + "\n")
        for name, value in means.items():
            self._writer.add_scalar(name, value, step)
        self._bar.set_postfix({name.split("/")[-1]: f"{v:.3g}" for name, v in means.items()})
        self._clear()

    def tell(self, step: int) -> None:
        """Print one line where there is no terminal to show the progress bar on."""
        if self._bar.disable:
            say(f"{self.folder}: step {step} of {self._steps}")

    def draw(self, step: int, pictures: dict[str, Tensor]) -> None:
        """Write a sheet for each named grid of images."""
        write_sheets(self.folder / "sheets", pictures, f"-{step:07d}")
        for name, grid in pictures.items():
            self._writer.add_image(name, plots.sheet(grid.cpu()), step, dataformats="HWC")


def _forget_after(metrics: Path, step: int) -> None:
    """Drop the lines of steps that a resumed run will do again."""
    if metrics.exists():
        lines = metrics.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if _step_of(line) <= step]
        write_text(metrics, "".join(f"{line}\n" for line in kept))


def _step_of(line: str) -> float:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError):
        return math.inf  # a line that a kill cut short
