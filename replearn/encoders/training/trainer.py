"""The one trainer: it steps each player that an objective names, and keeps what is common.

Device, precision, schedule, averaged weights, several processes and what a checkpoint holds are
here, and the only optimiser code of the project.  All randomness of a step is a function of
(seed, step), so a checkpoint needs no generator states and a resumed run is bit-identical to an
uninterrupted one.
"""

import copy
import json
import time
from collections.abc import Iterator
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from replearn.arrays import Pixels, Vectors
from replearn.artefacts.files import replacing, write_bytes
from replearn.encoders.contract import Objective, TaughtObjective, Trained
from replearn.encoders.embedding import embeddings, find_device
from replearn.encoders.losses.adversarial import adversaries_of
from replearn.encoders.networks.collective import join_batch_norms, rank, world_size
from replearn.encoders.preprocessing import centre_crop, scale_pixels
from replearn.encoders.sheets import fixed_images, fixed_noise
from replearn.encoders.training import acceleration
from replearn.encoders.training.checkpoint import checkpoint_of
from replearn.encoders.training.distributed import average_gradients, average_terms, broadcast_state
from replearn.encoders.training.loader import BatchLoader
from replearn.encoders.training.settings import TrainingSettings
from replearn.errors import DataError, UsageError, brief

_STATISTICS = 512  # images whose codes are compared with the prior

Update = tuple[str, dict[str, Tensor]]
_Sides = tuple[list[Tensor], list[Tensor]]


def sum_of(terms: dict[str, Tensor]) -> Tensor:
    """Return what a player minimises; a term without a gradient is only watched."""
    return torch.stack([term for term in terms.values() if term.requires_grad]).sum()


