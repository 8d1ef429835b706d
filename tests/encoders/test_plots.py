"""Sheets by their pixels: where each image lies, in which order, and that files can be read."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from replearn.encoders import plots

WHITE = 255


def flat(*levels: int, channels: int = 1, height: int = 5, width: int = 4) -> Tensor:
    """Return an image of each grey level, [-1, 1] float [N, C, H, W]."""
    values = torch.tensor(levels) / 127.5 - 1
    return values[:, None, None, None].expand(-1, channels, height, width)


def levels_on(picture: plots.Picture, *, columns: int, gap: int = 2) -> list[int]:
    """Return the grey level in the middle of each place, row by row, for images of 5 x 4."""
    rows = (len(picture) - gap) // (5 + gap)
    return [
        int(picture[gap + row * (5 + gap) + 2, gap + column * (4 + gap) + 2, 0])
        for row in range(rows)
        for column in range(columns)
    ]


@pytest.mark.parametrize(
    ("value", "pixel"), [(-1.0, 0), (1.0, 255), (0.0, 128), (-7.0, 0), (7.0, 255), (-0.5, 64)]
)
def test_values_of_minus_one_to_one_become_pixels_of_0_to_255(value: float, pixel: int) -> None:
    pixels = plots.to_pixels(torch.full((1, 1, 2, 3), value))
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, np.full((1, 2, 3, 3), pixel))


def test_every_grey_level_comes_back() -> None:
    levels = np.arange(256)
    pixels = plots.to_pixels(flat(*levels, height=1, width=1))
    np.testing.assert_array_equal(pixels[:, 0, 0], np.repeat(levels[:, None], 3, axis=1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_images_of_any_precision_are_shown(dtype: torch.dtype) -> None:
    # No precision is so low that these levels are not exact in it.
    images = torch.tensor([-1.0, 0.0, 1.0], dtype=dtype)[:, None, None, None]
    np.testing.assert_array_equal(plots.to_pixels(images)[:, 0, 0, 0], [0, 128, 255])


def test_colours_keep_their_order_and_rows_stay_rows() -> None:
    images = torch.full((1, 3, 2, 2), -1.0)
    images[0, 0, 0, 1] = 1  # red, first row, second column
    pixels = plots.to_pixels(images)
    assert pixels[0, 0, 1].tolist() == [255, 0, 0]
    assert pixels.sum() == 255


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 3), (4, 1), (2, 5)])
@pytest.mark.parametrize("gap", [0, 2, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_is_as_large_as_its_rows_columns_and_gaps(
    rows: int, columns: int, gap: int, channels: int
) -> None:
    grid = torch.zeros(rows, columns, channels, 5, 4)
    picture = plots.sheet(grid, gap=gap)
    assert picture.dtype == np.uint8
    assert picture.shape == (rows * (5 + gap) + gap, columns * (4 + gap) + gap, 3)


def test_images_lie_in_order_row_by_row() -> None:
    images = flat(10, 20, 30, 40, 50, 60)
    wide = plots.sheet(images.reshape(2, 3, 1, 5, 4))
    assert levels_on(wide, columns=3) == [10, 20, 30, 40, 50, 60]
    assert wide.shape[1] == 3 * 6 + 2
    narrow = plots.sheet(images.reshape(3, 2, 1, 5, 4))
    assert levels_on(narrow, columns=2) == [10, 20, 30, 40, 50, 60]
    # The first row of a grid is the top row of its sheet.
    assert levels_on(narrow[: 2 + 5 + 2], columns=2) == [10, 20]


@pytest.mark.parametrize("gap", [1, 2])
def test_all_between_the_images_is_white_and_nothing_else(gap: int) -> None:
    picture = plots.sheet(flat(*[0] * 6).reshape(2, 3, 1, 5, 4), gap=gap)
    height, width, _ = picture.shape
    rows = np.arange(height) % (5 + gap) < gap
    columns = np.arange(width) % (4 + gap) < gap
    expected = np.where(rows[:, None] | columns, WHITE, 0)
    np.testing.assert_array_equal(picture, np.repeat(expected[..., None], 3, axis=2))


@pytest.mark.parametrize("gap", [0, 1, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_keeps_its_pixels_on_the_sheet(gap: int, channels: int) -> None:
    grid = torch.rand(2, 3, channels, 6, 5) * 2 - 1
    picture = plots.sheet(grid, gap=gap)
    for row in range(2):
        for column in range(3):
            top, left = gap + row * (6 + gap), gap + column * (5 + gap)
            shown = picture[top : top + 6, left : left + 5]
            np.testing.assert_array_equal(shown, plots.to_pixels(grid[row, column][None])[0])


def test_a_sheet_leaves_its_grid_as_it_is() -> None:
    grid = torch.randn(2, 2, 1, 3, 3) * 2
    before = grid.clone()
    plots.sheet(grid)
    assert torch.equal(grid, before)


def test_a_written_picture_is_read_back_with_its_colours(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    path = tmp_path / "sheets" / "one.png"
    plots.write_png(path, picture)
    read = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    assert read is not None
    np.testing.assert_array_equal(read, picture)


def test_writing_again_replaces_the_picture_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    for level in (0, 200):
        plots.write_png(tmp_path / "one.png", np.full((3, 3, 3), level, np.uint8))
    read = cv2.imread(str(tmp_path / "one.png"))
    assert read is not None
    assert (read == 200).all()
    assert [path.name for path in tmp_path.iterdir()] == ["one.png"]


def query_sheet(
    path: Path, hits: int = 2, name: str = "effusion", channels: int = 1
) -> plots.Picture:
    """Write a query sheet of two queries and return it as it is read back."""
    images = [np.full((channels, 8, 8), 40 * n, np.uint8) for n in range(1 + hits)]
    concepts = [["effusion"], *[[name]] * hits]
    plots.write_query_sheet(path, [images, images], [concepts, concepts])
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
    plots.write_query_sheet(path, [[image] * 3, [image] * 2], [[[]] * 3, [[]] * 2])
    read = cv2.imread(str(path))
    assert read is not None
    height, width, _ = read.shape
    places = [read[height // 2 :, third * width // 3 :][:, : width // 3] for third in range(3)]
    assert [bool((place == WHITE).all()) for place in places] == [False, False, True]
