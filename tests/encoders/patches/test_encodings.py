"""Encodings of patches by words: each against a loop over patches and words."""

import numpy as np
import torch

from replearn.encoders.patches.encodings import threshold, triangle


def drawn(patches: int = 30, words: int = 5, values: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return tuple(  # type: ignore[return-value]
        torch.randn(n, values, generator=random, dtype=torch.float64) for n in (patches, words)
    )


def test_the_triangle_is_the_mean_distance_less_the_own_where_positive() -> None:
    random = np.random.default_rng(0)
    patches, centroids = random.normal(size=(30, 8)), random.normal(size=(5, 8))
    expected = np.zeros((30, 5))
    for row, patch in enumerate(patches):
        distances = [np.sqrt(((patch - centroid) ** 2).sum()) for centroid in centroids]
        for word, distance in enumerate(distances):
            expected[row, word] = max(0.0, sum(distances) / 5 - distance)
    found = triangle(torch.from_numpy(patches), torch.from_numpy(centroids))
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-6)


def test_no_patch_activates_all_words_and_the_nearest_is_the_most_active() -> None:
    random = torch.Generator().manual_seed(0)
    patches, centroids = (torch.randn(n, 8, generator=random) for n in (200, 12))
    found = triangle(patches, centroids)
    assert (found >= 0).all()
    active = (found > 0).sum(1)
    assert active.min() >= 1
    assert active.max() < 12
    assert torch.equal(found.argmax(1), torch.cdist(patches, centroids).argmin(1))


def test_the_threshold_leaves_what_a_cosine_has_above_it() -> None:
    patches, words = drawn()
    expected = np.zeros((30, 5))
    for row, patch in enumerate(patches.numpy()):
        for column, word in enumerate(words.numpy()):
            cosine = patch @ word / (np.linalg.norm(patch) * np.linalg.norm(word))
            expected[row, column] = max(0.0, cosine - 0.15)
    np.testing.assert_allclose(threshold(patches, words).numpy(), expected, rtol=0, atol=1e-12)


def test_the_threshold_does_not_depend_on_the_length_of_patches() -> None:
    patches, words = drawn()
    torch.testing.assert_close(threshold(3 * patches, words), threshold(patches, words))
