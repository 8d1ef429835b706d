"""Networks of two image sizes: the generator, the pyramid and its trunk."""

import pytest
import torch

from replearn.encoders.networks import two_level
from replearn.errors import UsageError
from tests.encoders.networks.small import WIDTH, assert_all_learn, channels, large, levels_of

two_level_sizes = pytest.mark.parametrize("size", [16, 32, 64, large[0]])


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


def test_both_sizes_of_a_pyramid_fit_the_trunk_and_the_generator_s_images_do_too() -> None:
    trunk = two_level.PyramidTrunk(32, 1, WIDTH)
    made = two_level.Generator(32, 1, WIDTH, inputs=5)(torch.randn(3, 5))
    shown = two_level.pyramid(torch.randn(3, 1, 32, 32))
    assert trunk(*made).shape == trunk(*shown).shape
    assert [x.shape for x in made] == [x.shape for x in shown]


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
