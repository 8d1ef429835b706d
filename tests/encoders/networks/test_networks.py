"""The networks: shapes at every size, ranges, gradients, and what a critic may depend on."""

import copy
import math
import typing
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from replearn.encoders.networks import convolutional, dcgan, dense, two_level
from replearn.encoders.networks.convolutional import (
    ARCHITECTURES,
    Architecture,
    Convolutional,
    Encoder,
    ImageTrunk,
    Maps,
)
from replearn.encoders.networks.critic import (
    Critic,
    PairTrunk,
    SpectralNorm,
    Trunk,
    minibatch_stddev,
)
from replearn.encoders.networks.mlp import CodeTrunk
from replearn.encoders.networks.normalisation import measure_statistics
from replearn.encoders.networks.unet import UNet
from replearn.errors import UsageError

WIDTH = 4

CONVOLUTIONAL = [name for name in ARCHITECTURES if name != "dense"]

architectures = pytest.mark.parametrize("architecture", ARCHITECTURES)
convolutional_architectures = pytest.mark.parametrize("architecture", CONVOLUTIONAL)
channels = pytest.mark.parametrize("channels", [1, 3])
large = [pytest.param(size, marks=pytest.mark.slow) for size in (128, 256)]
sizes = pytest.mark.parametrize("size", [8, 16, 32, 64, *large])
two_level_sizes = pytest.mark.parametrize("size", [16, 32, 64, large[0]])


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


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


# Encoders and decoders of each architecture.


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


