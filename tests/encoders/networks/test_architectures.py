"""Encoders and decoders of each architecture: shapes at every size, ranges, gradients."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from replearn.encoders.networks import dcgan, dense
from replearn.encoders.networks.architectures import (
    ARCHITECTURES,
    Architecture,
    Encoder,
    ImageTrunk,
    decoder,
)
from replearn.errors import UsageError
from tests.encoders.networks.small import (
    WIDTH,
    assert_all_learn,
    channels,
    convolutional_architectures,
    levels_of,
    sizes,
)

architectures = pytest.mark.parametrize("architecture", ARCHITECTURES)


@convolutional_architectures
@sizes
@channels
def test_an_encoder_maps_images_to_vectors_and_pooled_maps(
    architecture: Architecture, size: int, channels: int
) -> None:
    encoder = Encoder(architecture, size, channels, WIDTH, outputs=5)
    images = torch.randn(3, channels, size, size)
    vectors = encoder(images)
    assert vectors.shape == (3, 5)
    maps = encoder.convolutions(images)
    assert maps.shape == (3, WIDTH * min(2 ** (levels_of(size) - 1), 8), 4, 4)
    assert encoder.pooled(images, "convolution").shape == (3, 4 * maps.shape[1])
    assert_all_learn(encoder, vectors)


@architectures
@sizes
@channels
def test_a_decoder_maps_vectors_to_images_in_range(
    architecture: Architecture, size: int, channels: int
) -> None:
    network = decoder(architecture, size, channels, WIDTH, inputs=5)
    images = network(torch.randn(3, 5))
    assert images.shape == (3, channels, size, size)
    assert images.std() > 0
    assert_all_learn(network, images)
    extreme = network.eval()(torch.randn(3, 5) * 1000)
    assert extreme.abs().max() <= 1
    assert extreme.std() > 0


@convolutional_architectures
@pytest.mark.parametrize("size", [-8, 0, 1, 4, 7, 9, 12, 48, 63, 65, 100])
def test_a_size_that_halving_does_not_bring_to_4_is_refused(
    architecture: Architecture, size: int
) -> None:
    for build in (
        lambda: Encoder(architecture, size, 1, WIDTH, outputs=5),
        lambda: ImageTrunk(architecture, size, 1, WIDTH),
        lambda: decoder(architecture, size, 1, WIDTH, inputs=5),
    ):
        with pytest.raises(UsageError, match=rf"^image size {size}: .* 8, 16, 32") as caught:
            build()
        assert "\n" not in str(caught.value)


@convolutional_architectures
def test_pooled_maps_are_means_over_quarters(architecture: Architecture) -> None:
    images = torch.randn(3, 1, 16, 16)
    for network in (
        Encoder(architecture, 16, 1, WIDTH, outputs=5).eval(),
        ImageTrunk(architecture, 16, 1, WIDTH),
    ):
        maps = network.convolutions(images)
        quarters = [maps[:, :, r : r + 2, c : c + 2].mean((2, 3)) for r in (0, 2) for c in (0, 2)]
        torch.testing.assert_close(
            network.pooled(images, "convolution"), torch.stack(quarters, 2).flatten(1)
        )


@architectures
def test_an_encoder_in_use_is_deterministic_and_sees_each_image_by_itself(
    architecture: Architecture,
) -> None:
    encoder = Encoder(architecture, 16, 1, WIDTH, outputs=5)
    images = torch.randn(6, 1, 16, 16)
    encoder(images)
    encoder.eval()
    whole = encoder(images)
    assert torch.equal(encoder(images), whole)
    torch.testing.assert_close(encoder(images[:1]), whole[:1], rtol=1e-4, atol=1e-5)


@architectures
def test_building_leaves_no_trace_in_the_statistics(architecture: Architecture) -> None:
    # The width of the last map is found by a look at zeros.
    encoder = Encoder(architecture, 16, 1, WIDTH, outputs=5)
    assert all(module.training for module in encoder.modules())
    normal = [m for m in encoder.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert normal
    for layer in normal:
        assert layer.num_batches_tracked is not None
        assert int(layer.num_batches_tracked) == 0
        assert layer.running_mean is not None
        assert not layer.running_mean.any()


@architectures
def test_no_normalisation_comes_between_the_pixels_and_the_next_layer(
    architecture: Architecture,
) -> None:
    layers = [
        m
        for m in Encoder(architecture, 32, 1, WIDTH, outputs=5).convolutions.modules()
        if isinstance(m, nn.Conv2d | nn.Linear | nn.BatchNorm1d | nn.BatchNorm2d | nn.LeakyReLU)
    ]
    assert isinstance(layers[0], nn.Conv2d | nn.Linear)
    assert layers[0].bias is not None
    if architecture != "resnet":  # which has its activations before its convolutions
        assert isinstance(layers[1], nn.LeakyReLU)
    brightness = torch.linspace(-1, 1, 8)[:, None, None, None].expand(-1, 1, 32, 32)
    encoder = Encoder(architecture, 32, 1, WIDTH, outputs=5).eval()
    assert encoder(brightness).std(0).max() > 1e-4


def test_dcgan_has_a_strided_convolution_for_each_halving_and_nothing_else() -> None:
    kinds = [type(m) for m in dcgan.convolutions(32, 1, WIDTH, normalised=True)]
    assert kinds == [nn.Conv2d, nn.LeakyReLU, *[nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU] * 2]
    kinds = [type(m) for m in dcgan.convolutions(32, 1, WIDTH, normalised=False)]
    assert kinds == [nn.Conv2d, nn.LeakyReLU] * 3


@pytest.mark.parametrize("size", [1, 7, 28, 64])
@channels
def test_a_dense_pair_takes_images_of_any_size_and_has_no_halvings(
    size: int, channels: int
) -> None:
    images = torch.randn(3, channels, size, size)
    encoder = Encoder("dense", size, channels, WIDTH, outputs=5)
    vectors = encoder(images)
    assert vectors.shape == (3, 5)
    assert encoder.convolutions(images).shape == (3, WIDTH, 1, 1)
    assert_all_learn(encoder, vectors)
    trunk = ImageTrunk("dense", size, channels, WIDTH)
    features = trunk(images)
    assert features.shape == (3, trunk.outputs) == (3, WIDTH)
    assert_all_learn(trunk, features)
    network = decoder("dense", size, channels, WIDTH, inputs=5)
    made = network(torch.randn(3, 5))
    assert made.shape == images.shape
    assert made.abs().max() <= 1
    assert_all_learn(network, made)


@convolutional_architectures
def test_the_levels_are_maxima_of_the_last_map_of_each_size(architecture: Architecture) -> None:
    network = Encoder(architecture, 32, 1, WIDTH, 5).eval()
    images = torch.randn(2, 1, 32, 32)
    seen, last = images, {}
    for layer in network.convolutions:
        seen = layer(seen)
        last[seen.shape[-1]] = seen.clone()
    assert {4, 8, 16} <= set(last)
    side = {size: size // 4 for size in last}
    expected = [
        maps[:, :, row : row + side[size], column : column + side[size]].amax((2, 3))
        for size, maps in last.items()
        for row in range(0, size, side[size])
        for column in range(0, size, side[size])
    ]
    # Side by side by level, then by channel, then by place.
    parts = [torch.stack(expected[n : n + 16], 2) for n in range(0, len(expected), 16)]
    found = network.pooled(images, "levels")
    torch.testing.assert_close(found, torch.cat([part.flatten(1) for part in parts], 1))


def test_what_is_pooled_of_a_dense_network_is_its_hidden_layer() -> None:
    images = torch.randn(3, 1, 28, 28)
    for network in (
        Encoder("dense", 28, 1, WIDTH, outputs=5).eval(),
        ImageTrunk("dense", 28, 1, WIDTH),
    ):
        assert torch.equal(
            network.pooled(images, "convolution"), network.convolutions(images).flatten(1)
        )
        assert network.pooled(images, "convolution").shape == (3, WIDTH)


def test_a_dense_network_does_not_know_which_pixels_are_neighbours() -> None:
    # With the first layer's weights in the order of the pixels, any order gives the same features.
    network = dense.convolutions(6, 1, WIDTH, normalised=False)
    images, order = torch.randn(3, 1, 6, 6), torch.randperm(36)
    expected = network(images)
    first = next(m for m in network if isinstance(m, nn.Linear))
    first.weight.data = first.weight.data[:, order]
    shuffled = images.flatten(1)[:, order].reshape_as(images)
    torch.testing.assert_close(network(shuffled), expected)


@pytest.mark.parametrize("size", [8, 16, 32, 64])
def test_the_deeper_pairs_have_two_convolutions_for_each_halving(size: int) -> None:
    def count(network: nn.Module) -> int:
        return sum(isinstance(m, nn.Conv2d | nn.ConvTranspose2d) for m in network.modules())

    halvings = levels_of(size)
    found = {
        name: (
            count(pair.convolutions(size, 1, WIDTH, normalised=False)),
            count(pair.decoder(size, 1, WIDTH, 5)),
        )
        for name, pair in ARCHITECTURES.items()
    }
    assert found["dcgan"] == (halvings, halvings)
    assert found["sndcgan"] == (2 * halvings + 1, halvings + 1)
    # A block's third convolution is of its shortcut.
    assert found["resnet"] == (3 * halvings + 1, 3 * halvings + 1)


@pytest.mark.parametrize("normalised", [False, True])
def test_a_residual_pair_without_its_residuals_is_its_shortcuts(normalised: bool) -> None:
    network = ARCHITECTURES["resnet"].convolutions(16, 1, WIDTH, normalised=normalised).eval()
    for name, parameter in network.named_parameters():
        if "residual" in name:
            parameter.data.zero_()
    images = torch.randn(2, 1, 16, 16)
    first, *blocks = (m for m in network if not isinstance(m, nn.ReLU | nn.BatchNorm2d))
    maps = first(images)
    for block in blocks:
        shortcut = next(m for m in block.modules() if isinstance(m, nn.Conv2d))
        maps = F.conv2d(F.avg_pool2d(maps, 2), shortcut.weight)
    if normalised:
        maps = maps / (1 + 1e-5) ** 0.5  # statistics as they were initialised
    torch.testing.assert_close(network(images), maps.relu())
