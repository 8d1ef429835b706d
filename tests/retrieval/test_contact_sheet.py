"""The contact sheet of queries and hits, by its pixels."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from replearn.arrays import Pixels
from replearn.retrieval.contact_sheet import write_query_sheet

WHITE = 255


def query_sheet(path: Path, hits: int = 2, name: str = "effusion", channels: int = 1) -> Pixels:
    """Write a query sheet of two queries and return it as it is read back."""
    images = [np.full((channels, 8, 8), 40 * n, np.uint8) for n in range(1 + hits)]
    concepts = [["effusion"], *[[name]] * hits]
    write_query_sheet(path, [images, images], [concepts, concepts])
    read = cv2.imread(str(path))
    assert read is not None
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    return np.asarray(read, dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_query_sheet_is_written_and_read(channels: int, tmp_path: Path) -> None:
    picture = query_sheet(tmp_path / "queries.png", channels=channels)
    levels, counts = np.unique(picture, return_counts=True)
    large = set(levels[counts > 3000].tolist())
    assert {0, 40, 80, WHITE} <= large  # the query, two hits, the paper


def test_a_query_sheet_is_as_wide_as_its_hits_are_many(tmp_path: Path) -> None:
    narrow = query_sheet(tmp_path / "a" / "one.png", hits=1)
    wide = query_sheet(tmp_path / "b" / "two.png", hits=3)
    assert wide.shape[1] == pytest.approx(2 * narrow.shape[1], rel=0.1)
    assert wide.shape[0] == pytest.approx(narrow.shape[0], rel=0.1)


def test_concepts_that_a_hit_shares_stand_out(tmp_path: Path) -> None:
    def colours(path: Path, name: str) -> set[tuple[int, ...]]:
        return set(map(tuple, query_sheet(path, name=name).reshape(-1, 3).tolist()))

    def green(found: set[tuple[int, ...]]) -> bool:
        return any(g > r + 40 for _, g, r in found)

    assert green(colours(tmp_path / "a" / "shared.png", "effusion"))
    assert not green(colours(tmp_path / "b" / "other.png", "fracture"))


def test_where_a_query_has_fewer_hits_the_sheet_is_white(tmp_path: Path) -> None:
    image = np.zeros((1, 4, 4), np.uint8)
    path = tmp_path / "queries.png"
    write_query_sheet(path, [[image] * 3, [image] * 2], [[[]] * 3, [[]] * 2])
    read = cv2.imread(str(path))
    assert read is not None
    height, width, _ = read.shape
    places = [read[height // 2 :, third * width // 3 :][:, : width // 3] for third in range(3)]
    assert [bool((place == WHITE).all()) for place in places] == [False, False, True]
