"""The contact sheet of queries and hits, by its pixels."""

import cv2
import numpy as np
import pytest

from replearn.arrays import Pixels
from replearn.retrieval.contact_sheet import draw_query_sheet

WHITE = 255


def read_png(drawn: bytes) -> Pixels:
    read = cv2.imdecode(np.frombuffer(drawn, np.uint8), cv2.IMREAD_COLOR)
    assert read is not None
    return np.asarray(read, dtype=np.uint8)


def query_sheet(hits: int = 2, name: str = "effusion", channels: int = 1) -> Pixels:
    """Draw a query sheet of two queries and return it as it is read back."""
    images = [np.full((channels, 8, 8), 40 * n, np.uint8) for n in range(1 + hits)]
    concepts = [["effusion"], *[[name]] * hits]
    return read_png(draw_query_sheet([images, images], [concepts, concepts]))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_query_sheet_shows_query_hits_and_paper(channels: int) -> None:
    picture = query_sheet(channels=channels)
    levels, counts = np.unique(picture, return_counts=True)
    large = set(levels[counts > 3000].tolist())
    assert {0, 40, 80, WHITE} <= large  # the query, two hits, the paper


def test_a_query_sheet_is_as_wide_as_its_hits_are_many() -> None:
    narrow, wide = query_sheet(hits=1), query_sheet(hits=3)
    assert wide.shape[1] == pytest.approx(2 * narrow.shape[1], rel=0.1)
    assert wide.shape[0] == pytest.approx(narrow.shape[0], rel=0.1)


def test_concepts_that_a_hit_shares_stand_out() -> None:
    def colours(name: str) -> set[tuple[int, ...]]:
        return set(map(tuple, query_sheet(name=name).reshape(-1, 3).tolist()))

    def green(found: set[tuple[int, ...]]) -> bool:
        return any(g > r + 40 for _, g, r in found)

    assert green(colours("effusion"))
    assert not green(colours("fracture"))


def test_where_a_query_has_fewer_hits_the_sheet_is_white() -> None:
    image = np.zeros((1, 4, 4), np.uint8)
    read = read_png(draw_query_sheet([[image] * 3, [image] * 2], [[[]] * 3, [[]] * 2]))
    height, width, _ = read.shape
    places = [read[height // 2 :, third * width // 3 :][:, : width // 3] for third in range(3)]
    assert [bool((place == WHITE).all()) for place in places] == [False, False, True]
