"""Sheets: the images they show, the noise they are made with, and the files they become."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from replearn.arrays import Pixels
from replearn.encoders.contract import Model
from replearn.encoders.sheets import fixed_images, grids_of, sheet, write_sheets


def pixels(count: int, size: int = 6) -> Pixels:
    """Return images that each have their number, in two bytes, as pixels."""
    numbers = np.arange(count)
    both = np.stack([numbers // 256, numbers % 256], axis=1).astype(np.uint8)
    return np.broadcast_to(both[:, :, None, None], (count, 2, size, size)).copy()


def numbers(images: Tensor) -> list[int]:
    """Return the numbers of images that come from `pixels`."""
    high, low = ((images[:, :2, 0, 0].double() + 1) * 127.5).round().T
    return [int(number) for number in 256 * high + low]


# The images that are shown.


@pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 100, 5000])
def test_the_same_images_from_all_over_the_set_are_shown(count: int) -> None:
    data = pixels(count)
    images = fixed_images(data, None)
    chosen = numbers(images)
    assert len(chosen) == min(count, 32)
    assert len(set(chosen)) == len(chosen)
    assert chosen == sorted(chosen)
    assert chosen[0] == 0
    if count > 1:
        assert chosen[-1] == count - 1
        gaps = np.diff(chosen)
        assert gaps.max() - gaps.min() <= 1
    torch.manual_seed(count)
    assert torch.equal(fixed_images(data, None), images)


@pytest.mark.parametrize("count", [1, 5, 200])
def test_as_many_images_are_shown_as_asked(count: int) -> None:
    assert len(fixed_images(pixels(100), None, count=count)) == min(count, 100)


def test_the_images_are_floats_of_the_centre() -> None:
    data = np.random.default_rng(0).integers(0, 256, (5, 1, 8, 8), dtype=np.uint8)
    images = fixed_images(data, 4)
    assert images.dtype == torch.float32
    expected = torch.from_numpy(data[:, :, 2:6, 2:6]).double() / 127.5 - 1
    torch.testing.assert_close(images, expected.float())
    assert fixed_images(data, None).shape == (5, 1, 8, 8)


# The noise they are made with.


class Noisy(Model):
    """Shows its images with noise; remembers whether gradients were on."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.gradients: list[bool] = []

    def grids(self, images: Tensor) -> dict[str, Tensor]:
        noise = torch.randn(2, 3, *images.shape[1:])
        self.gradients.append(self.layer(torch.ones(1)).requires_grad)
        return {"noise": noise, "images": images[None, :1] + torch.rand(1)}


def test_pictures_repeat_themselves_whatever_was_drawn_before() -> None:
    model, images = Noisy(), torch.zeros(4, 1, 2, 2)
    torch.manual_seed(1)
    first = grids_of(model, images)
    torch.randn(7)
    second = grids_of(model, images)
    assert set(first) == {"noise", "images"}
    for name, grid in first.items():
        assert torch.equal(second[name], grid)
    assert first["noise"].std() > 0.5


def test_pictures_leave_the_random_numbers_of_the_training_alone() -> None:
    model = Noisy()
    torch.manual_seed(1)
    expected = torch.randn(10)
    torch.manual_seed(1)
    first = torch.randn(5)
    grids_of(model, torch.zeros(4, 1, 2, 2))
    torch.testing.assert_close(torch.cat([first, torch.randn(5)]), expected)


def test_pictures_need_no_gradients_and_leave_them_on_afterwards() -> None:
    model = Noisy()
    grids_of(model, torch.zeros(4, 1, 2, 2))
    assert model.gradients == [False]
    assert torch.is_grad_enabled()
    assert model.layer(torch.ones(1)).requires_grad


class Broken(Model):
    def grids(self, images: Tensor) -> dict[str, Tensor]:
        torch.randn(3)
        raise ValueError("nothing to see")


def test_a_model_that_fails_to_draw_leaves_the_random_numbers_alone_too() -> None:
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match="nothing to see"):
        grids_of(Broken(), torch.zeros(1, 1, 2, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.is_grad_enabled()


def test_a_model_without_pictures_shows_none() -> None:
    assert grids_of(Model(), torch.zeros(1, 1, 2, 2)) == {}


# The files.


@pytest.mark.parametrize("suffix", ["", "-0000012"])
@pytest.mark.parametrize("channels", [1, 3])
def test_each_grid_becomes_a_file_with_its_name(suffix: str, channels: int, tmp_path: Path) -> None:
    grids = {
        "samples": torch.rand(2, 3, channels, 6, 5) * 2 - 1,
        "reconstructions": torch.rand(4, 1, channels, 4, 4) * 2 - 1,
    }
    folder = tmp_path / "made" / "sheets"
    paths = write_sheets(folder, grids, suffix)
    assert paths == [folder / f"samples{suffix}.png", folder / f"reconstructions{suffix}.png"]
    assert sorted(folder.iterdir()) == sorted(paths)
    for path, grid in zip(paths, grids.values(), strict=True):
        read = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        assert read is not None
        np.testing.assert_array_equal(read, sheet(grid))


def test_grids_made_without_gradients_are_written(tmp_path: Path) -> None:
    (path, other) = write_sheets(tmp_path, grids_of(Noisy(), torch.zeros(4, 1, 2, 2)))
    assert path.read_bytes() != other.read_bytes()


def test_without_grids_nothing_is_written(tmp_path: Path) -> None:
    assert write_sheets(tmp_path / "sheets", {}) == []
    assert not (tmp_path / "sheets").exists()


def test_writing_again_replaces_what_was_there(tmp_path: Path) -> None:
    for level in (-1.0, 1.0):
        (path,) = write_sheets(tmp_path, {"one": torch.full((1, 1, 1, 3, 3), level)})
    read = cv2.imread(str(path))
    assert read is not None
    assert (read == 255).all()
    assert list(tmp_path.iterdir()) == [path]
