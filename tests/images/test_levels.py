"""Samples of any depth become 8-bit pixels: bits in use, stated ranges, transparency."""

from typing import Any

import numpy as np
import pytest

from replearn.images import picture as picture_module
from replearn.images.form import Form
from replearn.images.levels import to_eight_bits
from replearn.images.picture import Picture, UnreadableImage
from tests.images.helpers import Pixels

RAMP = np.linspace(0, 4095, 4096).round().astype(np.uint16).reshape(64, 64)


def shown(samples: Pixels, depth: int, form: Form | None = None, **meaning: Any) -> Pixels:
    return to_eight_bits(Picture(samples.copy(), depth, **meaning), form or Form(channels=3))[0]


def bits_of(samples: Pixels) -> int:
    return to_eight_bits(Picture(samples.copy(), 16), Form())[1]


def test_a_few_defective_pixels_do_not_darken_an_image() -> None:
    defective = RAMP.copy()
    defective[0, :4] = 65535  # one in a thousand
    found = shown(defective, 16)
    assert np.abs(found - RAMP * (255 / 4095))[1:].max() <= 0.51
    assert (found[0, :4] == 255).all()
    defective[0, 4] = 65535
    assert np.abs(shown(defective, 16) - RAMP * (255 / 65535))[1:].max() <= 0.51


@pytest.mark.parametrize("bits", [8, 9, 12, 15, 16])
def test_the_bits_in_use_are_those_that_hold_the_samples(bits: int) -> None:
    assert bits_of(np.full((40, 40), 2**bits - 1, np.uint16)) == bits
    assert bits_of(np.full((40, 40), 2 ** (bits - 1), np.uint16)) == bits


def test_up_to_eight_bits_use_their_whole_range_and_count_no_bits_in_use() -> None:
    for depth in (1, 2, 3, 4, 6, 7, 8):
        samples = np.arange(2**depth)[None]
        found, bits = to_eight_bits(Picture(samples.astype(np.uint8), depth), Form())
        assert np.abs(found - samples * (255 / (2**depth - 1))).max() <= 0.51
        assert bits == 0


def test_a_stated_number_of_bits_makes_images_comparable() -> None:
    dark, bright = np.full((9, 9), 1000, np.uint16), np.full((9, 9), 4000, np.uint16)
    form = Form(bits=12)
    assert shown(dark, 16, form)[0, 0] == round(1000 * 255 / 4095)
    assert shown(bright, 16, form)[0, 0] == round(4000 * 255 / 4095)
    assert shown(dark // 10, 8, form)[0, 0] == 100  # 8 bits are not touched


def test_more_bits_than_stated_are_refused_unless_they_are_a_few_pixels() -> None:
    defective = RAMP.copy()
    defective[0, :4] = 65535
    assert (shown(defective, 16, Form(bits=12))[0, :4] == 255).all()
    with pytest.raises(UnreadableImage, match="16 bits a sample, more than --bits 12"):
        shown(RAMP * 16, 16, Form(bits=12))


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.float16, np.float32, np.float64])
def test_signed_and_floating_point_samples_have_the_range_that_is_stated(dtype: Any) -> None:
    samples = np.array([[-100, -50, 0, 50, 100]], dtype)
    with pytest.raises(UnreadableImage, match=r"range is not known.* --range"):
        shown(samples, 0)
    found = shown(samples, 0, Form(value_range=(-50, 50)))
    assert found.tolist() == [[0, 0, 128, 255, 255]]


def test_samples_that_are_no_numbers_are_refused() -> None:
    samples = np.array([[0, np.nan, 1]], np.float32)
    with pytest.raises(UnreadableImage, match="no numbers"):
        shown(samples, 0, Form(value_range=(0, 1)))


@pytest.mark.parametrize(("dtype", "depth"), [(np.uint32, 24), (np.uint32, 32), (np.uint64, 64)])
def test_integers_of_more_than_16_bits_go_the_same_way(dtype: Any, depth: int) -> None:
    samples = np.array([[0, 2 ** (depth - 1), 2**depth - 1]], dtype)
    assert shown(samples, depth).tolist() == [[0, 128, 255]]


def test_where_white_is_zero_values_are_inverted_at_any_depth() -> None:
    for depth, dtype in ((4, np.uint8), (8, np.uint8), (12, np.uint16), (16, np.uint16)):
        samples = np.array([[0, 2**depth - 1]], dtype)
        assert shown(samples, depth, white_is_zero=True).tolist() == [[255, 0]]


@pytest.mark.parametrize("depth", [4, 8, 16])
def test_alpha_shows_the_page_whether_colours_are_multiplied_by_it_or_not(depth: int) -> None:
    white = 2**depth - 1
    dtype = np.uint8 if depth <= 8 else np.uint16
    straight = np.array([[[white, 0, 0, white // 3], [0, white, 0, white]]], dtype)
    multiplied = straight.copy()
    multiplied[0, 0, 0] = white // 3
    expected = [[[170, 170, 255], [0, 255, 0]]]  # blue first
    assert np.abs(shown(straight, depth, alpha="straight") - np.array(expected)).max() <= 1
    assert np.abs(shown(multiplied, depth, alpha="premultiplied") - np.array(expected)).max() <= 1


def test_grey_with_alpha_is_composited_too() -> None:
    samples = np.array([[[0, 255], [0, 0], [100, 255]]], np.uint8)
    assert shown(samples, 8, alpha="straight").tolist() == [[0, 255, 100]]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_strips_give_what_the_whole_gives(
    dtype: Any, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    samples = random.integers(0, np.iinfo(dtype).max, (37, 23, 4)).astype(dtype)
    form, depth = Form(channels=channels), 8 * samples.itemsize
    whole = shown(samples, depth, form, alpha="straight")
    monkeypatch.setattr(picture_module, "_STRIP", 100)
    assert np.array_equal(shown(samples, depth, form, alpha="straight"), whole)
