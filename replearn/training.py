"""The one trainer: it steps each player that an objective names, and keeps what is common.

Device, schedule, averaged weights, checkpoints and watching live here, and the only optimiser
code of the project.  All randomness of a step is a function of (seed, step), so a checkpoint
needs no generator states and a resumed run is bit-identical to an uninterrupted one.
"""

import copy
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from replearn import batches
from replearn.artefacts import publish, say
from replearn.checkpoints import differences, read_checkpoint
from replearn.encoders import device_named
from replearn.errors import DataError, UsageError
from replearn.objective import FittedEncoder, Model, Objective
from replearn.sheets import fixed_images, pictures_of
from replearn.training_settings import TrainingSettings
from replearn.watching import Watch


def seed_all(*numbers: int) -> None:
    """Make torch's randomness a function of these numbers."""
    torch.manual_seed(int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1))


def fit_encoder(model: FittedEncoder, pixels: batches.Pixels, settings: TrainingSettings) -> None:
    """Fit on at most `fit_images` of the pixels uint8 [N, C, H, W], drawn by the seed."""
    seed_all(settings.seed)
    model.eval()
    model.fit(_sample(pixels, settings))


def _sample(pixels: batches.Pixels, settings: TrainingSettings) -> Tensor:
    """Return at most `fit_images` images, drawn by the seed, in their order."""
    rows = np.random.default_rng(settings.seed).permutation(len(pixels))[: settings.fit_images]
    return batches.to_float(batches.centre_crop(pixels[np.sort(rows)], settings.crop))


class Trainer:
    """One training run in a folder: the objective, its averaged copy, optimisers and step."""

    def __init__(
        self, objective: Objective, pixels: batches.Pixels, settings: TrainingSettings
    ) -> None:
        self.device = device_named(settings.device)
        self.objective = objective.to(self.device).train()
        self.average = copy.deepcopy(self.objective).eval().requires_grad_(False)
        self.pixels = pixels
        self.settings = settings
        self.optimisers = _optimisers(self.objective, settings)
        self.batch_size = min(settings.batch_size, len(pixels))
        # Without players, as in a combination of fitted encoders, one round does nothing as well.
        self.steps = settings.length(len(pixels)) if self.optimisers else 1
        self.step = 0

    def train_step(self) -> dict[str, Tensor]:
        """Let every player of one round move and return the value of each term."""
        settings = self.settings
        seed_all(settings.seed, 2, self.step)
        images = batches.training_batch(
            self.pixels,
            self.step,
            batch_size=settings.batch_size,
            seed=settings.seed,
            crop=settings.crop,
        ).to(self.device)
        factor = settings.rate_at(self.step, self.steps)
        values: dict[str, Tensor] = {}
        for player, terms in self.objective.losses(images, self.step / self.steps):
            optimiser = self.optimisers[player]
            for group in optimiser.param_groups:
                group["lr"] = group["initial_lr"] * factor
            # Also clears what other players' losses left in this player's gradients.
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(torch.stack(list(terms.values())).sum())
            optimiser.step()
            values |= {f"{player}/{name}": term.detach() for name, term in terms.items()}
        self.step += 1
        self._update_average()
        return values

    @torch.no_grad()
    def _update_average(self) -> None:
        # A short memory at first: the initial weights must not linger in a short training.
        decay = min(self.settings.ema, self.step / (self.step + 10)) if self.settings.ema else 0.0
        pairs = zip(
            self.average.state_dict().values(), self.objective.state_dict().values(), strict=True
        )
        for average, current in pairs:
            if average.is_floating_point():
                average.lerp_(current, 1 - decay)
            else:
                average.copy_(current)

    @torch.no_grad()
    def prepare(self) -> None:
        """Let the model learn at once what it does not train; most have nothing of the kind."""
        if type(self.objective).prepare is not Objective.prepare:
            seed_all(self.settings.seed)
            self.objective.prepare(_sample(self.pixels, self.settings).to(self.device))
            self.average.load_state_dict(self.objective.state_dict())

    @torch.no_grad()
    def settle(self) -> None:
        """Let the averaged model measure what it makes of the images, if it does."""
        if type(self.objective).settle is not Objective.settle:
            self.average.settle(_sample(self.pixels, self.settings).to(self.device))

    def save(self, path: Path, identity: str, facts: dict[str, Any]) -> None:
        """Write everything that resuming needs, all at once.

        Raises:
            DataError: a weight is NaN or infinite, as an infinite gradient of a finite loss does.
        """
        for name, value in self.objective.state_dict().items():
            if not value.isfinite().all():
                raise DataError(
                    f"{path.parent}: the weight {name} is not finite at step {self.step}; the last "
                    "checkpoint is from before: lower training.learning_rate and start anew"
                )
        state = {
            "identity": identity,
            "facts": json.dumps(facts),
            "step": self.step,
            "objective": self.objective.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": {name: o.state_dict() for name, o in self.optimisers.items()},
        }
        temporary = path.with_name(f".{path.name}.tmp")
        torch.save(state, temporary)
        publish(temporary, path)

    def resume(self, path: Path, identity: str, facts: dict[str, Any]) -> None:
        """Go on from a checkpoint of the same training.

        Raises:
            DataError: the checkpoint is damaged or of another training.
        """
        state = read_checkpoint(path)
        if state["identity"] != identity:
            unlike = differences(json.loads(state["facts"]), facts)
            raise DataError(
                f"{path}: belongs to another training ({unlike}); "
                "resume with the same settings, or give --overwrite to start anew"
            )
        self.objective.load_state_dict(state["objective"])
        self.average.load_state_dict(state["average"])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        self.step = state["step"]


