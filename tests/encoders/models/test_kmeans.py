"""Patch features by k-means: every step against a loop, and what the embedding promises."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from replearn.encoders.models.kmeans import KMeans
from replearn.encoders.patches import pooling
from replearn.encoders.patches.dictionary import Dictionary
from replearn.encoders.patches.encodings import triangle
from replearn.encoders.patches.whitening import normalise
from replearn.errors import DataError, UsageError

WORDS = 12


def textures(count: int = 12, size: int = 20, channels: int = 1, *, seed: int = 0) -> Tensor:
    """Return images float [N, C, H, W] in [-1, 1] with coarse and fine structure."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, channels, 5, 5, generator=random)
    fine = torch.randn(count, channels, size, size, generator=random)
    return torch.tanh(F.interpolate(coarse, size=size, mode="bilinear") + 0.3 * fine)


def fitted(size: int = 20, channels: int = 1, words: int = WORDS, stride: int = 2) -> KMeans:
    model = KMeans(size=size, channels=channels, words=words, stride=stride)
    model.fit(textures(size=size, channels=channels))
    return model.eval()


def words_of(model: KMeans) -> Dictionary:
    dictionary = model.dictionaries[0]
    assert isinstance(dictionary, Dictionary)
    return dictionary


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_embedding_is_the_mean_activation_of_the_patches_of_each_quadrant(
    channels: int, stride: int
) -> None:
    # 20 px hold 15 (stride 1) or 8 (stride 2) patches in a row: the middle one of 15 counts twice.
    model = fitted(channels=channels, stride=stride)
    dictionary = words_of(model)
    image = textures(1, channels=channels, seed=3)[0]
    count = (20 - 6) // stride + 1
    half = (count + 1) // 2
    expected = torch.zeros(WORDS, 2, 2)
    for vertical, horizontal in np.ndindex(2, 2):
        rows = range(half) if vertical == 0 else range(count - half, count)
        columns = range(half) if horizontal == 0 else range(count - half, count)
        for row in rows:
            for column in columns:
                top, left = row * stride, column * stride
                patch = image[:, top : top + 6, left : left + 6].flatten()
                white = dictionary.whiten(normalise(patch))
                active = triangle(white[None], dictionary.words)[0]
                expected[:, vertical, horizontal] += active / (len(rows) * len(columns))
    torch.testing.assert_close(model.embed(image[None])[0], expected.flatten(), rtol=0, atol=1e-5)


def test_content_in_one_quadrant_changes_that_quadrant_only() -> None:
    model = fitted()
    plain = torch.zeros(1, 1, 20, 20)
    for quadrant, (top, left) in enumerate([(0, 0), (0, 14), (14, 0), (14, 14)]):
        image = plain.clone()
        image[:, :, top : top + 6, left : left + 6] = textures(1, 6, seed=4)
        difference = (model.embed(image) - model.embed(plain)).reshape(WORDS, 4).abs().sum(0)
        assert difference[quadrant] > 0.01
        others = [other for other in range(4) if other != quadrant]
        assert difference[others].max() < 1e-5


def test_an_image_twice_as_large_of_the_same_texture_has_embeddings_of_the_same_size() -> None:
    model = fitted()
    small, large = (textures(20, size, seed=7).sign() * 0.5 for size in (20, 40))
    ratio = model.embed(large).mean() / model.embed(small).mean()
    assert 0.8 < ratio < 1.25


def test_a_constant_image_has_a_finite_embedding_whatever_its_brightness() -> None:
    model = fitted()
    images = torch.tensor([-1.0, 0.0, 1.0]).reshape(3, 1, 1, 1).expand(3, 1, 20, 20)
    found = model.embed(images)
    assert found.isfinite().all()
    torch.testing.assert_close(found, found[:1].expand(3, -1), rtol=0, atol=1e-5)


def test_how_many_images_are_embedded_at_once_does_not_change_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = fitted()
    images = textures(9, seed=5)
    together = model.embed(images)
    monkeypatch.setattr(pooling, "_ACTIVATIONS", 2 * 8 * 8 * WORDS)  # two images at a time
    torch.testing.assert_close(model.embed(images), together, rtol=0, atol=1e-6)
    monkeypatch.setattr(pooling, "_ACTIVATIONS", 1)  # less than one image has
    torch.testing.assert_close(model.embed(images), together, rtol=0, atol=1e-6)


def test_the_dictionary_does_not_depend_on_torch_s_seed() -> None:
    torch.manual_seed(1)
    first = fitted()
    torch.manual_seed(2)
    assert torch.equal(words_of(first).words, words_of(fitted()).words)


