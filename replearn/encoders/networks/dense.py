"""The fully connected pair of BiGAN on MNIST (Donahue et al. 2016, arXiv:1605.09782, section 4.1).

It sees pixels without their neighbourhood, so it takes images of any size.  A layer of units is a
feature map of one pixel here, which gives this pair the shapes of the convolutional ones.
"""

from torch import nn


def convolutions(size: int, channels: int, width: int, *, normalised: bool) -> nn.Sequential:
    """Map images [N, channels, size, size] to feature maps [N, width, 1, 1]."""
    return nn.Sequential(
        nn.Flatten(),
        # No normalisation on the pixels' own layer: it would remove their brightness.
        nn.Linear(channels * size**2, width),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Linear(width, width, bias=not normalised),
        *([nn.BatchNorm1d(width)] if normalised else []),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Unflatten(1, (width, 1, 1)),
    )


def decoder(size: int, channels: int, width: int, inputs: int) -> nn.Sequential:
    """Map vectors [N, inputs] to images [N, channels, size, size] in [-1, 1]."""
    return nn.Sequential(
        nn.Linear(inputs, width, bias=False),
        nn.BatchNorm1d(width),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Linear(width, width, bias=False),
        nn.BatchNorm1d(width),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Linear(width, channels * size**2),
        nn.Unflatten(1, (channels, size, size)),
        nn.Tanh(),
    )
