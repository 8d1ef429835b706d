"""Sums and means over the batches of all processes, with a gradient, for use inside networks.

With one process nothing here does anything.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from replearn.encoders.networks.full_precision import to_full_precision


def world_size() -> int:
    """Return how many processes train."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Return which of the processes this is, from 0; the first one writes."""
    return dist.get_rank() if dist.is_initialized() else 0


class _Sum(torch.autograd.Function):
    """The sum over the processes, of which each gets the sum of the gradients."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        total = values.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        # The function itself, so that a gradient penalty can differentiate once more.
        total: Tensor = _Sum.apply(gradients[0])  # type: ignore[no-untyped-call]
        return total


def _sum(values: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]
    return total


def gather(values: Tensor) -> Tensor:
    """Return the values [N, ...] of all processes, in their order, with a gradient."""
    if world_size() == 1:
        return values
    places = values.new_zeros(world_size(), *[1] * values.ndim)
    places[rank()] = 1
    return _sum(places * values).flatten(0, 1)


def mean_over_processes(values: Tensor) -> Tensor:
    """Return the mean over the images [N, ...] of all processes, with a gradient."""
    return values.mean(0) if world_size() == 1 else _sum(values.mean(0)) / world_size()


def join_batch_norms(module: nn.Module) -> None:
    """Let batch normalisation, wherever it is in the module, see the images of all processes."""
    if world_size() == 1:
        return
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            setattr(module, name, _JointBatchNorm(child))
        else:
            join_batch_norms(child)


class _JointBatchNorm(_BatchNorm):
    """Batch normalisation over all processes; `torch.nn.SyncBatchNorm` does it on GPUs only."""

    def __init__(self, alone: _BatchNorm) -> None:
        """Take the place of one that sees its own process only, weights and buffers included."""
        super().__init__(alone.num_features, alone.eps, alone.momentum, alone.affine)
        self.weight, self.bias = alone.weight, alone.bias
        for name, buffer in alone.named_buffers():
            setattr(self, name, buffer)

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002
        """Take vectors as well as feature maps."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        if not self.training:
            return super().forward(input)
        values = to_full_precision(input)
        every = [0, *range(2, input.ndim)]
        shape = [1, -1, *[1] * (input.ndim - 2)]
        mean = _sum(values.mean(every)) / world_size()
        centred = values - mean.reshape(shape)
        variance = _sum(centred.square().mean(every)) / world_size()
        self._note(mean.detach(), variance.detach(), world_size() * input.numel() // len(mean))
        normal = centred * (variance + self.eps).rsqrt().reshape(shape)
        if self.affine:
            normal = normal * self.weight.reshape(shape) + self.bias.reshape(shape)
        return normal.to(input.dtype)

    @torch.no_grad()
    def _note(self, mean: Tensor, variance: Tensor, size: int) -> None:
        """Let the running statistics follow those of one batch of this many values."""
        momentum = 0.1 if self.momentum is None else self.momentum
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance * size / (size - 1), momentum)
        self.num_batches_tracked += 1
