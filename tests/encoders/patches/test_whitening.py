"""Normalised and whitened patches: mean, variance and covariance in closed form."""

import numpy as np
import torch

from replearn.encoders.patches.whitening import normalise, zca


def test_normalised_patches_have_mean_zero_and_variance_one_where_there_is_contrast() -> None:
    patches = 0.2 + 0.5 * torch.randn(50, 36, generator=torch.Generator().manual_seed(0))
    found = normalise(patches)
    assert found.mean(1).abs().max() < 1e-6
    assert (found.var(1, correction=0) - 1).abs().max() < 0.01
    # What differs by a grey level is next to plain, and stays so.
    assert normalise(patches.sign() / 255).square().mean(1).max() < 0.1


def test_normalising_forgets_brightness_and_contrast() -> None:
    patches = torch.randn(50, 36, generator=torch.Generator().manual_seed(0))
    changed = normalise(3 * patches - 0.7)
    torch.testing.assert_close(changed, normalise(patches), rtol=0, atol=2e-3)


def test_whitened_patches_have_a_covariance_of_about_identity() -> None:
    random = np.random.default_rng(0)
    mixing = random.normal(size=(10, 10)) * 10
    patches = torch.from_numpy(random.normal(size=(5000, 10)) @ mixing + 3)
    mean, whitening = zca(patches)
    white = (patches - mean) @ whitening
    assert white.mean(0).abs().max() < 1e-9
    # Exactly C (C + ridge)^-1, which is the identity where the variance is large.
    covariance = torch.cov(patches.T)
    expected = covariance @ torch.linalg.inv(covariance + 0.1 * torch.eye(10))
    torch.testing.assert_close(torch.cov(white.T), expected)
    assert (torch.cov(white.T) - torch.eye(10)).abs().max() < 0.1


def test_whitening_turns_patches_as_little_as_possible() -> None:
    patches = torch.randn(500, 10, generator=torch.Generator().manual_seed(0))
    _, whitening = zca(patches)
    torch.testing.assert_close(whitening, whitening.T)
    assert torch.linalg.eigvalsh(whitening).min() > 0


def test_a_direction_without_variance_stays_finite() -> None:
    patches = torch.randn(100, 10, generator=torch.Generator().manual_seed(0))
    patches[:, 3] = 1.0
    mean, whitening = zca(patches)
    assert whitening.isfinite().all()
    assert ((patches - mean) @ whitening)[:, 3].abs().max() < 1e-5