def test_the_dictionary_depends_on_the_seed_that_it_is_given() -> None:
    first, same, other = (KMeans(size=20, words=WORDS) for _ in range(3))
    first.fit(textures())
    same.fit(textures(), seed=0)
    other.fit(textures(), seed=1)
    assert torch.equal(words_of(first).words, words_of(same).words)
    assert not torch.equal(words_of(first).words, words_of(other).words)


def test_several_sizes_of_patches_stand_side_by_side() -> None:
    images = textures()
    both = KMeans(size=20, words=WORDS, patch=(5, 8), pyramid=(1, 2))
    both.fit(images)
    parts = []
    for side in (5, 8):
        alone = KMeans(size=20, words=WORDS, patch=side, pyramid=(1, 2))
        alone.fit(images)
        parts.append(alone.embed(images))
    assert both.embed(images).shape == (len(images), 2 * WORDS * 5)
    torch.testing.assert_close(both.embed(images), torch.cat(parts, dim=1))


def test_a_mirrored_encoder_gives_an_image_and_its_mirror_image_the_same_vector() -> None:
    images = textures()
    model = KMeans(size=20, words=WORDS, mirrored=True)
    model.fit(images)
    torch.testing.assert_close(model.embed(images.flip(3)), model.embed(images))
    plain = fitted(stride=1)
    assert (plain.embed(images.flip(3)) - plain.embed(images)).abs().max() > 0.1


def test_components_are_the_half_whitened_roots_of_the_means() -> None:
    images = textures(60)
    model = KMeans(size=20, words=WORDS, components=8)
    model.fit(images)
    vectors = model.embed(images)
    assert vectors.shape == (60, 8)
    roots = model.means(images).sqrt().double()
    spread = torch.linalg.eigvalsh(torch.cov(roots.T, correction=1)).flip(0)[:8].sqrt()
    found = torch.linalg.eigvalsh(torch.cov(vectors.double().T, correction=1)).flip(0)
    torch.testing.assert_close(found, spread, rtol=1e-3, atol=0)


def test_few_images_have_half_as_many_components_which_a_stored_encoder_keeps() -> None:
    images = textures(12)
    model, again = (KMeans(size=20, words=WORDS, components=100) for _ in range(2))
    model.fit(images)
    assert model.embed(images).shape == (12, 6)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.embed(images), model.embed(images))


def test_there_are_no_more_components_than_means_and_one_image_has_none() -> None:
    images = textures(60)
    model = KMeans(size=20, words=WORDS, pyramid=(1,), components=100)
    model.fit(images)
    assert model.embed(images).shape == (60, WORDS)
    with pytest.raises(DataError, match=r"^components: one image has none; give more images$"):
        model.fit(images[:1])


def test_an_encoder_stored_with_its_one_dictionary_opens_as_it_was() -> None:
    model, again = fitted(), KMeans(size=20, words=WORDS, stride=2)
    dictionary = words_of(model)
    stored = {
        "mean": dictionary.mean,
        "whitening": dictionary.whitening,
        "centroids": dictionary.words,
    }
    again.load_state_dict(stored)
    assert torch.equal(again.embed(textures(seed=3)), model.embed(textures(seed=3)))


def test_words_of_three_kinds_of_texture_are_found() -> None:
    wave = torch.linspace(0, 40, 20).sin()
    lines, columns = wave[:, None].expand(20, 20), wave[None].expand(20, 20)
    images = torch.stack([lines, columns, torch.zeros(20, 20)])[:, None] * 0.8
    model = KMeans(size=20, words=8)
    model.fit(images.repeat(4, 1, 1, 1))
    embeddings = model.embed(images)
    assert torch.pdist(embeddings).min() > 0.1


@pytest.mark.parametrize("channels", [1, 3])
def test_the_picture_shows_every_word_in_its_full_range(channels: int) -> None:
    model = fitted(channels=channels, words=20)
    grid = model.grids(textures(2, channels=channels))["patches"]
    assert grid.shape[:3] == (2, 16, channels)
    assert grid.abs().max() <= 1
    shown = grid.flatten(0, 1)[:20].abs().flatten(1).amax(1)
    torch.testing.assert_close(shown, torch.ones(20))


def test_fewer_different_patches_than_words_are_refused() -> None:
    model = KMeans(size=8, words=50)
    with pytest.raises(DataError, match=r"^words 50: 2 images gave only 18 different") as caught:
        model.fit(textures(2, 8))
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="only 1 different patches"):
        model.fit(torch.zeros(100, 1, 8, 8))


def test_a_patch_larger_than_the_images_is_refused() -> None:
    with pytest.raises(UsageError, match="patch 9: larger than the images, 8 px"):
        KMeans(size=8, patch=9)
