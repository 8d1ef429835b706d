"""Several processes that train one model, as `torchrun` starts them.

Each process sees its share of a batch.  After a player's backward the gradients are averaged, and
what is taken over a whole batch is taken over all shares, with a gradient, so the processes do
what one would do with the joint batch.  What the first process does alone ends with an answer to
the others, also where it fails.  With one process nothing here does anything.
"""

import importlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from replearn.encoders.networks.collective import rank, world_size
from replearn.errors import DataError, UsageError, brief

Anything = TypeVar("Anything")

# The others wait while the first looks at pictures and probes, which may take long.
_PATIENCE = timedelta(hours=2)

# The processes call the same trainings in the same order, so they number them alike.
_NUMBERS = itertools.count()


class _FirstFailedError(DataError):
    """The first process failed, as it told the others."""


@contextmanager
def process_group(device: str) -> Iterator[None]:
    """Join the other processes, if `torchrun` started this one with others.

    Args:
        device: by name; of GPUs each process takes its own.

    Raises:
        DataError: another process failed, for the reason that the message names.
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
    store = _connect("cpu:gloo,cuda:nccl" if on_gpus else "gloo")
    try:
        yield
    except Exception as error:
        first = None if isinstance(error, _FirstFailedError) else _first_failure(store, error)
        # On GPUs the farewell would wait for the others, which may wait for this one, and nobody
        # would read why it failed.
        if not on_gpus:
            dist.destroy_process_group()
        if first and isinstance(error, RuntimeError):  # as a connection is that was lost
            raise DataError(first) from None
        raise
    except KeyboardInterrupt:  # in all of them
        dist.destroy_process_group()
        raise
    dist.destroy_process_group()


def _connect(backend: str) -> Store:
    """Connect the processes by this backend; return what they keep in common."""
    # Optimisers import this.  Where it is imported later, functions of torch keep the group as a
    # default argument beyond its end, and its threads may abort the process as that ends.
    importlib.import_module("torch._dynamo")
    store, number, count = next(rendezvous("env://", timeout=_PATIENCE))
    # What an earlier training left there is not of this one.
    store = PrefixStore(f"training-{next(_NUMBERS)}", store)
    dist.init_process_group(backend, store=store, rank=number, world_size=count, timeout=_PATIENCE)
    return store


def _first_failure(store: Store, error: Exception) -> str | None:
    """Return why another process failed before this one; None if this one is the first."""
    own = f"process {rank()} failed: {_reason(error)}"
    try:
        first = str(store.compare_set("failure", "", own), "utf-8")
    except RuntimeError:  # without `torchrun` it is the first process that keeps the store
        return "process 0 has ended; its last message is the reason"
    return None if first == own else first


def _reason(error: Exception) -> str:
    if isinstance(error, DataError | UsageError):
        return str(error)
    return f"{type(error).__name__}: {brief(error)}"


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


def of_first(work: Callable[[], Anything]) -> Anything:
    """Let the first process do this; return in all processes what it returns there.

    Raises:
        Exception: what the first process raises; a DataError with its reason in the others.
    """
    if world_size() == 1:
        return work()
    result, failure = _done(work)
    failed, value = broadcast((_reason(failure) if failure else None, result))
    if failed is not None:
        raise failure or _FirstFailedError(f"process 0 failed: {failed}")
    return cast(Anything, value)


def any_after_first(work: Callable[[], None], flag: Callable[[], bool]) -> bool:
    """Let the first process do this; then tell whether the flag is set in any process.

    Raises:
        Exception: what the first process raises; a DataError with its reason in the others.
    """
    if world_size() == 1:
        work()
        return flag()
    _, failure = _done(work)
    answer = _largest(2 if failure else int(flag()))
    if answer == 2:
        failed = broadcast(_reason(failure) if failure else "")
        raise failure or _FirstFailedError(f"process 0 failed: {failed}")
    return bool(answer)


def _done(work: Callable[[], Anything]) -> tuple[Anything | None, Exception | None]:
    """Do it in the first process; return what comes of it, and what goes wrong."""
    if rank() > 0:
        return None, None
    try:
        return work(), None
    except Exception as error:
        return None, error


def any_process(flag: bool) -> bool:
    """Tell whether the flag is set in any process."""
    return flag if world_size() == 1 else bool(_largest(int(flag)))


def _largest(number: int) -> int:
    largest = torch.tensor(number)
    dist.all_reduce(largest, dist.ReduceOp.MAX)
    return int(largest)


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
