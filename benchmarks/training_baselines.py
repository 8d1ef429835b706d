"""The trainer and its baselines on the same networks: a bare loop, pythae, image files."""

import contextlib
import importlib
import io
import logging
import math
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler

from benchmarks.turns import Options, Training, clocked
from replearn.arrays import Pixels
from replearn.encoders.contract import Objective
from replearn.encoders.models import build, check_arguments
from replearn.encoders.models.aae import AAE
from replearn.encoders.training.settings import TrainingSettings
from replearn.encoders.training.trainer import Trainer, seed_all
from replearn.phantoms.rendering import render

EPOCH = 16  # batches in the set of images; the speed does not depend on it
FILE_SIDE = 256  # pixels, the largest that phantoms have
DRAWN = 128  # different pictures in the files; the others are copies under another name
PREFETCH = 2  # batches that each worker of a DataLoader has ready, as it comes


@dataclass(frozen=True)
class Style:
    """How the trainer is seen to compute: the type inside the networks, and their memory format."""

    dtype: torch.dtype
    memory_format: torch.memory_format

    def __str__(self) -> str:
        """Return both without torch's prefix."""
        return f"{self.dtype}, {self.memory_format}".replace("torch.", "")


# The trainer -------------------------------------------------------------------------------------


def new_objective(name: str, options: Options) -> Objective:
    """Return the model with its own arguments, of the width that is asked for."""
    seed_all(0)
    arguments = of_width(check_arguments(name, {}), options.width)
    model = build(name, size=options.size, channels=1, arguments=arguments)
    assert isinstance(model, Objective)
    return model


def of_width(arguments: dict[str, Any], width: int) -> dict[str, Any]:
    """Return arguments with this width, in the parts of a combination too."""

    def changed(key: str, value: Any) -> Any:
        if isinstance(value, dict):
            return of_width(value, width)
        return width if key == "width" else value

    return {key: changed(key, value) for key, value in arguments.items()}


def new_trainer(name: str, pixels: Pixels, options: Options) -> Trainer:
    """Return a trainer as its settings come, of a training that won't end."""
    settings = {
        "batch_size": options.batch,
        "device": str(options.device),
        "steps": 1_000_000,
        "precision": options.precision,
    }
    return Trainer(new_objective(name, options), pixels, TrainingSettings.model_validate(settings))


def style_of(trainer: Trainer) -> Style:
    """Look on during a step, for what `auto` means is the trainer's to know."""
    types: set[torch.dtype] = set()

    def look(module: nn.Module, inputs: Any, output: Tensor) -> None:
        types.add(output.dtype)

    layers = [m for m in trainer.objective.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(look) for layer in layers]
    trainer.train_step()
    for hook in hooks:
        hook.remove()
    assert types, "no layer was seen at work"
    # One channel lies in both formats at once; only what isn't contiguous tells.
    last = any(p.ndim == 4 and not p.is_contiguous() for p in trainer.objective.parameters())
    return Style(
        torch.bfloat16 if torch.bfloat16 in types else torch.float32,
        torch.channels_last if last else torch.contiguous_format,
    )


def trained_by_replearn(trainer: Trainer) -> Training:
    """Return the training by replearn's trainer."""

    def train(steps: int) -> int:
        for _ in range(steps):
            trainer.train_step()
        return steps * trainer.batch_size

    return lambda steps: clocked(lambda: train(steps), trainer.device)


# A bare loop -------------------------------------------------------------------------------------


class Bare:
    """An objective with what it takes to train it, and nothing besides."""

    def __init__(self, name: str, style: Style, options: Options) -> None:
        self.objective = new_objective(name, options).to(options.device).train()
        self.objective.to(memory_format=style.memory_format)  # type: ignore[call-overload]
        settings = TrainingSettings.model_validate({})
        assert isinstance(settings.learning_rate, float)
        self.optimisers = {
            player: torch.optim.Adam(
                [p for network in networks for p in network.parameters()],
                lr=settings.learning_rate,
                betas=settings.betas,
            )
            for player, networks in self.objective.players().items()
        }
        self.style = style
        self.device = options.device

    def step(self, images: Tensor) -> None:
        """Update every player once on images float [N, C, H, W] of the device."""
        for player, terms in self.losses(images):
            self.optimisers[player].zero_grad()
            torch.autograd.backward(torch.stack(list(terms.values())).sum())
            self.optimisers[player].step()

    def losses(self, images: Tensor) -> Iterator[tuple[str, dict[str, Tensor]]]:
        """Yield what the objective's losses yield, computed in the style's type."""
        losses = self.objective.losses(images, 0.0)
        half = self.style.dtype is torch.bfloat16
        while True:
            # Around the losses alone: what a player does with them is to stay in float32.
            with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
                terms = next(losses, None)
            if terms is None:
                return
            yield terms


def trained_bare(bare: Bare, images: Tensor, batch: int) -> Training:
    """Return a loop over images float [N, C, H, W] of the device, in a new order each epoch."""

    def batches() -> Iterator[Tensor]:
        while True:
            order = torch.randperm(len(images), device=images.device)
            for start in range(0, len(order) - batch + 1, batch):
                yield images[order[start : start + batch]]

    stream = batches()

    def train(steps: int) -> int:
        for _ in range(steps):
            bare.step(next(stream))
        return steps * batch

    return lambda steps: clocked(lambda: train(steps), images.device)


# pythae ------------------------------------------------------------------------------------------


