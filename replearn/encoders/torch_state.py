"""What torch holds for the whole process: changed for a while, and put back afterwards."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"


@contextmanager
def restored_torch_state(device: torch.device) -> Iterator[None]:
    """Put back at the end, also after an error, what a training changes for the whole process.

    That is the random numbers of the CPU and of all devices of this kind, whether algorithms are
    deterministic, and how cuDNN chooses and rounds.

    Args:
        device: where the training computes.
    """
    debug_mode = torch.get_deterministic_debug_mode()
    workspace = os.environ.get(_CUBLAS)
    random, of_devices = torch.get_rng_state(), _random_states(device)
    try:
        with _restored_cudnn():
            yield
    finally:
        torch.set_rng_state(random)
        if of_devices is not None:
            module = torch.get_device_module(device)
            getattr(module, "set_rng_state_all", module.set_rng_state)(of_devices)
        torch.set_deterministic_debug_mode(debug_mode)
        if workspace is None:
            os.environ.pop(_CUBLAS, None)


@contextmanager
def full_float32(device: torch.device) -> Iterator[None]:
    """Let cuDNN round as float32 does, to 23 bits after the point, where it would to 10."""
    if device.type != "cuda":
        yield
        return
    with _restored_cudnn():
        torch.backends.cudnn.allow_tf32 = False
        yield


def make_deterministic() -> None:
    """Let a GPU give the same bits again; what cannot is refused by torch."""
    os.environ.setdefault(_CUBLAS, ":4096:8")  # what cuBLAS asks for
    torch.use_deterministic_algorithms(True)


def _random_states(device: torch.device) -> Any:
    """Return the states of all generators of this kind of device, None for the CPU."""
    if device.type == "cpu":
        return None
    module = torch.get_device_module(device)
    return getattr(module, "get_rng_state_all", module.get_rng_state)()


@contextmanager
def _restored_cudnn() -> Iterator[None]:
    cudnn = torch.backends.cudnn
    before = [(cudnn, "benchmark", cudnn.benchmark), *_cudnn_precisions()]
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def _cudnn_precisions() -> list[tuple[Any, str, Any]]:
    """Return where cuDNN's precision stands, under which name, and what it is."""
    cudnn: Any = torch.backends.cudnn
    try:
        return [(cudnn, "allow_tf32", cudnn.allow_tf32)]
    except RuntimeError:  # as torch says where the caller gave each kind of layer one of its own
        layers = (cudnn.conv, cudnn.rnn)
        return [(layer, "fp32_precision", layer.fp32_precision) for layer in layers]
