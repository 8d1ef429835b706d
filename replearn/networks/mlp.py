"""Fully connected networks on codes."""

import itertools

from torch import nn


def critic(inputs: int, width: int, depth: int = 2) -> nn.Sequential:
    """Map codes [N, inputs] to one logit each [N, 1].

    There is no batch normalisation: in a critic of codes it lets one code's verdict depend on the
    others', and training stalls at chance.
    """
    widths = [inputs, *[width] * depth]
    hidden = [
        layer
        for inner, outer in itertools.pairwise(widths)
        for layer in (nn.Linear(inner, outer), nn.LeakyReLU(0.2, inplace=True))
    ]
    return nn.Sequential(*hidden, nn.Linear(width, 1))