@convolutional_architectures
@sizes
@channels
def test_a_trunk_maps_images_to_as_many_features_as_it_says(
    architecture: Architecture, size: int, channels: int
) -> None:
    trunk = ImageTrunk(architecture, size, channels, WIDTH)
    images = torch.randn(3, channels, size, size)
    features = trunk(images)
    assert features.shape == (3, trunk.outputs)
    assert trunk.pooled(images, "convolution").shape == (3, trunk.outputs // 4)
    assert_all_learn(trunk, features)


@architectures
@sizes
@channels
def test_a_decoder_maps_vectors_to_images_in_range(
    architecture: Architecture, size: int, channels: int
) -> None:
    decoder = convolutional.decoder(architecture, size, channels, WIDTH, inputs=5)
    images = decoder(torch.randn(3, 5))
    assert images.shape == (3, channels, size, size)
    assert images.std() > 0
    assert_all_learn(decoder, images)
    extreme = decoder.eval()(torch.randn(3, 5) * 1000)
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
        lambda: convolutional.decoder(architecture, size, 1, WIDTH, inputs=5),
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
    decoder = convolutional.decoder("dense", size, channels, WIDTH, inputs=5)
    made = decoder(torch.randn(3, 5))
    assert made.shape == images.shape
    assert made.abs().max() <= 1
    assert_all_learn(decoder, made)


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


# U-Nets.


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


# Two levels.


@two_level_sizes
@channels
def test_the_generator_draws_each_image_at_full_and_quarter_size(size: int, channels: int) -> None:
    generator = two_level.Generator(size, channels, WIDTH, inputs=5)
    full, quarter = generator(torch.randn(3, 5))
    assert full.shape == (3, channels, size, size)
    assert quarter.shape == (3, channels, size // 4, size // 4)
    assert_all_learn(generator, torch.cat([full.flatten(1), quarter.flatten(1)], dim=1))
    for images in generator(torch.randn(3, 5) * 1000):
        assert images.abs().max() <= 1
        assert images.std() > 0


@two_level_sizes
@channels
def test_a_pyramid_s_features_are_as_many_as_it_says_and_see_both_sizes(
    size: int, channels: int
) -> None:
    trunk = two_level.PyramidTrunk(size, channels, WIDTH)
    images = torch.randn(3, channels, size, size, requires_grad=True)
    small = torch.randn(3, channels, size // 4, size // 4, requires_grad=True)
    features = trunk(images, small)
    assert features.shape == (3, trunk.outputs)
    assert_all_learn(trunk, features)
    for seen in (images, small):
        assert seen.grad is not None
        assert (seen.grad.flatten(1).abs().sum(1) > 0).all()


def test_the_generator_s_batch_does_not_matter() -> None:
    generator, codes = two_level.Generator(16, 1, WIDTH, inputs=5), torch.randn(6, 5)
    for whole, alone in zip(generator(codes), generator(codes[:1]), strict=True):
        torch.testing.assert_close(alone, whole[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 16), (1, 64, 64)])
def test_a_pyramid_is_the_images_and_their_means_over_4_by_4(shape: tuple[int, ...]) -> None:
    images = torch.randn(2, *shape)
    full, small = two_level.pyramid(images)
    assert torch.equal(full, images)
    assert small.shape == (2, shape[0], shape[1] // 4, shape[2] // 4)
    for row in range(small.shape[2]):
        for column in range(small.shape[3]):
            patch = images[:, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            torch.testing.assert_close(small[:, :, row, column], patch.mean((2, 3)))


def test_both_sizes_of_a_pyramid_fit_the_trunk_and_the_generator_s_images_do_too() -> None:
    trunk = two_level.PyramidTrunk(32, 1, WIDTH)
    made = two_level.Generator(32, 1, WIDTH, inputs=5)(torch.randn(3, 5))
    shown = two_level.pyramid(torch.randn(3, 1, 32, 32))
    assert trunk(*made).shape == trunk(*shown).shape
    assert [x.shape for x in made] == [x.shape for x in shown]


@pytest.mark.parametrize("size", [-16, 0, 4, 8, 20, 24, 63])
def test_two_levels_need_a_size_with_a_quarter_of_at_least_4(size: int) -> None:
    for build in (
        lambda: two_level.Generator(size, 1, WIDTH, inputs=5),
        lambda: two_level.PyramidTrunk(size, 1, WIDTH),
    ):
        with pytest.raises(UsageError, match=rf"^image size {size}: .* 16, 32") as caught:
            build()
        assert "\n" not in str(caught.value)


def test_pixels_are_normalised_to_unit_mean_square_over_their_channels() -> None:
    generator = two_level.Generator(32, 1, WIDTH, inputs=5)
    norms = [m for m in generator.modules() if type(m).__name__ == "_PixelNorm"]
    assert len(norms) == 2 * levels_of(32)
    for norm in norms:
        squares = norm(torch.randn(2, 7, 3, 3) * 50).square().mean(1)
        torch.testing.assert_close(squares, torch.ones(2, 3, 3))


# Critics.

Make = Callable[[], tuple[Trunk, tuple[Tensor, ...]]]
COUNT = 6


def codes() -> tuple[Trunk, tuple[Tensor, ...]]:
    return CodeTrunk(5, 8), (torch.randn(COUNT, 5),)


def of_images(architecture: Architecture) -> Make:
    def images() -> tuple[Trunk, tuple[Tensor, ...]]:
        return ImageTrunk(architecture, 16, 1, WIDTH), (torch.randn(COUNT, 1, 16, 16),)

    return images


def pyramids() -> tuple[Trunk, tuple[Tensor, ...]]:
    return two_level.PyramidTrunk(16, 1, WIDTH), two_level.pyramid(torch.randn(COUNT, 1, 16, 16))


def pairs() -> tuple[Trunk, tuple[Tensor, ...]]:
    trunk = PairTrunk(ImageTrunk("dcgan", 16, 1, WIDTH), CodeTrunk(5, 8), 16)
    return trunk, (torch.randn(COUNT, 1, 16, 16), torch.randn(COUNT, 5))


TRUNKS: dict[str, Make] = {
    "codes": codes,
    **{name: of_images(name) for name in ARCHITECTURES},
    "pyramids": pyramids,
    "pairs": pairs,
}
every_trunk = pytest.mark.parametrize("make", TRUNKS.values(), ids=TRUNKS)


@every_trunk
def test_trunks_have_no_normalisation(make: Make) -> None:
    trunk, _ = make()
    assert not any("Norm" in type(module).__name__ for module in trunk.modules())
    assert not list(trunk.buffers())


@every_trunk
@pytest.mark.parametrize("spectral_norm", [False, True])
def test_each_logit_is_independent_of_the_other_inputs(make: Make, spectral_norm: bool) -> None:
    trunk, inputs = make()
    critic = Critic(trunk, spectral_norm=spectral_norm)
    critic.eval()  # else each forward brings the spectral vectors a step on
    logits = critic(*inputs)
    assert logits.shape == (COUNT, 1)
    assert logits.std() > 0
    torch.testing.assert_close(critic(*(x[:1] for x in inputs)), logits[:1], rtol=1e-4, atol=1e-6)
    # Nor has one row's input any gradient from another row's logit.
    points = tuple(x.clone().requires_grad_() for x in inputs)
    for gradient in torch.autograd.grad(critic(*points)[2], points):
        rows = gradient.flatten(1).abs().sum(1)
        assert rows[2] > 0
        assert rows.count_nonzero() == 1


@every_trunk
def test_without_spectral_norm_training_and_use_are_the_same(make: Make) -> None:
    trunk, inputs = make()
    critic = Critic(trunk, minibatch_stddev=True)
    assert torch.equal(critic.train()(*inputs), critic.eval()(*inputs))


@every_trunk
@pytest.mark.parametrize("minibatch", [False, True])
@pytest.mark.parametrize("spectral_norm", [False, True])
def test_all_of_a_critic_learns(make: Make, minibatch: bool, spectral_norm: bool) -> None:
    trunk, inputs = make()
    critic = Critic(trunk, spectral_norm=spectral_norm, minibatch_stddev=minibatch)
    assert_all_learn(critic, critic(*inputs))


@every_trunk
def test_a_logit_judges_the_features(make: Make) -> None:
    trunk, inputs = make()
    critic = Critic(trunk)
    features = critic.features(*inputs)
    assert features.shape == (COUNT, trunk.outputs)
    expected = features.double() @ critic.head.weight.double().T + critic.head.bias.double()
    torch.testing.assert_close(critic(*inputs), expected.float(), rtol=1e-4, atol=1e-5)
    assert torch.equal(critic.judge(features), critic(*inputs))


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_critic_of_codes_is_as_deep_as_asked_and_not_bounded(depth: int) -> None:
    critic = Critic(CodeTrunk(6, 16, depth))
    linear = [layer for layer in critic.modules() if isinstance(layer, nn.Linear)]
    assert len(linear) == depth + 1
    assert critic(torch.randn(8, 6) * 1e6).abs().max() > 1e3


@every_trunk
def test_trunks_leave_their_inputs_as_they_are(make: Make) -> None:
    trunk, inputs = make()
    copies = [x.clone() for x in inputs]
    trunk(*inputs)
    for x, before in zip(inputs, copies, strict=True):
        assert torch.equal(x, before)


def test_a_pair_s_logit_depends_on_the_image_and_on_the_code_and_on_their_match() -> None:
    trunk, (images, latents) = pairs()
    critic = Critic(trunk)
    logits = critic(images, latents)
    for other in (critic(images.flip(0), latents), critic(images, latents.flip(0))):
        assert ((other - logits).abs() > 1e-6).all()
    # Were it a sum of an image's part and a code's part, mismatches would go unseen.
    crossed = critic(images.flip(0), latents) + critic(images, latents.flip(0))
    assert (crossed - logits - logits.flip(0)).abs().max() > 1e-5


def test_a_pair_s_code_is_a_third_of_what_is_seen_together() -> None:
    trunk = PairTrunk(ImageTrunk("dcgan", 16, 1, WIDTH), CodeTrunk(5, 8), 16)
    assert trunk.outputs == 16
    first = next(m for m in trunk.together if isinstance(m, nn.Linear))
    assert first.in_features == 3 * 8


# Minibatch standard deviation.


@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_batch_s_deviation_is_the_mean_of_the_features_deviations(count: int) -> None:
    features = torch.randn(count, 5) * torch.arange(1, 6)
    values = features.double()
    centred = values - values.sum(0) / count
    expected = float(((centred**2).sum(0) / count).sqrt().mean())
    found = minibatch_stddev(features)
    assert found.shape == (count, 1)
    assert found.tolist() == [[pytest.approx(expected, abs=1.1e-4)]] * count


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_equal_rows_do_not_deviate_and_have_a_finite_gradient(kind: torch.dtype) -> None:
    features = torch.randn(1, 5).to(kind).repeat(6, 1).requires_grad_()
    found = minibatch_stddev(features)
    assert found.abs().max() < 1e-3
    torch.autograd.backward(found.sum())
    assert features.grad is not None
    assert features.grad.isfinite().all()


@every_trunk
def test_a_critic_with_the_deviation_sees_the_batch(make: Make) -> None:
    trunk, inputs = make()
    critic = Critic(trunk, minibatch_stddev=True)
    assert critic.head.in_features == trunk.outputs + 1
    logits = critic(*inputs)
    # Inputs of one kind in the whole batch give another verdict on the first.
    alike = critic(*(x[:1].expand_as(x) for x in inputs))
    assert (alike[0] - logits[0]).abs() > 1e-6
    # The difference is the deviation's weight times the deviation.
    weight = critic.head.weight[0, -1]
    both = (
        minibatch_stddev(critic.features(*(x[:1].expand_as(x) for x in inputs))),
        minibatch_stddev(critic.features(*inputs)),
    )
    torch.testing.assert_close(
        alike[:1] - logits[:1], weight * (both[0] - both[1])[:1], rtol=1e-3, atol=1e-6
    )


def test_the_deviation_does_not_depend_on_the_order_of_the_rows() -> None:
    features = torch.randn(9, 5)
    torch.testing.assert_close(minibatch_stddev(features.flip(0)), minibatch_stddev(features))


# Spectral normalisation.


def linear() -> tuple[nn.Module, Tensor]:
    return nn.Linear(7, 5), torch.randn(2, 7)


def wide() -> tuple[nn.Module, Tensor]:
    return nn.Linear(3, 9), torch.randn(2, 3)


def single() -> tuple[nn.Module, Tensor]:
    return nn.Linear(7, 1), torch.randn(2, 7)


def convolution() -> tuple[nn.Module, Tensor]:
    return nn.Conv2d(3, 6, 4, stride=2, padding=1), torch.randn(2, 3, 8, 8)


Layer = Callable[[], tuple[nn.Module, Tensor]]
every_layer = pytest.mark.parametrize("make", [linear, wide, single, convolution])


def weight_of(layer: nn.Module) -> Tensor:
    weight = layer.get_parameter("weight")
    assert isinstance(weight, nn.Parameter)
    return weight


def normalised(make: Layer, *, gap: float = 2.0) -> tuple[nn.Module, Tensor, SpectralNorm]:
    """Return a layer whose largest singular value is `gap` times the next, its input and norm."""
    layer, inputs = make()
    weight = weight_of(layer)
    left, values, right = torch.linalg.svd(weight.detach().flatten(1), full_matrices=False)
    values[0] = gap * values[:2].max()
    weight.data.copy_((3 * left * values @ right).reshape_as(weight))
    norm = SpectralNorm(weight)
    parametrize.register_parametrization(layer, "weight", norm)
    return layer, inputs, norm


def largest(weight: Tensor) -> float:
    return float(torch.linalg.matrix_norm(weight.detach().double().flatten(1), ord=2))


def scaled(layer: nn.Module) -> Tensor:
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight


@every_layer
def test_after_some_forwards_the_largest_singular_value_is_1(make: Layer) -> None:
    layer, inputs, _ = normalised(make)
    raw = layer.get_parameter("parametrizations.weight.original")
    for _ in range(20):
        layer(inputs)
    assert largest(scaled(layer)) == pytest.approx(1, abs=1e-4)
    # It is the layer's own weight, divided by one number.
    torch.testing.assert_close(scaled(layer) * largest(raw), raw, rtol=1e-4, atol=1e-5)


@every_trunk
def test_every_layer_of_a_critic_comes_to_a_largest_singular_value_of_1(make: Make) -> None:
    trunk, inputs = make()
    critic = Critic(trunk, spectral_norm=True)
    with torch.no_grad():
        for _ in range(300):
            critic(*(x[:1] for x in inputs))
    critic.eval()
    layers = [m for m in critic.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert len(layers) >= 3
    for layer in layers:
        assert parametrize.is_parametrized(layer, "weight")
        # Values that are close to each other take many steps to tell apart.
        assert largest(layer.weight) == pytest.approx(1, abs=0.01)


@every_layer
def test_one_forward_is_one_step_of_the_power_iteration(make: Layer) -> None:
    layer, inputs, norm = normalised(make)
    raw = layer.get_parameter("parametrizations.weight.original").detach().double().flatten(1)
    left = norm.left.double()
    right = left @ raw / (left @ raw).norm()
    found = layer(inputs)
    sigma = (raw @ right).norm()
    plain, _ = make()
    plain.get_parameter("weight").data.copy_((raw / sigma).reshape_as(scaled(layer)))
    plain.get_parameter("bias").data.copy_(layer.get_parameter("bias"))
    torch.testing.assert_close(found, plain(inputs), rtol=1e-4, atol=1e-5)


@every_layer
def test_in_use_the_norm_is_deterministic_and_changes_no_buffer(make: Layer) -> None:
    layer, inputs, _ = normalised(make)
    layer(inputs)
    layer.eval()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    first = layer(inputs)
    assert torch.equal(layer(inputs), first)
    for name, value in layer.state_dict().items():
        assert torch.equal(value, before[name]), name


@every_layer
def test_each_forward_in_training_brings_the_vector_on(make: Layer) -> None:
    layer, inputs, norm = normalised(make)
    raw = layer.get_parameter("parametrizations.weight.original")
    errors = []
    for _ in range(6):
        errors.append(abs(largest(scaled(layer.eval())) - 1))
        layer.train()(inputs)
    assert errors[-1] <= errors[0] + 1e-6
    assert errors[-1] < 0.05
    assert float(norm.left.norm()) == pytest.approx(1, abs=1e-5)
    assert raw.grad is None


@every_layer
def test_the_gradient_is_that_of_the_weight_over_its_largest_singular_value(make: Layer) -> None:
    layer, inputs, norm = normalised(make)
    layer, inputs = layer.double(), inputs.double()
    for _ in range(60):
        layer(inputs)
    assert norm.left.dtype == torch.float64
    raw = layer.get_parameter("parametrizations.weight.original")
    factors = torch.randn_like(raw)
    (found,) = torch.autograd.grad((scaled(layer) * factors).sum(), raw)
    exact = raw.detach().clone().requires_grad_()
    sigma = torch.linalg.svdvals(exact.flatten(1))[0]
    (expected,) = torch.autograd.grad((exact / sigma * factors).sum(), exact)
    torch.testing.assert_close(found, expected)
    # Larger weights change nothing, so the gradient has no part along the weight.
    assert (found * raw).sum().abs() < 1e-10


@every_layer
@pytest.mark.parametrize("factor", [1e-3, 0.5, 40.0])
def test_the_length_of_the_stored_vector_does_not_matter(make: Layer, factor: float) -> None:
    layer, inputs, norm = normalised(make)
    layer.eval()
    before = layer(inputs)
    norm.left.mul_(factor)
    torch.testing.assert_close(layer(inputs), before)


@every_layer
@pytest.mark.parametrize("factor", [1e-3, 40.0])
def test_the_size_of_the_weight_does_not_matter(make: Layer, factor: float) -> None:
    layer, _, _ = normalised(make)
    layer.eval()
    before = scaled(layer).detach().clone()
    layer.get_parameter("parametrizations.weight.original").data.mul_(factor)
    torch.testing.assert_close(scaled(layer).detach(), before)


@pytest.mark.parametrize("minibatch", [False, True])
@every_trunk
def test_copies_of_a_critic_judge_alike_and_live_apart(make: Make, minibatch: bool) -> None:
    trunk, inputs = make()
    critic = Critic(trunk, spectral_norm=True, minibatch_stddev=minibatch)
    critic(*inputs)
    critic.eval()
    expected = critic(*inputs)
    twin = copy.deepcopy(critic)
    assert torch.equal(twin(*inputs), expected)
    other = Critic(make()[0], spectral_norm=True, minibatch_stddev=minibatch).eval()
    assert not torch.equal(other(*inputs), expected)
    other.load_state_dict(critic.state_dict())
    assert torch.equal(other(*inputs), expected)
    # What happens to a copy does not happen to the original.
    twin.train()
    for parameter in twin.parameters():
        parameter.data.mul_(-2).add_(0.1)
    twin(*inputs)
    assert torch.equal(critic(*inputs), expected)


def test_only_the_weights_of_the_critic_s_own_layers_are_held() -> None:
    critic = Critic(CodeTrunk(5, 8), spectral_norm=True)
    assert {name.split(".")[-1] for name, _ in critic.named_buffers()} == {"left"}
    assert {name.rsplit(".", 1)[-1] for name, _ in critic.named_parameters()} == {
        "original",
        "bias",
    }
    plain = Critic(CodeTrunk(5, 8))
    assert not list(plain.buffers())
    assert not any("parametrizations" in name for name, _ in plain.named_parameters())


@pytest.mark.parametrize("architecture", [*ARCHITECTURES, "two-level"])
def test_an_untrained_critic_s_features_depend_on_the_image_however_deep_it_is(
    architecture: Architecture,
) -> None:
    torch.manual_seed(0)
    images = torch.tanh(F.interpolate(torch.randn(16, 1, 8, 8), size=64, mode="bilinear"))
    if architecture in ARCHITECTURES:
        features = convolutional.ImageTrunk(architecture, 64, 1, WIDTH)(images)
    else:
        features = two_level.PyramidTrunk(64, 1, WIDTH)(*two_level.pyramid(images))
    # torch's default initial weights leave between 0.0002 and 0.007.
    assert features.std(0).mean() > 0.02


# Statistics of batch normalisation.


@pytest.mark.parametrize("count", [200, 258])  # one batch, and one and a little more
@architectures
def test_measured_statistics_standardise_what_the_images_make_of_each_layer(
    architecture: Architecture, count: int
) -> None:
    encoder = Encoder(architecture, 16, 1, WIDTH, outputs=5).eval()
    images = 3 + 2 * torch.randn(count, 1, 16, 16)
    momenta = [m.momentum for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    measure_statistics(encoder, images)
    assert not any(module.training for module in encoder.modules())
    assert momenta == [m.momentum for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    seen: list[Tensor] = []
    for layer in encoder.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.register_forward_hook(lambda module, inputs, output: seen.append(output.clone()))
    with torch.no_grad():
        encoder(images)
    assert seen
    for output in seen:
        units = output.transpose(0, 1).flatten(1)
        # Each of several batches was standardised by itself on its way to the layer.
        near = 1 if count <= 256 else 20
        torch.testing.assert_close(units.mean(1), torch.zeros(len(units)), atol=1e-3 * near, rtol=0)
        torch.testing.assert_close(units.std(1), torch.ones(len(units)), atol=1e-2 * near, rtol=0)
