"""How fast the trainer trains, against those who train the same networks at the same moment.

    python -m benchmarks.training                        about 7 minutes on 2 cores
    python -m benchmarks.training --quick                about 2
    python -m benchmarks.training --models aae,vae --device cuda --precision bfloat16

There are three kinds of rival; each trains on the same images, in batches of the same size:

bare    A loop of plain PyTorch around the objective's own losses, for each objective: the images
        float on the device, drawn by a permutation, and Adam as it comes.  No averaged weights, no
        schedule, no seeds, no metrics.  Precision and memory format are those that the trainer is
        seen to use.  It says what the trainer costs beyond the networks.
pythae  The AdversarialTrainer of pythae 0.1.2 (Chadebec et al. 2022, arXiv:2206.08309) with its
        Adversarial_AE around our encoder, decoder and critic, in float32: its `amp` does nothing
        in this trainer.
files   The bare loop of the AAE behind a DataLoader, one worker for each core, that opens and
        decodes image files and shrinks them at every step.  The system has the files in memory
        from the second pass on, so no disk is waited for.

The trainer is as its settings come, but for `--precision`.  The two of a pair take turns, round by
round, after a warm-up; a ratio is that of one round (trainer / rival, above 1: the trainer is
faster), and what is reported is the median of the rounds' with the smallest and the largest.  On a
processor that others use too, leave them cores with `--threads`: threads that wait for each other
make the spread so wide that the ratios say nothing.

pythae is no dependency.  `pip install --no-deps pythae==0.1.2` is enough: what it imports beyond
torch and numpy (cloudpickle, pydantic, scikit-learn, scipy, tqdm, typing_extensions) comes with
replearn.  Of what it lists besides, imageio is not needed for a training.
"""

import argparse
import contextlib
import importlib
import importlib.util
import io
import json
import logging
import math
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler

import replearn
from replearn.batches import Pixels
from replearn.encoders import device_named
from replearn.models import MODELS, build, check_arguments
from replearn.models.aae import AAE
from replearn.objective import Objective
from replearn.phantoms import render
from replearn.trainer import Trainer, seed_all
from replearn.training_settings import TrainingSettings

OBJECTIVES = [name for name, model in MODELS.items() if issubclass(model, Objective)]
EPOCH = 16  # batches in the set of images; the speed does not depend on it
FILES = 4  # batches in the folder of files
FILE_SIDE = 256  # pixels, the largest that phantoms have
WARM = 2  # steps before the clock is first looked at
LEAST = 2  # steps in a round, however slow they are
PREFETCH = 2  # batches that each worker of a DataLoader has ready, as it comes
NOT_INSTALLED = "not installed: pip install --no-deps pythae==0.1.2"

# Trains for so many steps or a few more, and returns the images per second.
Contender = Callable[[int], float]


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    models: list[str]
    size: int
    batch: int
    width: int
    rounds: int
    seconds: float
    workers: int
    device: torch.device
    precision: str


@dataclass(frozen=True)
class Style:
    """How the trainer is seen to compute: the type inside the networks, and their memory format."""

    dtype: torch.dtype
    memory_format: torch.memory_format

    def __str__(self) -> str:
        """Return both without torch's prefix."""
        return f"{self.dtype}, {self.memory_format}".replace("torch.", "")


@dataclass(frozen=True)
class Result:
    """Trainer and rival in one row: the images per second of each round."""

    replearn: list[float]
    rival: list[float]

    def facts(self) -> dict[str, float]:
        """Return the medians, and the ratios of the rounds in three numbers."""
        ratios = [ours / theirs for ours, theirs in zip(self.replearn, self.rival, strict=True)]
        numbers = {
            "ratio": statistics.median(ratios),
            "least": min(ratios),
            "most": max(ratios),
            "replearn": statistics.median(self.replearn),
            "rival": statistics.median(self.rival),
        }
        return {name: round(number, 3) for name, number in numbers.items()}


# Timing ------------------------------------------------------------------------------------------


def clocked(train: Callable[[], int], device: torch.device) -> float:
    """Return the images per second of what trains on the number of images that it returns."""

    def finish() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    finish()
    start = time.perf_counter()
    images = train()
    finish()
    return images / (time.perf_counter() - start)


