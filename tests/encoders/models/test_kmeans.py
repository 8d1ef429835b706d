"""Patch features by k-means: every step against a loop, and what the embedding promises."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from replearn.encoders.models import kmeans
from replearn.encoders.models.kmeans import KMeans
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


def test_normalised_patches_have_mean_zero_and_variance_one_where_there_is_contrast() -> None:
    patches = 0.2 + 0.5 * torch.randn(50, 36, generator=torch.Generator().manual_seed(0))
    found = kmeans.normalise(patches)
    assert found.mean(1).abs().max() < 1e-6
    assert (found.var(1, correction=0) - 1).abs().max() < 0.01
    # What differs by a grey level is next to plain, and stays so.
    assert kmeans.normalise(patches.sign() / 255).square().mean(1).max() < 0.1


def test_normalising_forgets_brightness_and_contrast() -> None:
    patches = torch.randn(50, 36, generator=torch.Generator().manual_seed(0))
    changed = kmeans.normalise(3 * patches - 0.7)
    torch.testing.assert_close(changed, kmeans.normalise(patches), rtol=0, atol=2e-3)


def test_whitened_patches_have_a_covariance_of_about_identity() -> None:
    random = np.random.default_rng(0)
    mixing = random.normal(size=(10, 10)) * 10
    patches = torch.from_numpy(random.normal(size=(5000, 10)) @ mixing + 3)
    mean, whitening = kmeans.zca(patches)
    white = (patches - mean) @ whitening
    assert white.mean(0).abs().max() < 1e-9
    # Exactly C (C + ridge)^-1, which is the identity where the variance is large.
    covariance = torch.cov(patches.T)
    expected = covariance @ torch.linalg.inv(covariance + 0.1 * torch.eye(10))
    torch.testing.assert_close(torch.cov(white.T), expected)
    assert (torch.cov(white.T) - torch.eye(10)).abs().max() < 0.1


def test_whitening_turns_patches_as_little_as_possible() -> None:
    patches = torch.randn(500, 10, generator=torch.Generator().manual_seed(0))
    _, whitening = kmeans.zca(patches)
    torch.testing.assert_close(whitening, whitening.T)
    assert torch.linalg.eigvalsh(whitening).min() > 0


def test_a_direction_without_variance_stays_finite() -> None:
    patches = torch.randn(100, 10, generator=torch.Generator().manual_seed(0))
    patches[:, 3] = 1.0
    mean, whitening = kmeans.zca(patches)
    assert whitening.isfinite().all()
    assert ((patches - mean) @ whitening)[:, 3].abs().max() < 1e-5


def test_the_triangle_is_the_mean_distance_less_the_own_where_positive() -> None:
    random = np.random.default_rng(0)
    patches, centroids = random.normal(size=(30, 8)), random.normal(size=(5, 8))
    expected = np.zeros((30, 5))
    for row, patch in enumerate(patches):
        distances = [np.sqrt(((patch - centroid) ** 2).sum()) for centroid in centroids]
        for word, distance in enumerate(distances):
            expected[row, word] = max(0.0, sum(distances) / 5 - distance)
    found = kmeans.triangle(torch.from_numpy(patches), torch.from_numpy(centroids))
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-6)


def test_no_patch_activates_all_words_and_the_nearest_is_the_most_active() -> None:
    random = torch.Generator().manual_seed(0)
    patches, centroids = (torch.randn(n, 8, generator=random) for n in (200, 12))
    found = kmeans.triangle(patches, centroids)
    assert (found >= 0).all()
    active = (found > 0).sum(1)
    assert active.min() >= 1
    assert active.max() < 12
    assert torch.equal(found.argmax(1), torch.cdist(patches, centroids).argmin(1))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_embedding_is_the_mean_activation_of_the_patches_of_each_quadrant(
    channels: int, stride: int
) -> None:
    # 20 px hold 15 (stride 1) or 8 (stride 2) patches in a row: the middle one of 15 counts twice.
    model = fitted(channels=channels, stride=stride)
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
                white = (kmeans.normalise(patch) - model.mean) @ model.whitening
                active = kmeans.triangle(white[None], model.centroids)[0]
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
    monkeypatch.setattr(kmeans, "_DISTANCES", 2 * 8 * 8 * WORDS)  # two images at a time
    torch.testing.assert_close(model.embed(images), together, rtol=0, atol=1e-6)
    monkeypatch.setattr(kmeans, "_DISTANCES", 1)  # less than one image has
    torch.testing.assert_close(model.embed(images), together, rtol=0, atol=1e-6)


def test_the_dictionary_does_not_depend_on_torch_s_seed() -> None:
    torch.manual_seed(1)
    first = fitted()
    torch.manual_seed(2)
    assert torch.equal(first.centroids, fitted().centroids)


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
