"""Moments of codes against a loop over places, and directions against a dense solver."""

import numpy as np
import torch
from torch import Tensor

from replearn.encoders.patches.moments import moments, slow_directions


def codes_of(images: Tensor) -> Tensor:
    """Return [N, places, C]: the pixels of each place are its code."""
    return images.flatten(2).transpose(1, 2)


def test_moments_are_those_of_a_loop_over_places_and_their_neighbours() -> None:
    images = torch.rand(11, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    own, beside = [], []
    for image in images.double().numpy():
        for row, column in np.ndindex(4, 5):
            around = [
                image[:, r, c]
                for r in range(max(row - 1, 0), min(row + 2, 4))
                for c in range(max(column - 1, 0), min(column + 2, 5))
                if (r, c) != (row, column)
            ]
            own.append(image[:, row, column])
            beside.append(np.mean(around, axis=0))
    codes, around_codes = np.array(own), np.array(beside)
    mean = codes.mean(0)
    covariance = codes.T @ codes / len(codes) - np.outer(mean, mean)
    cross = codes.T @ around_codes / len(codes)
    found = moments(images, codes_of, (4, 5), 1)
    expected = (mean, covariance, (cross + cross.T) / 2 - np.outer(mean, mean))
    for tensor, array in zip(found, expected, strict=True):
        np.testing.assert_allclose(tensor.numpy(), array, rtol=0, atol=1e-6)


def symmetric(size: int, seed: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    root = torch.randn(size, 2 * size, generator=random, dtype=torch.float64)
    return root @ root.T / size


def test_slow_directions_are_those_of_a_dense_solver_of_the_whole_problem() -> None:
    own, beside = symmetric(8, 0), symmetric(8, 1)
    found = slow_directions(own, beside, 3, ridge=0.0)
    values, vectors = np.linalg.eig(np.linalg.solve(own.numpy(), beside.numpy()))
    for column, place in enumerate(np.argsort(-values.real)[:3]):
        vector = vectors[:, place].real
        vector /= np.sqrt(vector @ own.numpy() @ vector)
        sign = np.sign(vector @ found[:, column].numpy())
        np.testing.assert_allclose(found[:, column].numpy(), sign * vector, rtol=0, atol=1e-8)


def test_projected_codes_are_white_and_their_slowness_falls() -> None:
    own, beside = symmetric(8, 0), symmetric(8, 1)
    found = slow_directions(own, beside, 5, ridge=0.0)
    torch.testing.assert_close(found.T @ own @ found, torch.eye(5, dtype=torch.float64))
    slowness = (found.T @ beside @ found).diagonal()
    assert (slowness.diff() <= 1e-9).all()