def race(ours: Contender, rival: Contender, options: Options) -> Result:
    """Let both warm up, then take turns: what slows the machine for a while slows both."""
    turns = []
    for contender in (ours, rival):
        contender(WARM)
        rate = contender(LEAST)
        turns.append((contender, max(LEAST, math.ceil(options.seconds * rate / options.batch))))
    rounds = [[contender(steps) for contender, steps in turns] for _ in range(options.rounds)]
    return Result([ours for ours, _ in rounds], [rival for _, rival in rounds])


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
    settings = {"batch_size": options.batch, "device": str(options.device), "steps": 1_000_000}
    if "precision" in TrainingSettings.model_fields:
        settings["precision"] = options.precision
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


def trained_by_replearn(trainer: Trainer) -> Contender:
    """Return the trainer as a contender."""

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
        """Let every player move once on images float [N, C, H, W] of the device."""
        for player, terms in self.moves(images):
            self.optimisers[player].zero_grad()
            torch.autograd.backward(torch.stack(list(terms.values())).sum())
            self.optimisers[player].step()

    def moves(self, images: Tensor) -> Iterator[tuple[str, dict[str, Tensor]]]:
        """Yield what the objective's losses yield, computed in the style's type."""
        losses = self.objective.losses(images, 0.0)
        half = self.style.dtype is torch.bfloat16
        while True:
            # Around the losses alone: what a player does with them is to stay in float32.
            with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
                move = next(losses, None)
            if move is None:
                return
            yield move


def trained_bare(bare: Bare, images: Tensor, batch: int) -> Contender:
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


def dressed(base: type[nn.Module], part: nn.Module, answer: Callable[[Tensor], Any]) -> nn.Module:
    """Return a module of pythae's kind `base` with the part's parameters, and this forward."""
    kind = type(base.__name__, (base,), {"forward": lambda self, inputs: answer(inputs)})
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

    def judge(codes: Tensor) -> Any:
        return reply(embedding=model.critic(codes).sigmoid())  # it wants probabilities

    return models.Adversarial_AE(
        models.Adversarial_AE_Config(
            input_dim=(1, options.size, options.size),
            latent_dim=model.encoder.head.out_features,
            deterministic_posterior=True,
        ),
        encoder=dressed(kinds.BaseEncoder, model.encoder, encode),
        decoder=dressed(kinds.BaseDecoder, model.decoder, decode),
        discriminator=dressed(kinds.BaseDiscriminator, model.critic, judge),
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
def trained_by_pythae(images: Tensor, options: Options) -> Iterator[Contender]:
    """Give pythae's trainer as a contender; what it writes and says is dropped."""
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        trainer = pythae_trainer(images, folder, options)

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
    for number in range(count):
        picture = Image.fromarray(render(number, size=FILE_SIDE).pixels[0])
        picture.save(folder / f"{number}.jpg", quality=90)


def trained_from_files(bare: Bare, folder: Path, options: Options) -> Contender:
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

    def contend(steps: int) -> float:
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

    return contend


# Report ------------------------------------------------------------------------------------------


def hardware(options: Options) -> dict[str, Any]:
    """Return what ran: processor, threads, GPU, versions."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8").splitlines() if known.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cuda = options.device.type == "cuda"
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "device": options.device.type,
        "gpu": torch.cuda.get_device_name(options.device) if cuda else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "replearn": replearn.__version__,
        # Before the start; where others work, the spread is theirs.
        "load": round(os.getloadavg()[0], 2),
    }


def cores() -> int:
    """Return how many cores this process may use, which in a container is not all of them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def aim(rival: str, style: Style, device: torch.device) -> float | None:
    """Return the ratio that is to be reached, if one is."""
    if rival == "bare":
        return 0.95
    if device.type == "cuda":
        return 3.0
    # Without units for bfloat16 a processor has nothing to be faster with.
    return 1.5 if rival == "pythae" and style.dtype is torch.bfloat16 else None


def show_head(facts: dict[str, Any], style: Style, options: Options) -> None:
    """Print what runs and the head of the table."""
    for key, value in facts.items():
        if value is not None:
            print(f"{key:<12}{value}")
    print(f"{'precision':<12}{style} ({options.precision} was asked for)")
    print(
        f"{'setting':<12}{options.size} px, grey, batch {options.batch}, width {options.width}; "
        f"median of {options.rounds} rounds\n"
    )
    print(
        f"{'rival':<8}{'objective':<14}{'replearn':>10}{'rival':>10}{'ratio':>9}   spread\n"
        f"{'':<22}{'images/s':>10}{'images/s':>10}",
        flush=True,
    )


def show(rival: str, name: str, facts: dict[str, float] | None, least: float | None) -> None:
    """Print one row of the table."""
    row = f"{rival:<8}{name:<14}"
    if facts is None:
        row += NOT_INSTALLED
    else:
        row += f"{facts['replearn']:>10.0f}{facts['rival']:>10.0f}{facts['ratio']:>9.3f}"
        row += f"   {facts['least']:.3f} to {facts['most']:.3f}"
        row += f"   (aim: {least})" if least else ""
    print(row, flush=True)


# The runs ----------------------------------------------------------------------------------------


def against_bare(name: str, pixels: Pixels, images: Tensor, options: Options) -> Result:
    """Race one objective's trainer against the bare loop."""
    trainer = new_trainer(name, pixels, options)
    bare = Bare(name, style_of(trainer), options)
    rival = trained_bare(bare, images, trainer.batch_size)
    return race(trained_by_replearn(trainer), rival, options)


def against_pythae(pixels: Pixels, images: Tensor, options: Options) -> Result | None:
    """Race the AAE's trainer against pythae's, if that is installed."""
    if importlib.util.find_spec("pythae") is None:
        return None
    trainer = new_trainer("aae", pixels, options)
    with trained_by_pythae(images.cpu(), options) as rival:
        return race(trained_by_replearn(trainer), rival, options)


def against_files(pixels: Pixels, options: Options) -> Result:
    """Race the AAE's trainer against the bare loop behind a DataLoader."""
    trainer = new_trainer("aae", pixels, options)
    bare = Bare("aae", style_of(trainer), options)
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), FILES * options.batch)
        rival = trained_from_files(bare, Path(folder), options)
        return race(trained_by_replearn(trainer), rival, options)


