"""What each of two processes does that torchrun starts: train a few steps with the other.

python -m torch.distributed.run --standalone --nproc-per-node 2 -m benchmarks.gpu.pair cpu FOLDER
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from benchmarks.gpu.inputs import noise
from replearn.encoders.contract import Objective
from replearn.encoders.models import build
from replearn.encoders.networks.collective import rank
from replearn.encoders.training.distributed import process_group
from replearn.encoders.training.settings import TrainingSettings
from replearn.encoders.training.trainer import Trainer, seed_all

_STEPS = 3
_SIZE = 32


def trained(device: str) -> dict[str, torch.Tensor]:
    """Return weights and averages after some steps with all processes of the group.

    In double precision, and of a model that draws nothing: there, what two processes do is what
    one does with the joint batch, but for the last digits.
    """
    seed_all(0)
    arguments = {"width": 8, "latent_dim": 16, "noise": 0.0}
    objective = build("sdae", size=_SIZE, channels=1, arguments=arguments).double()
    assert isinstance(objective, Objective)
    settings = {"device": device, "steps": _STEPS, "batch_size": 32, "precision": "float32"}
    trainer = Trainer(objective, noise(64, _SIZE), TrainingSettings.model_validate(settings))
    for _ in range(_STEPS):
        trainer.train_step()
    models: dict[str, Any] = {"objective": trainer.objective, "average": trainer.average}
    return {
        f"{which}.{name}": value.cpu()
        for which, model in models.items()
        for name, value in model.state_dict().items()
    }


@contextmanager
def group(device: str) -> Iterator[None]:
    """Join the other process, as a training does where there is a card for each.

    NCCL refuses two processes on one card.  There gloo carries the messages, through the host's
    memory, and everything else is as it is with more cards.
    """
    if device == "cpu" or torch.cuda.device_count() > 1:
        with process_group(device):
            yield
        return
    dist.init_process_group("gloo")
    yield
    dist.destroy_process_group()


def main(device: str, folder: str) -> None:
    """Train and write what came of it."""
    with group(device):
        torch.save(trained(device), Path(folder) / f"{rank()}.pt")


if __name__ == "__main__":
    main(*sys.argv[1:])
