"""The U-Net: shapes, gradients, and the way of the detail."""

import typing

import torch
from torch import nn

from replearn.encoders.networks.architectures import (
    Convolutional,
    Encoder,
    Maps,
)
from replearn.encoders.networks.unet import UNet
from tests.encoders.networks.small import (
    WIDTH,
    assert_all_learn,
    channels,
    convolutional_architectures,
    sizes,
)


@convolutional_architectures
@sizes
@channels
def test_a_unet_maps_images_to_images_and_all_of_it_learns(
    architecture: Convolutional, size: int, channels: int
) -> None:
    network = UNet(architecture, size, channels, WIDTH)
    images = torch.randn(3, channels, size, size)
    made = network(images)
    assert made.shape == images.shape
    assert_all_learn(network, made)


@convolutional_architectures
def test_a_unet_s_pooled_maps_are_those_of_its_encoder(architecture: Convolutional) -> None:
    network = UNet(architecture, 32, 1, WIDTH).eval()
    encoder = Encoder(architecture, 32, 1, WIDTH, outputs=5).eval()
    weights = network.stages.state_dict().values()
    names = encoder.convolutions.state_dict()
    encoder.convolutions.load_state_dict(dict(zip(names, weights, strict=True)))
    images = torch.randn(2, 1, 32, 32)
    for maps in typing.get_args(Maps):
        assert torch.equal(network.pooled(images, maps), encoder.pooled(images, maps))


@convolutional_architectures
def test_in_a_unet_detail_takes_the_way_over_the_largest_maps(architecture: Convolutional) -> None:
    network = UNet(architecture, 32, 1, WIDTH).eval()
    images = torch.randn(1, 1, 32, 32)
    # What comes from all smaller maps passes here.
    way = [layer for layer in network.doublings.modules() if isinstance(layer, nn.BatchNorm2d)]
    nn.init.zeros_(way[-1].weight)
    changed = images.clone()
    changed[..., 16, 16] += 1
    differs = (network(changed) - network(images)).abs().amax((0, 1)) > 1e-7
    rows, columns = differs.nonzero().T
    assert differs.any()
    assert max(rows.max() - 16, 16 - rows.min(), columns.max() - 16, 16 - columns.min()) <= 8