def main(options: Options) -> None:
    """Run all races, printing each row when it is known, and the ratios as JSON at the end."""
    count = EPOCH * options.batch
    pixels = np.stack([render(i, size=options.size).pixels for i in range(count)])
    images = torch.from_numpy(pixels).to(options.device).float().div_(127.5).sub_(1.0)
    style = style_of(new_trainer("aae", pixels, options))
    facts = hardware(options)
    show_head(facts, style, options)

    def row(rival: str, name: str, result: Result | None) -> dict[str, float] | None:
        found = result.facts() if result else None
        show(rival, name, found, aim(rival, style, options.device))
        return found

    ratios: dict[str, Any] = {
        "bare": {
            name: row("bare", name, against_bare(name, pixels, images, options))
            for name in options.models
        }
    }
    ratios["pythae"] = row("pythae", "aae", against_pythae(pixels, images, options))
    ratios["files"] = row("files", "aae", against_files(pixels, options))
    setting = {key: getattr(options, key) for key in ("size", "batch", "width", "rounds")}
    print(json.dumps({"benchmark": "training", **facts, "style": str(style), **setting, **ratios}))


def parser() -> argparse.ArgumentParser:
    """Return the command line's options."""
    text, _, more = (__doc__ or "").partition("\n")
    options = argparse.ArgumentParser(
        prog="python -m benchmarks.training",
        description=text,
        epilog=more,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = options.add_argument
    add("--models", help=f"some of {','.join(OBJECTIVES)} (all; quick: aae,vae)")
    add("--size", type=int, default=64, help="side of the images (64)")
    add("--batch", type=int, default=64, help="images in a batch (64)")
    add("--width", type=int, default=32, help="of the networks (32)")
    add("--rounds", type=int, help="turns of each contender (7; quick: 5)")
    add("--seconds", type=float, default=1.0, help="that a turn is to take (1)")
    add("--threads", type=int, help="of torch (as torch comes)")
    add("--workers", type=int, default=cores(), help="of the DataLoader (as many as cores)")
    add("--device", default="auto", help="auto, cpu, cuda, ...")
    add("--precision", choices=["auto", "float32", "bfloat16"], default="auto")
    add("--quick", action="store_true", help="two models and fewer rounds")
    return options


def asked(arguments: list[str]) -> Options:
    """Read the command line."""
    args = parser().parse_args(arguments)
    if args.threads:
        torch.set_num_threads(args.threads)
    models = (args.models or ("aae,vae" if args.quick else ",".join(OBJECTIVES))).split(",")
    if unknown := set(models) - set(OBJECTIVES):
        parser().error(f"--models {','.join(sorted(unknown))}: known are {','.join(OBJECTIVES)}")
    return Options(
        models=models,
        size=args.size,
        batch=args.batch,
        width=args.width,
        rounds=args.rounds or (5 if args.quick else 7),
        seconds=args.seconds,
        workers=args.workers,
        device=device_named(args.device),
        precision=args.precision,
    )


if __name__ == "__main__":
    main(asked(sys.argv[1:]))
