"""Neighbours of changed images, with encoders that ignore the change or see nothing else."""

import numpy as np
import pytest

from replearn.arrays import Pixels, Vectors
from replearn.diagnostics.representation.robustness import VIEWS, robustness
from replearn.phantoms.rendering import render


@pytest.fixture(scope="module")
def pixels() -> Pixels:
    return np.stack([render(number, size=32).pixels for number in range(60)])


@pytest.mark.parametrize("view", VIEWS)
def test_views_are_images_of_the_same_form_and_not_the_same(view: str, pixels: Pixels) -> None:
    made = VIEWS[view](pixels, np.random.default_rng(0))
    assert made.shape == pixels.shape
    assert made.dtype == np.uint8
    assert (made != pixels).any(axis=(1, 2, 3)).all()
    again = VIEWS[view](pixels, np.random.default_rng(0))
    assert (made == again).all()
    colour = VIEWS[view](np.repeat(pixels, 3, axis=1), np.random.default_rng(0))
    assert colour.shape == (60, 3, 32, 32)


def test_an_encoder_of_names_keeps_all_neighbours(pixels: Pixels) -> None:
    fixed = np.random.default_rng(0).normal(size=(60, 8))
    found = robustness(pixels, fixed, lambda some: fixed)
    for view in VIEWS:
        assert found[f"kept_{view}"].value == 1
        assert found[f"alignment_{view}"].value == pytest.approx(0)
        assert found[f"kept_{view}"].baseline == pytest.approx(10 / 59, abs=0.15)


def test_an_encoder_of_chance_keeps_as_many_as_by_chance(pixels: Pixels) -> None:
    random = np.random.default_rng(0)
    found = robustness(pixels, random.normal(size=(60, 8)), lambda _: random.normal(size=(60, 8)))
    for view in VIEWS:
        baseline = found[f"kept_{view}"].baseline
        assert baseline is not None
        assert found[f"kept_{view}"].low < baseline + 0.03
        assert found[f"kept_{view}"].high > baseline - 0.03


def test_pixels_after_their_mean_is_removed_bear_a_contrast_better_than_a_crop(
    pixels: Pixels,
) -> None:
    def embed(some: Pixels) -> Vectors:
        rows = some.reshape(len(some), -1).astype(np.float64)
        rows -= rows.mean(axis=1, keepdims=True)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float64)

    found = robustness(pixels, embed(pixels), embed)
    assert found["kept_contrast"].value > found["kept_crop"].value
