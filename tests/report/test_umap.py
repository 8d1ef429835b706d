"""Maps of embeddings by UMAP: neighbours stay together."""

import numpy as np
import pytest

from replearn.report import projection

pytest.importorskip("umap", reason="such a map needs replearn[umap]")

KINDS = np.arange(60) % 3
VECTORS = np.random.default_rng(0).normal(size=(60, 10)) + 20 * np.eye(3, 10)[KINDS]


def test_groups_that_lie_apart_do_so_on_the_map() -> None:
    plane = projection.project(VECTORS)
    assert plane.method == "UMAP"
    assert plane.points.min() == 0
    assert plane.points.max() == 1
    middles = np.stack([plane.points[kind == KINDS].mean(axis=0) for kind in range(3)])
    distances = np.linalg.norm(plane.points[:, None] - middles, axis=2)
    np.testing.assert_array_equal(distances.argmin(axis=1), KINDS)


def test_the_map_is_the_same_every_time() -> None:
    np.testing.assert_array_equal(
        projection.project(VECTORS).points, projection.project(VECTORS).points
    )


def test_too_few_images_for_neighbourhoods_are_laid_out_by_components() -> None:
    assert "principal" in projection.project(VECTORS[:10]).method