def seed_all(*numbers: int, device: torch.device | None = None) -> None:
    """Make the randomness of the CPU, and of a device, a function of these numbers."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
    # `torch.manual_seed` would also note, with its caller's stack, what each kind of device that
    # is not in use shall do once it is: a millisecond at every step.
    torch.default_generator.manual_seed(seed)
    if device is not None and device.type != "cpu":
        module = torch.get_device_module(device)
        getattr(module, "manual_seed_all", module.manual_seed)(seed)


def sample(pixels: Pixels, settings: TrainingSettings) -> Tensor:
    """Return at most `fit_images` images, drawn by the seed, in their order."""
    rows = np.random.default_rng(settings.seed).permutation(len(pixels))[: settings.fit_images]
    return scale_pixels(centre_crop(pixels[np.sort(rows)], settings.crop))


class Trainer:
    """One training run: the objective, its averaged copy, the optimisers and the step.

    Attributes:
        step: how many are done, of `steps`.
        average: the averaged weights, in evaluation mode.
        best: state of `average` at the best probe, with its step and scores; None without probes.
        waited: seconds in which no batch was there.
    """

    def __init__(
        self,
        objective: Objective | TaughtObjective,
        pixels: Pixels,
        settings: TrainingSettings,
        targets: Vectors | None = None,
    ) -> None:
        """Take an objective to its device.

        Args:
            objective: what is trained.
            pixels: the images uint8 [N, C, H, W], maybe a memory map.
            settings: of the training.
            targets: what a taught objective sees beside each image, float [N, D].
        """
        self.device = find_device(settings.device)
        for adversary in adversaries_of(objective):
            adversary.check_stabilised()
        acceleration.set_up(settings, self.device)
        # Convolutions are faster where the channels of a pixel lie side by side.
        objective.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.objective = objective.to(self.device).train()
        self.average = copy.deepcopy(self.objective).eval().requires_grad_(False)
        join_batch_norms(self.objective)
        self.pixels = pixels
        self.targets = targets
        self.settings = settings
        self.precision = acceleration.precision_of(settings, self.device)
        self.loader = BatchLoader(pixels, settings, self.device, part=rank(), parts=world_size())
        self.batch_size = self.loader.batch_size
        self.optimisers = _optimisers(self.objective, settings)
        # Without players, as in a combination of fitted encoders, one step does nothing as well.
        self.steps = settings.length(len(pixels)) if self.optimisers else 1
        self.step = 0
        self.best: dict[str, Any] | None = None
        self.waited = 0.0
        if settings.compile:
            acceleration.compile_layers(self.objective)

    def train_step(self) -> dict[str, Tensor]:
        """Do one step; return each term of the joint batch, averaged over a player's updates."""
        settings = self.settings
        # The first process draws what one alone would draw, the others each something else.
        own = [rank()] * (rank() > 0)
        seed_all(settings.seed, 2, self.step, *own, device=self.device)
        factor = settings.rate_at(self.step, self.steps)
        updates: dict[str, list[Tensor]] = {}
        for player, terms in self._updates(self._images()):
            optimiser = self.optimisers[player]
            for group in optimiser.param_groups:
                group["lr"] = group["initial_lr"] * factor
            parameters = [p for group in optimiser.param_groups for p in group["params"]]
            optimiser.zero_grad(set_to_none=True)
            # What the networks of the others would learn from this is not worked out.
            learning = [p for p in parameters if p.requires_grad]
            torch.autograd.backward(sum_of(terms), inputs=learning)
            norm = self._gradient(parameters)
            optimiser.step()
            for name, value in {**terms, "gradient": norm}.items():
                updates.setdefault(f"{player}/{name}", []).append(value.detach())
        self.step += 1
        self._update_average()
        return average_terms({name: _mean(each) for name, each in updates.items()})

    def _images(self) -> Tensor:
        began = time.perf_counter()
        images = self.loader.batch(self.step)
        self.waited += time.perf_counter() - began
        return images.to(self._dtype(), memory_format=torch.channels_last)

    def _sample(self) -> Tensor:
        return sample(self.pixels, self.settings).to(self.device, self._dtype())

    def _dtype(self) -> torch.dtype:
        kinds = (p.dtype for p in self.objective.parameters() if p.is_floating_point())
        return next(kinds, torch.float32)

    def _updates(self, images: Tensor) -> Iterator[Update]:
        """Yield the updates of a step, their terms computed in the precision of the settings."""
        losses = self._losses(images, self.step / self.steps)
        while True:
            # Closed while the generator waits: the backward must not run under autocast.
            with self._autocast():
                update = next(losses, None)
            if update is None:
                return
            yield update

    def _losses(self, images: Tensor, progress: float) -> Iterator[Update]:
        if isinstance(self.objective, Objective):
            return self.objective.losses(images, progress)
        assert self.targets is not None
        rows = np.asarray(self.targets[self.loader.rows(self.step)], np.float32)
        targets = torch.from_numpy(rows).to(self.device, images.dtype, non_blocking=True)
        return self.objective.losses(images, targets, progress)

    def _autocast(self) -> Any:
        if self.precision == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.precision)

    def _gradient(self, parameters: list[nn.Parameter]) -> Tensor:
        """Average the gradient over all processes, shorten it if asked; return its length."""
        average_gradients(parameters)
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if self.settings.gradient_clip:
            nn.utils.clip_grads_with_norm_(parameters, self.settings.gradient_clip, norm)
        return norm

    @torch.no_grad()
    def _update_average(self) -> None:
        # A short memory at first: the initial weights must not linger in a short training.
        decay = min(self.settings.ema, self.step / (self.step + 10)) if self.settings.ema else 0.0
        (average, current), (counted, counts) = self._state
        if average:
            torch._foreach_lerp_(average, current, 1 - decay)
        if counted:
            torch._foreach_copy_(counted, counts)

    @cached_property
    def _state(self) -> tuple[_Sides, _Sides]:
        """Averaged and current tensors, of floating numbers and of others.

        From the first step on they stay the same objects; to gather them each time is slower than
        to average them.
        """
        average, current = self.average.state_dict(), self.objective.state_dict()
        floating = [name for name, value in average.items() if value.is_floating_point()]
        others = [name for name in average if name not in floating]

        def sides(names: list[str]) -> _Sides:
            return [average[name] for name in names], [current[name] for name in names]

        return sides(floating), sides(others)

    @torch.no_grad()
    def prepare(self) -> None:
        """Let the model learn at once what it does not train; most have nothing of the kind."""
        if type(self.objective).prepare is not Trained.prepare:
            seed_all(self.settings.seed, device=self.device)
            # The averaged copy, whose batch normalisation is not joined: each process sees it all.
            self.average.prepare(self._sample())
            broadcast_state(self.average)
            self.objective.load_state_dict(self.average.state_dict())

    @torch.no_grad()
    def settle(self) -> None:
        """Let the averaged model measure what it makes of the images, if it does."""
        if type(self.objective).settle is not Trained.settle:
            self.average.settle(self._sample())

    @torch.no_grad()
    def statistics(self) -> dict[str, float]:
        """Return what the averaged model's codes are like, if it has a prior for them."""
        shown = fixed_images(self.pixels, self.settings.crop, _STATISTICS).to(self.device)
        with fixed_noise(self.device):
            return {name: float(value) for name, value in self.average.statistics(shown).items()}

    def embed(self, pixels: Pixels) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return the averaged model's embeddings float32 [N, D] of pixels uint8 [N, C, H, W]."""
        parts = embeddings(self.average, pixels, crop=self.settings.crop, device=self.device)
        return np.concatenate(list(parts))

    def start_from(self, state: dict[str, Tensor], name: str) -> None:
        """Begin with the weights of another encoder of this name.

        Raises:
            DataError: they are of other networks.
        """
        try:
            self.objective.load_state_dict(state)
        except RuntimeError as error:
            brief = str(error).partition("\n")[2].splitlines()[0].strip()[:100]
            raise DataError(
                f"{name}: of other networks ({brief}); begin with an encoder of the same model and "
                "arguments"
            ) from None
        self.average.load_state_dict(state)

    def remember(self, scores: dict[str, float]) -> None:
        """Keep the averaged model if no earlier one had a better linear probe."""
        if self.best is None or scores["linear"] >= self.best["scores"]["linear"]:
            state = {name: value.clone() for name, value in self.average.state_dict().items()}
            self.best = {"step": self.step, "scores": scores, "average": state}

    def save(self, path: Path, identity: str, facts: dict[str, Any]) -> None:
        """Write everything that resuming needs, all at once.

        Raises:
            DataError: a weight is NaN or infinite, as an infinite gradient of a finite loss makes.
        """
        for name, value in self.objective.state_dict().items():
            if not value.isfinite().all():
                raise DataError(
                    f"{path.parent}: the weight {name} is not finite after step {self.step}; the "
                    "last checkpoint is from before: lower training.learning_rate and start anew"
                )
        state = {
            "identity": identity,
            "facts": json.dumps(facts),
            "step": self.step,
            "objective": self.objective.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": {name: o.state_dict() for name, o in self.optimisers.items()},
            "best": self.best,
        }
        with replacing(path) as temporary:
            _save(state, temporary)

    def save_batch(self, path: Path, step: int) -> None:
        """Write the joint batch of a step (1 is the first) and its rows in the training set."""
        rows, images = self.loader.joint(step - 1)
        content = {"images": images.contiguous(), "rows": torch.from_numpy(rows)}
        write_bytes(path, safetensors.torch.save(content))

    def resume(self, path: Path, identity: str, facts: dict[str, Any]) -> None:
        """Go on from a checkpoint of the same training.

        Raises:
            DataError: the checkpoint is damaged or of another training.
        """
        state = checkpoint_of(path, identity, facts)
        self.objective.load_state_dict(state["objective"])
        self.average.load_state_dict(state["average"])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        self.step = state["step"]
        self.best = state["best"]


def _mean(updates: list[Tensor]) -> Tensor:
    return torch.stack(updates).mean() if len(updates) > 1 else updates[0]


def _save(state: dict[str, Any], path: Path) -> None:
    try:
        torch.save(state, path)
    except RuntimeError as error:  # as which torch reports a full disk too
        raise OSError(brief(error)) from None


def _optimisers(objective: Trained, settings: TrainingSettings) -> dict[str, torch.optim.Optimizer]:
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
        optimisers[name] = torch.optim.Adam(parameters, lr=rate, betas=settings.betas, fused=True)
        for group in optimisers[name].param_groups:
            group["initial_lr"] = rate
    return optimisers
