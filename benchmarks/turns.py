"""Two trainings take turns, so that what slows the machine for a while slows both."""

import math
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch

WARM = 2  # steps before the clock is first looked at
LEAST = 2  # steps in a round, however slow they are

# Trains for so many steps or a few more, and returns the images per second.
Training = Callable[[int], float]


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
class Result:
    """Trainer and baseline in one row: the images per second of each round."""

    replearn: list[float]
    baseline: list[float]

    def facts(self) -> dict[str, float]:
        """Return the medians, and between what the middle half of the rounds' ratios lies."""
        ratios = [ours / theirs for ours, theirs in zip(self.replearn, self.baseline, strict=True)]
        low, ratio, high = map(float, np.quantile(ratios, [0.25, 0.5, 0.75]))
        numbers = {
            "ratio": ratio,
            "low": low,
            "high": high,
            "replearn": float(np.median(self.replearn)),
            "baseline": float(np.median(self.baseline)),
        }
        return {name: round(number, 3) for name, number in numbers.items()}


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


def take_turns(ours: Training, baseline: Training, options: Options) -> Result:
    """Let both warm up, then take turns; who went first in a round goes second in the next."""
    turns = []
    for training in (ours, baseline):
        training(WARM)
        rate = training(LEAST)
        turns.append((training, max(LEAST, math.ceil(options.seconds * rate / options.batch))))
    rounds = []
    for _ in range(options.rounds):
        rounds.append({training: training(steps) for training, steps in turns})
        turns.reverse()
    return Result([round_[ours] for round_ in rounds], [round_[baseline] for round_ in rounds])


@contextmanager
def elsewhere(
    enter: Callable[..., AbstractContextManager[Training]], *given: Any
) -> Iterator[Training]:
    """Give a training a process of its own, which the trainer in this process does not set up.

    Args:
        enter: makes the training, in that process.
        given: its arguments.
    """
    spawning = multiprocessing.get_context("spawn")
    here, there = spawning.Pipe()
    process = spawning.Process(
        target=_serve_turns, args=(there, torch.get_num_threads(), enter, given)
    )
    process.start()
    there.close()

    def train(steps: int) -> float:
        here.send(steps)
        return float(here.recv())

    try:
        yield train
    finally:
        here.close()
        process.join()


def _serve_turns(
    pipe: Connection,
    threads: int,
    enter: Callable[..., AbstractContextManager[Training]],
    given: tuple[Any, ...],
) -> None:
    torch.set_num_threads(threads)
    with enter(*given) as training:
        while True:
            try:
                steps = pipe.recv()
            except EOFError:  # there are no more rounds
                return
            pipe.send(training(steps))
