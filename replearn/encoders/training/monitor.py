"""Monitors a training: metrics, TensorBoard events, image grids, a progress bar."""

import json
import logging
import math
import time
from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from replearn.artefacts.files import write_text
from replearn.console import progress
from replearn.encoders.sheets import sheet, write_sheets
from replearn.encoders.training.trainer import Trainer

_logger = logging.getLogger(__name__)

_TOGETHER = 16  # steps whose terms are looked at together


class NotFiniteError(Exception):
    """A term, or the length of a player's gradient, is NaN or infinite.

    Attributes:
        step: in which it was found, from 1.
    """

    def __init__(self, step: int, values: dict[str, float]) -> None:
        """Say which of the step's values is the first that is not finite."""
        name = next(name for name, value in values.items() if not math.isfinite(value))
        lengths = ", ".join(
            f"{key.removesuffix('/gradient')} {value:.3g}"
            for key, value in values.items()
            if key.endswith("/gradient")
        )
        what = f"the {name.replace('/gradient', ' gradient')}" if "/gradient" in name else name
        super().__init__(
            f"{'the term ' * (what == name)}{what} is {values[name]} at step {step} "
            f"(lengths of the gradients: {lengths})"
        )
        self.step = step


class Monitor:
    """Writes `metrics.jsonl`, TensorBoard events and `sheets/` of one run into its folder."""

    def __init__(self, folder: Path, trainer: Trainer) -> None:
        """Begin where the trainer is; what an earlier run logged later than that is dropped."""
        self.folder = folder
        self.trainer = trainer
        self._metrics = folder / "metrics.jsonl"
        _forget_after(self._metrics, trainer.step)
        self._writer = SummaryWriter(str(folder), purge_step=trainer.step + 1)
        self._bar = progress(total=trainer.steps, initial=trainer.step, unit="step")
        self._unseen: list[tuple[int, tuple[str, ...], Tensor]] = []
        self._clear()

    def close(self) -> None:
        """Write no more events, and end the progress bar."""
        self._writer.close()
        self._bar.close()

    def _clear(self) -> None:
        self._sums: dict[tuple[str, ...], Tensor] = {}
        self._steps = 0
        self._seconds = 0.0
        self._waited = self.trainer.waited

    def begin(self) -> None:
        """Start the clock of a step: what is done between steps does not count as training."""
        self._began = time.perf_counter()

    def add(self, values: dict[str, Tensor]) -> None:
        """Add the terms of the step that was just done.

        Raises:
            NotFiniteError: a term of one of the last steps is not finite.  To look at each step
                at once would make the CPU wait for a GPU every time.
        """
        self._seconds += time.perf_counter() - self._began
        self._steps += 1
        self._bar.update()
        if not values:
            return  # there is no player
        names, row = tuple(values), torch.stack([value.float() for value in values.values()])
        # A sum for each list of terms: one addition on the device, whatever their number.
        self._sums[names] = self._sums[names] + row if names in self._sums else row
        self._unseen.append((self.trainer.step, names, row))
        if len(self._unseen) == _TOGETHER:
            self.check_finite()

    def check_finite(self) -> None:
        """Look at the terms of the steps that were added since the last look.

        Raises:
            NotFiniteError: one of them is NaN or infinite.
        """
        began = time.perf_counter()
        unseen, self._unseen = self._unseen, []
        if unseen and not bool(torch.cat([row for _, _, row in unseen]).isfinite().all()):
            for step, names, row in unseen:
                if not bool(row.isfinite().all()):
                    raise NotFiniteError(step, dict(zip(names, row.tolist(), strict=True)))
        # It is the device that was waited for, with its share of these steps.
        self._seconds += time.perf_counter() - began

    def log(self, found: dict[str, float]) -> None:
        """Write one line: what was found now, and the mean of each term since the last line.

        Raises:
            NotFiniteError: a term of one of the last steps is not finite.
        """
        self.check_finite()
        means: dict[str, float] = defaultdict(float)
        for names, row in self._sums.items():
            for name, total in zip(names, row.tolist(), strict=True):
                means[name] += total / self._steps
        means["images_per_second"] = self._steps * self.trainer.batch_size / self._seconds
        means["waiting"] = (self.trainer.waited - self._waited) / self._seconds
        step = self.trainer.step
        with self._metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **means, **found}) + "\n")
        for name, value in (means | found).items():
            self._writer.add_scalar(name, value, step)
        self._bar.set_postfix(
            {n.split("/")[-1]: f"{v:.3g}" for n, v in means.items() if not n.endswith("/gradient")}
        )
        self._clear()

    def report_progress(self) -> None:
        """Log one line where no progress bar is shown."""
        if self._bar.disable:
            _logger.info(f"{self.folder}: step {self.trainer.step} of {self.trainer.steps}")

    def draw(self, pictures: dict[str, Tensor]) -> None:
        """Write a sheet for each named grid of images."""
        step = self.trainer.step
        write_sheets(self.folder / "sheets", pictures, f"-{step:07d}")
        for name, grid in pictures.items():
            self._writer.add_image(name, sheet(grid.cpu()), step, dataformats="HWC")


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
