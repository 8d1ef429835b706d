"""The grids that show a model: which image lies where, and what was decoded to make it."""

import math

import pytest
import torch
from torch import Tensor

from replearn.encoders.grids import (
    arithmetic,
    autoencoder_grids,
    beside,
    generator_grids,
    in_rows,
    interpolations,
)
from replearn.encoders.losses.priors import PRIORS, Prior, PriorName

COUNTS = [1, 2, 3, 7, 8, 9, 32]
SHAPE = (1, 2, 3)
priors = pytest.mark.parametrize("prior", [None, *PRIORS.values()], ids=["none", *PRIORS])


class Toy:
    """Codes are the pixels plus 1; decoding takes half of them, and remembers what it was given."""

    def __init__(self) -> None:
        self.given: list[Tensor] = []

    def encode(self, images: Tensor) -> Tensor:
        return images.flatten(1) + 1

    def decode(self, codes: Tensor) -> Tensor:
        self.given.append(codes)
        return (codes / 2).reshape(-1, *SHAPE)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def numbered(count: int, start: int = 0) -> Tensor:
    """Return images that each have their number as their only value."""
    return torch.arange(start, start + count).float()[:, None, None, None].expand(-1, *SHAPE)


def numbers(grid: Tensor) -> list[list[float]]:
    """Return the value of each image of a grid, and check that it has only one."""
    assert grid.ndim == 5
    flat = grid.flatten(2)
    assert torch.equal(flat, flat[..., :1].expand_as(flat))
    return [[float(value) for value in row] for row in flat[..., 0]]


# Rows of images.


@pytest.mark.parametrize("columns", [1, 3, 8])
@pytest.mark.parametrize("count", COUNTS)
def test_images_lie_in_rows_and_the_places_left_over_are_white(count: int, columns: int) -> None:
    grid = in_rows(numbered(count, 5), columns=columns)
    wide = min(count, columns)
    assert grid.shape == (math.ceil(count / wide), wide, *SHAPE)
    flat = [number for row in numbers(grid) for number in row]
    assert flat == [*range(5, 5 + count), *[1] * (len(flat) - count)]
    assert len(flat) - count < wide


def test_images_in_rows_keep_their_pixels_and_type() -> None:
    images = torch.randn(10, 3, 4, 5, dtype=torch.float64)
    grid = in_rows(images)
    assert grid.dtype == images.dtype
    assert torch.equal(grid.flatten(0, 1)[:10], images)
    assert torch.equal(grid[1, 2:], torch.ones(6, 3, 4, 5, dtype=torch.float64))


@pytest.mark.parametrize("count", COUNTS)
def test_each_row_of_images_lies_above_the_row_of_what_was_made_from_them(count: int) -> None:
    images, made = numbered(count), numbered(count, 100)
    rows = numbers(beside(images, made))
    assert rows[0::2] == numbers(in_rows(images))
    assert rows[1::2] == numbers(in_rows(made))
    for above, below in zip(rows[0::2], rows[1::2], strict=True):
        for image, copy in zip(above, below, strict=True):
            assert copy in (image + 100, 1)


def test_as_many_columns_as_asked_are_beside_each_other() -> None:
    rows = numbers(beside(numbered(5), numbered(5, 10), columns=3))
    assert rows == [[0, 1, 2], [10, 11, 12], [3, 4, 1], [13, 14, 1]]


# Interpolations and arithmetic.


