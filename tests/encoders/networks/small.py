"""Sizes, architectures and checks that the tests of networks share."""

import math

import pytest
import torch
from torch import Tensor, nn

from replearn.encoders.networks.architectures import ARCHITECTURES

CONVOLUTIONAL = [name for name in ARCHITECTURES if name != "dense"]
WIDTH = 4


convolutional_architectures = pytest.mark.parametrize("architecture", CONVOLUTIONAL)


channels = pytest.mark.parametrize("channels", [1, 3])


large = [pytest.param(size, marks=pytest.mark.slow) for size in (128, 256)]


sizes = pytest.mark.parametrize("size", [8, 16, 32, 64, *large])


def levels_of(size: int) -> int:
    """Return how often an image is halved until 4 x 4 remain."""
    return round(math.log2(size / 4))


def assert_all_learn(network: nn.Module, outputs: Tensor) -> None:
    """Every parameter has a gradient that is not all zero."""
    torch.autograd.backward((outputs * torch.randn_like(outputs)).sum())
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


COUNT = 6
