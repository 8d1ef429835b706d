"""Several processes that train one model, as `torchrun` starts them.

Each process sees its share of a batch.  After a player's backward the gradients are averaged, and
what is taken over a whole batch is taken over all shares, with a gradient, so the processes do
what one would do with the joint batch.  With one process nothing here does anything.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from replearn.encoders.networks.collective import world_size
from replearn.errors import UsageError

Anything = TypeVar("Anything")

# The others wait while the first looks at pictures and probes, which may take long.
_PATIENCE = timedelta(hours=2)


@contextmanager
def process_group(device: str) -> Iterator[None]:
    """Join the other processes, if `torchrun` started this one with others.

    Args:
        device: by name; of GPUs each process takes its own.

    Raises:
        UsageError: there are fewer GPUs than processes, or one GPU is named for all of them.
    """
    if not _has_others():
        yield
        return
    check_device(device)
    on_gpus = _is_gpu(device)
    if on_gpus:
        torch.cuda.set_device(_local_rank())
    # Messages between the CPUs do not wait for the GPUs.
    backend = "cpu:gloo,cuda:nccl" if on_gpus else "gloo"
    dist.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield
    except KeyboardInterrupt:  # in all of them
        dist.destroy_process_group()
        raise
    # Not after an error: on GPUs the farewell would wait for the others, which wait for this one,
    # and nobody would read why it failed.  It is `torchrun` that ends them.
    dist.destroy_process_group()


def check_device(device: str) -> None:
    """Refuse a device that several processes of this machine cannot share.

    Raises:
        UsageError: there are fewer GPUs than processes, or one GPU is named for all of them.
    """
    if not _has_others() or not _is_gpu(device):
        return
    if ":" in device:
        raise UsageError(f"training.device: {device} for several processes; give cuda")
    there = torch.cuda.device_count()
    if _local_rank() >= there:
        raise UsageError(
            f"training.device: {there} GPU for {os.environ.get('LOCAL_WORLD_SIZE')} processes; "
            "start no more of them than GPUs, or set training.device to cpu"
        )


def _has_others() -> bool:
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def _local_rank() -> int:
    return int(os.environ.get("LOCAL_RANK", "0"))


def _is_gpu(device: str) -> bool:
    return device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())


def broadcast(value: Anything) -> Anything:
    """Return the first process's value in all of them."""
    if world_size() == 1:
        return value
    box: list[Any] = [value]
    dist.broadcast_object_list(box, device=torch.device("cpu"))
    return cast(Anything, box[0])


def any_process(flag: bool) -> bool:
    """Tell whether the flag is set in any process."""
    if world_size() == 1:
        return flag
    number = torch.tensor(int(flag))
    dist.all_reduce(number, dist.ReduceOp.MAX)
    return bool(number)


def broadcast_state(module: nn.Module) -> None:
    """Give all processes the first one's weights and buffers."""
    if world_size() > 1:
        for value in module.state_dict().values():
            everyones = value.contiguous()
            dist.broadcast(everyones, src=0)
            value.copy_(everyones)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Average the gradients; where a process has none, it counts as zero."""
    if world_size() == 1:
        return
    players = list(parameters)
    given = torch.tensor([p.grad is not None for p in players], dtype=torch.int32)
    dist.all_reduce(given)  # between the CPUs: no GPU has to finish for it
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in players]
    # One message for all: many small ones would wait for each other.
    joint = torch.cat([part.flatten() for part in parts])
    dist.all_reduce(joint)
    joint /= world_size()
    means = torch.split(joint, [p.numel() for p in players])
    for parameter, mean, somewhere in zip(players, means, given.tolist(), strict=True):
        # In the parameter's own layout, which optimisers rely on.
        average = torch.empty_like(parameter).copy_(mean.view_as(parameter))
        parameter.grad = average if somewhere else None


def average_terms(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the mean over the processes of each named number; NaN where one has NaN."""
    if world_size() == 1 or not values:
        return values
    joint = torch.stack([value.detach() for value in values.values()])
    dist.all_reduce(joint)
    means = (joint / world_size()).unbind()
    return {name: mean.to(values[name].dtype) for name, mean in zip(values, means, strict=True)}