def fit(
    trainer: Trainer, folder: Path, identity: str, facts: dict[str, Any], *, resume: bool
) -> Model:
    """Train to the end inside `folder` and return the averaged model.

    Metrics go to `metrics.jsonl` and TensorBoard events, pictures to `sheets/`, and the state to
    `checkpoint.pt` at every interval, at the end, and on Ctrl-C or SIGTERM.

    Raises:
        DataError: a loss is no longer finite, or the checkpoint cannot be resumed.
        KeyboardInterrupt: stopped by a signal, after saving.
    """
    checkpoint = folder / "checkpoint.pt"
    if resume and checkpoint.exists():
        trainer.resume(checkpoint, identity, facts)
        say(f"{folder}: going on after step {trainer.step} of {trainer.steps}")
    if trainer.step == 0:
        trainer.prepare()
    settings = trainer.settings
    images = fixed_images(trainer.pixels, settings.crop).to(trainer.device)
    watch = Watch(folder, trainer.step, trainer.steps)
    with watch, _stop_signals() as stopped:
        while trainer.step < trainer.steps:
            watch.add(trainer.train_step(), images=trainer.batch_size)
            done = trainer.step == trainer.steps
            stop = stopped()  # asked once: what is said to be saved has to be
            if done or trainer.step % settings.log_every == 0:
                watch.log(trainer.step)
            if done:
                trainer.settle()
            if done or trainer.step % settings.sheet_every == 0:
                watch.draw(trainer.step, pictures_of(trainer.average, images))
            if done or stop or trainer.step % settings.checkpoint_every == 0:
                watch.check_finite(trainer.step)
                trainer.save(checkpoint, identity, facts)
                watch.tell(trainer.step)
            if stop and not done:
                say(f"{folder}: stopped after step {trainer.step}, saved; go on with --resume")
                raise KeyboardInterrupt
    return trainer.average


def _optimisers(
    objective: Objective, settings: TrainingSettings
) -> dict[str, torch.optim.Optimizer]:
    players = objective.players()
    rates = settings.learning_rate
    if isinstance(rates, dict) and set(rates) != set(players):
        raise UsageError(
            f"training.learning_rate: gives {', '.join(rates)}; "
            f"the players are {', '.join(players)}"
        )
    optimisers: dict[str, torch.optim.Optimizer] = {}
    for name, networks in players.items():
        parameters = [p for network in networks for p in network.parameters()]
        rate = rates[name] if isinstance(rates, dict) else rates
        optimisers[name] = torch.optim.Adam(parameters, lr=rate, betas=settings.betas)
        for group in optimisers[name].param_groups:
            group["initial_lr"] = rate
    return optimisers


@contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C and SIGTERM into a question, so that a round is never left half played."""
    received: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    try:
        before = {n: signal.signal(n, lambda number, _: received.append(number)) for n in numbers}
    except ValueError:  # not the main thread: whoever started it handles signals
        before = {}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
