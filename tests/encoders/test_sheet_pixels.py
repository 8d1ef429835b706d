"""Sheets by their pixels: where each image lies, in which order, and that files can be read."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from replearn.arrays import Pixels
from replearn.encoders.sheets import sheet, to_rgb, write_png

WHITE = 255


def flat(*levels: int, channels: int = 1, height: int = 5, width: int = 4) -> Tensor:
    """Return an image of each grey level, [-1, 1] float [N, C, H, W]."""
    values = torch.tensor(levels) / 127.5 - 1
    return values[:, None, None, None].expand(-1, channels, height, width)


def levels_on(picture: Pixels, *, columns: int, gap: int = 2) -> list[int]:
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
    pixels = to_rgb(torch.full((1, 1, 2, 3), value))
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, np.full((1, 2, 3, 3), pixel))


def test_every_grey_level_comes_back() -> None:
    levels = np.arange(256)
    pixels = to_rgb(flat(*levels, height=1, width=1))
    np.testing.assert_array_equal(pixels[:, 0, 0], np.repeat(levels[:, None], 3, axis=1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_images_of_any_precision_are_shown(dtype: torch.dtype) -> None:
    # No precision is so low that these levels are not exact in it.
    images = torch.tensor([-1.0, 0.0, 1.0], dtype=dtype)[:, None, None, None]
    np.testing.assert_array_equal(to_rgb(images)[:, 0, 0, 0], [0, 128, 255])


def test_colours_keep_their_order_and_rows_stay_rows() -> None:
    images = torch.full((1, 3, 2, 2), -1.0)
    images[0, 0, 0, 1] = 1  # red, first row, second column
    pixels = to_rgb(images)
    assert pixels[0, 0, 1].tolist() == [255, 0, 0]
    assert pixels.sum() == 255


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 3), (4, 1), (2, 5)])
@pytest.mark.parametrize("gap", [0, 2, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_is_as_large_as_its_rows_columns_and_gaps(
    rows: int, columns: int, gap: int, channels: int
) -> None:
    grid = torch.zeros(rows, columns, channels, 5, 4)
    picture = sheet(grid, gap=gap)
    assert picture.dtype == np.uint8
    assert picture.shape == (rows * (5 + gap) + gap, columns * (4 + gap) + gap, 3)


def test_images_lie_in_order_row_by_row() -> None:
    images = flat(10, 20, 30, 40, 50, 60)
    wide = sheet(images.reshape(2, 3, 1, 5, 4))
    assert levels_on(wide, columns=3) == [10, 20, 30, 40, 50, 60]
    assert wide.shape[1] == 3 * 6 + 2
    narrow = sheet(images.reshape(3, 2, 1, 5, 4))
    assert levels_on(narrow, columns=2) == [10, 20, 30, 40, 50, 60]
    # The first row of a grid is the top row of its sheet.
    assert levels_on(narrow[: 2 + 5 + 2], columns=2) == [10, 20]


@pytest.mark.parametrize("gap", [1, 2])
def test_all_between_the_images_is_white_and_nothing_else(gap: int) -> None:
    picture = sheet(flat(*[0] * 6).reshape(2, 3, 1, 5, 4), gap=gap)
    height, width, _ = picture.shape
    rows = np.arange(height) % (5 + gap) < gap
    columns = np.arange(width) % (4 + gap) < gap
    expected = np.where(rows[:, None] | columns, WHITE, 0)
    np.testing.assert_array_equal(picture, np.repeat(expected[..., None], 3, axis=2))


@pytest.mark.parametrize("gap", [0, 1, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_keeps_its_pixels_on_the_sheet(gap: int, channels: int) -> None:
    grid = torch.rand(2, 3, channels, 6, 5) * 2 - 1
    picture = sheet(grid, gap=gap)
    for row in range(2):
        for column in range(3):
            top, left = gap + row * (6 + gap), gap + column * (5 + gap)
            shown = picture[top : top + 6, left : left + 5]
            np.testing.assert_array_equal(shown, to_rgb(grid[row, column][None])[0])


def test_a_sheet_leaves_its_grid_as_it_is() -> None:
    grid = torch.randn(2, 2, 1, 3, 3) * 2
    before = grid.clone()
    sheet(grid)
    assert torch.equal(grid, before)


def test_a_written_picture_is_read_back_with_its_colours(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    path = tmp_path / "sheets" / "one.png"
    write_png(path, picture)
    read = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    assert read is not None
    np.testing.assert_array_equal(read, picture)


def test_writing_again_replaces_the_picture_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    for level in (0, 200):
        write_png(tmp_path / "one.png", np.full((3, 3, 3), level, np.uint8))
    read = cv2.imread(str(tmp_path / "one.png"))
    assert read is not None
    assert (read == 200).all()
    assert [path.name for path in tmp_path.iterdir()] == ["one.png"]
