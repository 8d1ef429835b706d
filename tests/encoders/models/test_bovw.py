"""Bags of visual words: distances, counting and normalisations against their definitions."""

from typing import get_args

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from replearn.arrays import Array
from replearn.encoders.models import bovw
from replearn.encoders.models.bovw import BoVW, Kind, Normalisation
from replearn.errors import DataError

WORDS = 10

both_kinds = pytest.mark.parametrize("kind", get_args(Kind))
every_normalisation = pytest.mark.parametrize("how", get_args(Normalisation))


def blobs(count: int = 8, size: int = 64, channels: int = 1, *, seed: int = 0) -> Tensor:
    """Return images float [N, C, H, W] in [-1, 1] with corners to find."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, channels, size // 8, size // 8, generator=random)
    return torch.tanh(2 * F.interpolate(coarse, size=size, mode="nearest"))


def fitted(kind: Kind = "orb", how: Normalisation = "idf", channels: int = 1) -> BoVW:
    model = BoVW(channels=channels, keypoints=kind, normalisation=how, words=WORDS, side=128)
    model.fit(blobs(channels=channels))
    return model.eval()


def grey(image: Tensor) -> Array:
    return bovw.to_grey(image, 128)


# Pictures and descriptors


def test_pixels_of_the_size_asked_for_come_back_as_they_were() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = torch.from_numpy(pixels)[None] / 127.5 - 1
    np.testing.assert_array_equal(bovw.to_grey(image, 16), pixels)
    # Larger ones are not made smaller.
    np.testing.assert_array_equal(bovw.to_grey(image, 8), pixels)


def test_a_grey_image_in_colour_is_the_grey_image() -> None:
    image = blobs(1)[0]
    np.testing.assert_array_equal(grey(image.expand(3, -1, -1)), grey(image))


def test_red_is_darker_than_green_and_blue_is_darkest() -> None:
    red, green, blue = (
        grey(2 * torch.eye(3)[c][:, None, None].expand(3, 8, 8) - 1) for c in range(3)
    )
    assert blue.max() < red.max() < green.max()


def test_the_squared_distance_of_orb_descriptors_is_their_hamming_distance() -> None:
    picture = grey(blobs(1)[0])
    _, packed = bovw.detector("orb").detectAndCompute(picture, None)
    bits = bovw.describe(picture, "orb")
    assert bits.shape == (len(packed), 256)
    for i in range(0, len(bits), 5):
        for j in range(0, len(bits), 7):
            differing = sum(
                (int(a) ^ int(b)).bit_count() for a, b in zip(packed[i], packed[j], strict=True)
            )
            assert ((bits[i] - bits[j]) ** 2).sum() == differing


def test_rootsift_is_the_root_of_the_shares_of_sift() -> None:
    picture = grey(blobs(1)[0])
    _, plain = bovw.detector("sift").detectAndCompute(picture, None)
    found = bovw.describe(picture, "sift")
    assert found.shape == (len(plain), 128)
    np.testing.assert_allclose(found**2, plain / plain.sum(1, keepdims=True), atol=1e-6)
    # Unit length: the dot product is Hellinger's kernel.
    np.testing.assert_allclose((found**2).sum(1), 1, rtol=1e-5)


@both_kinds
def test_a_plain_image_has_no_descriptors_and_a_busy_one_a_bounded_number(kind: Kind) -> None:
    assert bovw.describe(np.full((128, 128), 90, np.uint8), kind).shape == (
        0,
        256 if kind == "orb" else 128,
    )
    busy = np.random.default_rng(0).integers(0, 256, (256, 256)).astype(np.uint8)
    found = bovw.describe(cv2.GaussianBlur(busy, (0, 0), 1), kind)
    # OpenCV keeps what ties with the weakest.
    assert 0.9 * bovw._KEYPOINTS < len(found) < 1.1 * bovw._KEYPOINTS


# Counting


def test_a_histogram_counts_the_nearest_words() -> None:
    random = np.random.default_rng(0)
    descriptors, vocabulary = random.normal(size=(200, 6)), random.normal(size=(9, 6))
    expected = np.zeros(10)
    for descriptor in descriptors:
        distances = [((descriptor - word) ** 2).sum() for word in vocabulary]
        expected[distances.index(min(distances))] += 1
    found = bovw.histogram(torch.from_numpy(descriptors), torch.from_numpy(vocabulary))
    np.testing.assert_array_equal(found.numpy(), expected)
    assert found.sum() == 200


def test_words_are_the_same_where_networks_run_in_half_precision() -> None:
    random = torch.Generator().manual_seed(0)
    descriptors, vocabulary = (torch.rand(n, 64, generator=random) for n in (500, 100))
    with torch.autocast("cpu", torch.bfloat16):
        found = bovw.histogram(descriptors, vocabulary)
    assert torch.equal(found, bovw.histogram(descriptors, vocabulary))


def test_without_keypoints_the_last_word_counts_one_and_no_other_does() -> None:
    found = bovw.histogram(torch.zeros(0, 6), torch.randn(9, 6))
    assert found.tolist() == [0.0] * 9 + [1.0]


def test_the_order_of_the_keypoints_does_not_matter() -> None:
    random = torch.Generator().manual_seed(0)
    descriptors, vocabulary = (torch.randn(n, 6, generator=random) for n in (50, 9))
    found = bovw.histogram(descriptors.flip(0), vocabulary)
    assert torch.equal(found, bovw.histogram(descriptors, vocabulary))


# Normalisations


def counts() -> Tensor:
    """Return the histograms of four images over four words and "none"."""
    return torch.tensor(
        [
            [4.0, 1.0, 0.0, 3.0, 0.0],
            [2.0, 0.0, 0.0, 0.0, 0.0],
            [1.0, 1.0, 0.0, 1.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, 1.0],
        ]
    )


def test_idf_is_the_logarithm_of_one_and_images_by_images_with_the_word() -> None:
    found = bovw.inverse_document_frequency(counts())
    expected = np.log([1 + 4 / 4, 1 + 4 / 3, 1 + 4 / 1, 1 + 4 / 3, 1 + 4 / 2])
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_idf_is_above_zero_for_a_word_of_all_images_and_finite_for_one_of_none() -> None:
    found = bovw.inverse_document_frequency(torch.tensor([[1.0, 0.0]]).repeat(50, 1))
    assert found[0] > 0
    assert found[1] > found[0]
    assert found.isfinite().all()


def test_max_divides_by_the_largest_count() -> None:
    found = bovw.normalise(counts(), torch.ones(5), "max")
    assert found[0].tolist() == [1.0, 0.25, 0.0, 0.75, 0.0]
    assert found.amax(1).tolist() == [1.0] * 4


def test_power_is_the_root_of_the_shares_and_of_length_one() -> None:
    found = bovw.normalise(counts(), torch.ones(5), "power")
    np.testing.assert_allclose(found[0].numpy(), np.sqrt([4 / 8, 1 / 8, 0, 3 / 8, 0]), rtol=1e-6)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(4))


def test_idf_weights_the_shares_and_brings_them_to_length_one() -> None:
    idf = torch.tensor([0.5, 2.0, 3.0, 1.0, 1.5])
    found = bovw.normalise(counts(), idf, "idf")
    weighted = np.array([4 / 8 * 0.5, 1 / 8 * 2, 0, 3 / 8 * 1, 0])
    expected = weighted / np.sqrt((weighted**2).sum())
    np.testing.assert_allclose(found[0].numpy(), expected, rtol=1e-6)


@every_normalisation
def test_normalised_histograms_do_not_depend_on_the_number_of_keypoints(how: Normalisation) -> None:
    idf = bovw.inverse_document_frequency(counts())
    once, thrice = (bovw.normalise(factor * counts(), idf, how) for factor in (1, 3))
    torch.testing.assert_close(once, thrice)


# The model


@both_kinds
@every_normalisation
def test_the_embedding_is_the_normalised_histogram_of_the_image(
    kind: Kind, how: Normalisation
) -> None:
    model = fitted(kind, how)
    images = blobs(2, seed=3)
    expected = torch.stack(
        [
            bovw.histogram(torch.from_numpy(bovw.describe(grey(image), kind)), model.vocabulary)
            for image in images
        ]
    )
    assert (expected[:, :WORDS].sum(1) > 20).all()
    found = model.embed(images)
    assert found.shape == (2, WORDS + 1)
    assert torch.equal(found, bovw.normalise(expected, model.idf, how))


@both_kinds
@every_normalisation
def test_an_image_without_keypoints_is_the_extra_word(kind: Kind, how: Normalisation) -> None:
    model = fitted(kind, how)
    found = model.embed(torch.cat([torch.zeros(1, 1, 64, 64), blobs(1)]))
    torch.testing.assert_close(found[0], torch.eye(WORDS + 1)[WORDS])
    assert found[1, WORDS] == 0


@both_kinds
def test_the_idf_is_that_of_the_images_fitted_on(kind: Kind) -> None:
    images = torch.cat([blobs(5), torch.zeros(2, 1, 64, 64)])
    model = BoVW(keypoints=kind, normalisation="max", words=WORDS, side=128)
    model.fit(images)
    # Under `max` what is zero is zero, so the embeddings tell which words are there.
    expected = bovw.inverse_document_frequency(model.embed(images))
    torch.testing.assert_close(model.idf, expected)
    torch.testing.assert_close(model.idf[-1], torch.tensor(1 + 7 / 3).log())


@both_kinds
@pytest.mark.parametrize("channels", [1, 3])
def test_fitting_again_gives_the_same_and_no_image_depends_on_another(
    kind: Kind, channels: int
) -> None:
    images = blobs(4, channels=channels, seed=2)
    torch.manual_seed(1)
    first = fitted(kind, channels=channels)
    torch.manual_seed(2)
    again = fitted(kind, channels=channels)
    together = first.embed(images)
    assert torch.equal(again.embed(images), together)
    alone = torch.cat([first.embed(image[None]) for image in images.flip(0)]).flip(0)
    assert torch.equal(alone, together)
    assert torch.pdist(together).min() > 0


def test_a_vocabulary_is_of_rows_that_share_out_the_descriptors() -> None:
    model = fitted()
    # Centres of bits are rates of bits.
    assert model.vocabulary.min() >= 0
    assert model.vocabulary.max() <= 1
    used = sum(model.embed(image[None])[0] > 0 for image in blobs())
    assert isinstance(used, Tensor)
    assert (used[:WORDS] > 0).all()


@both_kinds
def test_fewer_different_descriptors_than_words_are_refused(kind: Kind) -> None:
    model = BoVW(keypoints=kind, words=5000, side=128)
    with pytest.raises(
        DataError, match=r"^words 5000: the keypoints of 2 images have only \d+ "
    ) as caught:
        model.fit(blobs(2))
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="only 0 different"):
        model.fit(torch.zeros(2, 1, 64, 64))


@both_kinds
@pytest.mark.parametrize("channels", [1, 3])
def test_the_picture_is_the_enlarged_images_with_marks_in_colour(kind: Kind, channels: int) -> None:
    plain_and_busy = torch.cat([torch.zeros(1, channels, 64, 64), blobs(2, channels=channels)])
    grid = fitted(kind, channels=channels).grids(plain_and_busy)["keypoints"]
    assert grid.shape == (1, 3, 3, 128, 128)
    assert grid.abs().max() <= 1
    coloured = (grid[0].amax(1) - grid[0].amin(1)).flatten(1).amax(1)
    assert coloured[0] == 0
    assert (coloured[1:] > 0.5).all()