def as_pythae_module(
    base: type[nn.Module], part: nn.Module, forward: Callable[[Tensor], Any]
) -> nn.Module:
    """Return a module of pythae's class `base` with the part's parameters and this `forward`."""
    kind = type(base.__name__, (base,), {"forward": lambda self, inputs: forward(inputs)})
    module: nn.Module = kind()
    module.part = part
    return module


def pythae_model(model: AAE, options: Options) -> Any:
    """Return pythae's adversarial autoencoder, made of an AAE's networks."""
    kinds = importlib.import_module("pythae.models.nn")
    reply = importlib.import_module("pythae.models.base.base_utils").ModelOutput
    models = importlib.import_module("pythae.models")

    def encode(images: Tensor) -> Any:
        codes = model.encode(images)
        # Asked for and multiplied by zero where the posterior is deterministic.
        return reply(embedding=codes, log_covariance=torch.zeros_like(codes))

    def decode(codes: Tensor) -> Any:
        return reply(reconstruction=model.decoder(codes))

    def discriminate(codes: Tensor) -> Any:
        return reply(embedding=model.critic(codes).sigmoid())  # it wants probabilities

    return models.Adversarial_AE(
        models.Adversarial_AE_Config(
            input_dim=(1, options.size, options.size),
            latent_dim=model.encoder.head.out_features,
            deterministic_posterior=True,
        ),
        encoder=as_pythae_module(kinds.BaseEncoder, model.encoder, encode),
        decoder=as_pythae_module(kinds.BaseDecoder, model.decoder, decode),
        discriminator=as_pythae_module(kinds.BaseDiscriminator, model.critic, discriminate),
    )


def pythae_trainer(images: Tensor, folder: str, options: Options) -> Any:
    """Return pythae's trainer on images float [N, C, H, W], ready to train in a folder."""
    trainers = importlib.import_module("pythae.trainers")
    data = importlib.import_module("pythae.data.datasets")
    model = new_objective("aae", options)
    assert isinstance(model, AAE)
    trainer = trainers.AdversarialTrainer(
        model=pythae_model(model, options),
        train_dataset=data.BaseDataset(images, torch.zeros(len(images))),
        training_config=trainers.AdversarialTrainerConfig(
            output_dir=folder,
            per_device_train_batch_size=options.batch,
            no_cuda=options.device.type != "cuda",
        ),
    )
    trainer.prepare_training()
    return trainer


@contextlib.contextmanager
def trained_by_pythae(
    images: np.ndarray[Any, np.dtype[np.float32]], options: Options
) -> Iterator[Training]:
    """Give the training by pythae's trainer; what it writes and says is dropped."""
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        trainer = pythae_trainer(torch.from_numpy(images), folder, options)

        def train(steps: int) -> int:
            # What it calls a step is an epoch.  The copies and checkpoints after it are left out.
            epochs = math.ceil(steps / EPOCH)
            for epoch in range(epochs):
                trainer.train_step(epoch + 1)
                trainer.callback_handler.on_epoch_end(training_config=trainer.training_config)
            return epochs * len(images)

        yield lambda steps: clocked(lambda: train(steps), options.device)
    logging.disable(logging.NOTSET)


# Files -------------------------------------------------------------------------------------------


class Folder(Dataset[Tensor]):
    """The image files of a folder, opened and decoded whenever they are asked for."""

    def __init__(self, folder: Path, size: int) -> None:
        self.paths = sorted(folder.iterdir())
        self.size = size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> Tensor:
        """Return image `row` float [1, size, size] in [-1, 1]."""
        with Image.open(self.paths[row]) as picture:
            small = picture.convert("L").resize((self.size, self.size))
        return torch.from_numpy(np.array(small)).float().div_(127.5).sub_(1.0)[None]


def write_files(folder: Path, count: int) -> None:
    """Draw phantoms as JPEG files, which is what ImageCLEF gives, and opens faster than PNG."""
    for number in range(min(count, DRAWN)):
        picture = Image.fromarray(render(number, size=FILE_SIDE).pixels[0])
        picture.save(folder / f"{number}.jpg", quality=90)
    for number in range(DRAWN, count):
        shutil.copyfile(folder / f"{number % DRAWN}.jpg", folder / f"{number}.jpg")


def trained_from_files(bare: Bare, folder: Path, options: Options) -> Training:
    """Return the bare loop on batches that workers read from a folder."""
    images = Folder(folder, options.size)
    ahead = PREFETCH * max(1, options.workers)

    def loader(steps: int) -> DataLoader[Tensor]:
        # With replacement: a few files then serve for epochs of any length.
        sampler = RandomSampler(images, replacement=True, num_samples=steps * options.batch)
        return DataLoader(
            images,
            options.batch,
            sampler=sampler,
            num_workers=options.workers,
            prefetch_factor=PREFETCH if options.workers else None,
            pin_memory=options.device.type == "cuda",
        )

    def train(batches: Iterable[Tensor]) -> int:
        for batch in batches:
            bare.step(batch.to(options.device, non_blocking=True))
        return 0

    def timed(steps: int) -> float:
        # What workers have ready when the clock starts was read before, so they have to leave as
        # much ready when it stops; the few batches before and after are not counted.
        stream = iter(loader(ahead + steps + ahead))
        train(next(stream) for _ in range(ahead))
        rate = clocked(
            lambda: train(next(stream) for _ in range(steps)) + steps * options.batch,
            options.device,
        )
        for _ in stream:
            pass
        return rate

    return timed
