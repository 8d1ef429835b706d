"""Training from the first step to the last, in a folder that a killed run can go on in."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from replearn.arrays import Pixels, Vectors
from replearn.encoders.contract import FittedEncoder, Model
from replearn.encoders.encoder import save_weights
from replearn.encoders.networks.collective import rank
from replearn.encoders.sheets import fixed_images, grids_of
from replearn.encoders.training.distributed import any_after_first, any_process, of_first
from replearn.encoders.training.monitor import Monitor, NotFiniteError
from replearn.encoders.training.settings import TrainingSettings
from replearn.encoders.training.trainer import Trainer, sample, seed_all
from replearn.errors import DataError
from replearn.interrupts import noticed_interrupts

_logger = logging.getLogger(__name__)


class Probe(Protocol):
    """Scores the weights of one training, as `replearn.detection.probe.Probe` does."""

    @property
    def identity(self) -> str:
        """The identity of this probe."""
        ...

    def measure(self, embed: Callable[[Pixels], Vectors]) -> dict[str, float]:
        """Return named scores of embeddings, among them `linear`, by which weights are chosen.

        Args:
            embed: turns pixels uint8 [N, C, H, W] into embeddings float32 [N, D].
        """
        ...


def fit_encoder(model: FittedEncoder, pixels: Pixels, settings: TrainingSettings) -> None:
    """Fit on at most `fit_images` of the pixels uint8 [N, C, H, W], drawn by the seed.

    In float32, unless bfloat16 is asked for by name.
    """
    seed_all(settings.seed)
    model.eval()
    images = sample(pixels, settings)
    asked = settings.precision == "bfloat16"
    with torch.autocast(images.device.type, torch.bfloat16, enabled=asked):
        model.fit(images, settings.seed)


def fit(
    trainer: Trainer,
    folder: Path,
    identity: str,
    facts: dict[str, Any],
    *,
    resume: bool,
    probe: Probe | None = None,
) -> Model:
    """Train to the end inside `folder` and return the averaged model, at its best probe if any.

    Metrics go to `metrics.jsonl` and TensorBoard events, pictures to `sheets/`, and the state to
    `checkpoint.pt` at every interval, at the end, and on Ctrl-C or SIGTERM.  With probes the last
    averaged weights go to `last.safetensors`.  Of several processes the first one does all that.

    Raises:
        DataError: a loss is no longer finite, or the checkpoint cannot be resumed.
        KeyboardInterrupt: stopped by a signal, after saving.
    """
    checkpoint = folder / "checkpoint.pt"
    if resume and of_first(checkpoint.exists):
        if any_process(not checkpoint.exists()):
            raise DataError(f"{checkpoint}: not there for every process; share the folder")
        trainer.resume(checkpoint, identity, facts)
        if rank() == 0:
            _logger.info(f"{folder}: going on after step {trainer.step} of {trainer.steps}")
    if trainer.step == 0:
        trainer.prepare()
    with noticed_interrupts() as stopped:
        with closing(_Observer(trainer, folder, identity, facts, probe)) as observer:
            of_first(observer.open)
            _take_steps(trainer, observer, stopped)
        if any_process(stopped()):
            if rank() == 0:
                _logger.info(f"{folder}: stopped after step {trainer.step}, saved")
            raise KeyboardInterrupt
    if trainer.best is not None:
        trainer.average.load_state_dict(trainer.best["average"])
    return trainer.average


def _take_steps(trainer: Trainer, observer: "_Observer", stopped: Callable[[], bool]) -> None:
    """Train to the last step, or to the first one after which a process has to stop."""
    stop = False
    while trainer.step < trainer.steps and not stop:
        observer.begin_step()
        terms = trainer.train_step()
        # The others go on when the first has looked: they would wait for it in the next step.
        stop = any_after_first(partial(observer.end_step, terms), stopped)
    of_first(observer.finish)


class _Observer:
    """Observes the steps in the first process: draws, probes, logs and saves on the way."""

    def __init__(
        self,
        trainer: Trainer,
        folder: Path,
        identity: str,
        facts: dict[str, Any],
        probe: Probe | None,
    ) -> None:
        self.trainer = trainer
        self.folder = folder
        self.identity = identity
        self.facts = facts
        self.probe = probe
        self.saved: int | None = trainer.step or None
        self.monitor: Monitor | None = None  # where this is open

    def open(self) -> None:
        """Begin to write into the folder."""
        trainer = self.trainer
        self.shown = fixed_images(trainer.pixels, trainer.settings.crop).to(trainer.device)
        self.monitor = Monitor(self.folder, trainer)

    def close(self) -> None:
        """Write no more."""
        if self.monitor:
            self.monitor.close()

    def begin_step(self) -> None:
        """Start the clock of a step."""
        if self.monitor:
            self.monitor.begin()

    def end_step(self, terms: dict[str, Tensor]) -> None:
        """Look at a step that was done, by its terms; save if that is due."""
        assert self.monitor
        with self._explaining():
            self.monitor.add(terms)
            self._look(self.monitor)
            if self._due(self.trainer.settings.checkpoint_every):
                self._save(self.monitor)

    def finish(self) -> None:
        """Save the last step, which may be due only because a process has to stop."""
        assert self.monitor
        if self.trainer.step != self.saved:
            with self._explaining():
                self._save(self.monitor)
        if self._done and self.trainer.best is not None:
            save_weights(self.folder / "last.safetensors", self.trainer.average)

    @property
    def _done(self) -> bool:
        return self.trainer.step == self.trainer.steps

    def _due(self, every: int) -> bool:
        return self._done or self.trainer.step % every == 0

    def _look(self, monitor: Monitor) -> None:
        """Draw, probe and log, each when it is due."""
        trainer, settings = self.trainer, self.trainer.settings
        found: dict[str, float] = {}
        drawn = self._due(settings.sheet_every)
        probed = self.probe is not None and self._due(settings.probe_every)
        if drawn or probed:
            monitor.check_finite()  # of a step that went wrong there is nothing to see
        if self._done or probed:
            trainer.settle()
        if drawn:
            monitor.draw(grids_of(trainer.average, self.shown))
            found |= trainer.statistics()
        if self.probe and probed:
            scores = self.probe.measure(self._embed)
            trainer.remember(scores)
            found |= {f"probe/{name}": value for name, value in scores.items()}
        if found or self._due(settings.log_every):
            monitor.log(found)

    def _embed(self, pixels: Pixels) -> Vectors:
        """Return the averaged model's embeddings, which a probe needs to be numbers."""
        vectors = self.trainer.embed(pixels)
        if not np.isfinite(vectors).all():
            raise DataError(
                f"{self.folder}: the embeddings are not finite after step {self.trainer.step}; "
                "lower training.learning_rate and start anew"
            )
        return vectors

    def _save(self, monitor: Monitor) -> None:
        monitor.check_finite()
        self.trainer.save(self.folder / "checkpoint.pt", self.identity, self.facts)
        self.saved = self.trainer.step
        monitor.report_progress()

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except NotFiniteError as error:
            raise self._diverged(error) from None

    def _diverged(self, error: NotFiniteError) -> DataError:
        """Save the batch that did it and say what happened."""
        failed = self.folder / "failed-batch.safetensors"
        self.trainer.save_batch(failed, error.step)
        last = f"of step {self.saved} is good" if self.saved else "has still to be made"
        return DataError(
            f"{self.folder}: {error}; the batch is in {failed.name}, the checkpoint {last}; "
            "lower training.learning_rate or set training.gradient_clip, and start anew"
        )
