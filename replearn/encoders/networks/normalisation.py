"""Batch normalisation's statistics, measured on the images that an untrained network is to read.

Without them it is worth less than its weights are.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

_BATCH = 256  # images at most


@torch.no_grad()
def measure_statistics(
    network: nn.Module, images: Tensor, *, look: Callable[[Tensor], Tensor] | None = None
) -> None:
    """Set means and variances to their plain averages over batches of images; the weights stay.

    Args:
        network: in evaluation mode, which it keeps.
        images: float [N, C, H, W] in [-1, 1].
        look: shows images to the network, where calling it does not.
    """
    layers = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the plain average over the batches that follow
        layer.train()
    # Even ones: a plain average gives a small rest the weight of a full batch.
    for batch in torch.tensor_split(images, math.ceil(len(images) / _BATCH)):
        if len(batch) > 1:  # a unit of `dense` has no variance in a batch of one
            (look or network)(batch)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()
