"""Maps of embeddings by UMAP: neighbours stay together."""

import numpy as np
import pytest

from replearn.report import maps

pytest.importorskip("umap", reason="such a map needs replearn[umap]")

KINDS = np.arange(60) % 3
VECTORS = np.random.default_rng(0).normal(size=(60, 10)) + 20 * np.eye(3, 10)[KINDS]


def test_groups_that_lie_apart_do_so_on_the_map() -> None:
    plane = maps.project(VECTORS)
    assert plane.method == "UMAP"
    assert plane.places.min() == 0
    assert plane.places.max() == 1
    middles = np.stack([plane.places[kind == KINDS].mean(axis=0) for kind in range(3)])
    distances = np.linalg.norm(plane.places[:, None] - middles, axis=2)
    np.testing.assert_array_equal(distances.argmin(axis=1), KINDS)


def test_the_map_is_the_same_every_time() -> None:
    np.testing.assert_array_equal(maps.project(VECTORS).places, maps.project(VECTORS).places)


def test_too_few_images_for_neighbourhoods_are_laid_out_by_components() -> None:
    assert "principal" in maps.project(VECTORS[:10]).method