@priors
@pytest.mark.parametrize("count", [2, 3, 7, 32])
def test_a_way_leads_from_an_image_to_its_neighbour(prior: Prior | None, count: int) -> None:
    toy, images = Toy(), torch.randn(count, *SHAPE)
    codes = torch.randn(count, 6)
    codes = codes if prior is None else prior.sample_like(codes)
    grid = interpolations(images, codes, toy.decode, prior)
    rows = min(count // 2, 8)
    assert grid.shape == (rows, 10, *SHAPE)
    # The images themselves are at the ends, what their codes decode to is next to them.
    last = slice(1, 2 * rows, 2)
    assert torch.equal(grid[:, 0], images[: 2 * rows : 2])
    assert torch.equal(grid[:, -1], images[last])
    torch.testing.assert_close(grid[:, 1], toy.decode(codes[: 2 * rows : 2]))
    torch.testing.assert_close(grid[:, -2], toy.decode(codes[last]))


@priors
def test_the_steps_of_a_way_are_even_and_the_prior_s_own(prior: Prior | None) -> None:
    toy, images = Toy(), torch.randn(4, *SHAPE)
    codes = torch.randn(4, 6)
    codes = codes if prior is None else prior.sample_like(codes)
    grid = interpolations(images, codes, toy.decode, prior)
    start, end = codes[0::2], codes[1::2]
    for step in range(8):
        if prior is None:
            code = start + step / 7 * (end - start)
        else:
            code = prior.between(start, end, step / 7)
        torch.testing.assert_close(grid[:, 1 + step], toy.decode(code), rtol=1e-4, atol=1e-5)


def test_at_most_so_many_ways_are_shown() -> None:
    images, codes = torch.randn(32, *SHAPE), torch.randn(32, 6)
    for rows in (1, 3, 16, 40):
        grid = interpolations(images, codes, Toy().decode, None, rows=rows)
        assert grid.shape[:2] == (min(rows, 16), 10)


@priors
@pytest.mark.parametrize("count", [3, 5, 32])
def test_arithmetic_shows_three_images_and_the_code_nearest_to_a_minus_b_plus_c(
    prior: Prior | None, count: int
) -> None:
    toy, images, codes = Toy(), torch.randn(count, *SHAPE), torch.randn(count, 6)
    grid = arithmetic(images, codes, toy.decode, prior)
    rows = min(count // 3, 8)
    assert grid.shape == (rows, 4, *SHAPE)
    for row in range(rows):
        a, b, c = codes[3 * row : 3 * row + 3]
        assert torch.equal(grid[row, :3], images[3 * row : 3 * row + 3])
        vector = (a - b + c)[None]
        nearest = vector if prior is None else prior.nearest(vector)
        torch.testing.assert_close(grid[row, 3:], toy.decode(nearest))


def test_what_is_taken_away_and_added_again_changes_nothing() -> None:
    codes = torch.randn(3, 6)
    codes[2] = codes[1]
    toy = Toy()
    grid = arithmetic(torch.randn(3, *SHAPE), codes, toy.decode, None)
    torch.testing.assert_close(grid[:, 3], toy.decode(codes[:1]))


# What is shown of a model.


@priors
@pytest.mark.parametrize("count", [1, 2, 3, 32])
def test_an_autoencoder_shows_all_that_so_many_images_allow(
    prior: Prior | None, count: int
) -> None:
    toy, images = Toy(), torch.randn(count, *SHAPE)
    grids = autoencoder_grids(images, encode=toy.encode, decode=toy.decode, prior=prior)
    expected = {"reconstructions"}
    expected |= {"samples"} if prior is not None else set()
    expected |= {"interpolations"} if count >= 2 else set()
    expected |= {"arithmetic"} if count >= 3 else set()
    assert set(grids) == expected
    for grid in grids.values():
        assert grid.ndim == 5
        assert grid.shape[2:] == SHAPE
        assert grid.isfinite().all()
    codes = toy.encode(images)
    made = toy.decode(codes)
    assert torch.equal(grids["reconstructions"], beside(images, made))
    if count >= 2:
        way = interpolations(images, codes, toy.decode, prior)
        assert torch.equal(grids["interpolations"], way)
    if count >= 3:
        sums = arithmetic(images, codes, toy.decode, prior)
        assert torch.equal(grids["arithmetic"], sums)


@pytest.mark.parametrize("name", PRIORS)
def test_samples_are_decoded_draws_from_the_prior(name: PriorName) -> None:
    prior, toy, images = PRIORS[name], Toy(), torch.randn(5, *SHAPE)
    grids = autoencoder_grids(images, encode=toy.encode, decode=toy.decode, prior=prior)
    torch.manual_seed(0)
    torch.randn(5, *SHAPE)
    codes = prior.sample_like(torch.empty(5, 6))
    assert any(torch.equal(given, codes) for given in toy.given)
    assert torch.equal(grids["samples"], in_rows(toy.decode(codes)))


@pytest.mark.parametrize("count", [1, 2, 3, 32])
def test_a_generator_shows_what_its_codes_become_and_the_ways_between(count: int) -> None:
    toy, prior = Toy(), PRIORS["sphere"]
    codes = prior.sample_like(torch.empty(count, 6))
    grids = generator_grids(codes, decode=toy.decode, prior=prior)
    assert set(grids) == {"samples", *(["interpolations"] if count >= 2 else [])}
    made = toy.decode(codes)
    assert torch.equal(grids["samples"], in_rows(made))
    if count >= 2:
        grid = grids["interpolations"]
        # There is no other image of a code than what it decodes to.
        torch.testing.assert_close(grid[:, 0], grid[:, 1])
        torch.testing.assert_close(grid[:, -1], grid[:, -2])
        assert torch.equal(grid, interpolations(made, codes, toy.decode, prior))


def test_images_and_codes_are_left_as_they_are() -> None:
    toy, images = Toy(), torch.randn(9, *SHAPE)
    before = images.clone()
    for prior in PRIORS.values():
        autoencoder_grids(images, encode=toy.encode, decode=toy.decode, prior=prior)
    assert torch.equal(images, before)
