"""Fully connected networks on codes."""

import itertools

from torch import Tensor, nn

from replearn.encoders.networks.critic import Trunk


class CodeTrunk(Trunk):
    """The features of a critic of codes."""

    def __init__(self, inputs: int, width: int, depth: int = 2) -> None:
        """Build `depth` layers of `width` for codes [N, inputs]."""
        super().__init__()
        self.layers = nn.Sequential(
            *[
                layer
                for inner, outer in itertools.pairwise([inputs, *[width] * depth])
                for layer in (nn.Linear(inner, outer), nn.LeakyReLU(0.2, inplace=True))
            ]
        )
        self.outputs = width

    def forward(self, codes: Tensor) -> Tensor:
        """Map codes [N, inputs] to features [N, width]."""
        features: Tensor = self.layers(codes)
        return features
