"""The networks: shapes at every size, sizes that cannot be, and ranges."""

import pytest
import torch
from torch import nn

from replearn.errors import UsageError
from replearn.networks import dcgan, mlp

WIDTH = 4

sizes = pytest.mark.parametrize("size", [8, 16, 32, 64, 128])
channels = pytest.mark.parametrize("channels", [1, 3])


@sizes
@channels
def test_the_encoder_maps_images_to_vectors_and_pooled_maps(size: int, channels: int) -> None:
    encoder = dcgan.Encoder(size, channels, WIDTH, outputs=5)
    images = torch.zeros(2, channels, size, size)
    assert encoder(images).shape == (2, 5)
    maps = encoder.convolutions(images)
    assert maps.shape == (2, WIDTH * min(size // 8, 8), 4, 4)
    assert encoder.pooled(images).shape == (2, 4 * maps.shape[1])


@sizes
@channels
def test_the_decoder_maps_vectors_to_images_in_range(size: int, channels: int) -> None:
    torch.manual_seed(0)
    decoder = dcgan.decoder(size, channels, WIDTH, inputs=5).eval()
    images = decoder(torch.randn(2, 5) * 1000)
    assert images.shape == (2, channels, size, size)
    assert images.abs().max() <= 1
    assert images.std() > 0


@pytest.mark.parametrize("size", [-8, 0, 1, 4, 7, 12, 48, 63, 65, 100])
def test_a_size_that_halving_does_not_bring_to_4_is_refused(size: int) -> None:
    for build in (dcgan.Encoder, dcgan.decoder):
        with pytest.raises(UsageError, match=rf"image size {size}: .* 8, 16, 32") as caught:
            build(size, 1, WIDTH, 5)
        assert "\n" not in str(caught.value)


def test_pooled_maps_are_means_over_quarters() -> None:
    torch.manual_seed(0)
    encoder = dcgan.Encoder(16, 1, WIDTH, outputs=5).eval()
    images = torch.randn(3, 1, 16, 16)
    maps = encoder.convolutions(images)
    quarters = [maps[:, :, r : r + 2, c : c + 2].mean((2, 3)) for r in (0, 2) for c in (0, 2)]
    torch.testing.assert_close(encoder.pooled(images), torch.stack(quarters, 2).flatten(1))


def test_no_normalisation_comes_between_the_pixels_and_the_first_nonlinearity() -> None:
    layers = list(dcgan.Encoder(32, 1, WIDTH, outputs=5).convolutions)
    kinds = [type(layer) for layer in layers]
    assert kinds[:2] == [nn.Conv2d, nn.LeakyReLU]
    assert kinds[2:] == [nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU] * 2
    assert isinstance(layers[0], nn.Conv2d)
    assert layers[0].bias is not None


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_critic_gives_each_code_one_logit_whatever_the_others(depth: int) -> None:
    torch.manual_seed(0)
    critic = mlp.critic(6, 16, depth).train()
    codes = torch.randn(8, 6)
    logits = critic(codes)
    assert logits.shape == (8, 1)
    torch.testing.assert_close(critic(codes[:1]), logits[:1])
    assert logits.std() > 0
    linear = [layer for layer in critic.modules() if isinstance(layer, nn.Linear)]
    assert len(linear) == depth + 1
    assert not any("Norm" in type(layer).__name__ for layer in critic.modules())


def test_a_critic_s_logit_is_not_bounded() -> None:
    torch.manual_seed(0)
    critic = mlp.critic(6, 16)
    codes = torch.randn(8, 6)
    assert critic(codes * 1e6).abs().max() > 1e3
