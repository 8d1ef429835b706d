"""Critics: what a logit may depend on, spectral normalisation, and the batch's deviation."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from replearn.encoders.networks import architectures, two_level
from replearn.encoders.networks.architectures import (
    ARCHITECTURES,
    Architecture,
    ImageTrunk,
)
from replearn.encoders.networks.critic import (
    Critic,
    PairTrunk,
    SpectralNorm,
    Trunk,
    minibatch_stddev,
)
from replearn.encoders.networks.mlp import CodeTrunk
from tests.encoders.networks.small import (
    COUNT,
    WIDTH,
    assert_all_learn,
    channels,
    convolutional_architectures,
    sizes,
)


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


Make = Callable[[], tuple[Trunk, tuple[Tensor, ...]]]


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


every_layer = pytest.mark.parametrize("make", [linear, wide, single, convolution])


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
        features = architectures.ImageTrunk(architecture, 64, 1, WIDTH)(images)
    else:
        features = two_level.PyramidTrunk(64, 1, WIDTH)(*two_level.pyramid(images))
    # torch's default initial weights leave between 0.0002 and 0.007.
    assert features.std(0).mean() > 0.02
