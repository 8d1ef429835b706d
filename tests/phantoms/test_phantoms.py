"""The synthetic radiographs: repeatable, well labelled, and showing what their labels say."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from replearn.phantoms.concepts import CONCEPTS
from replearn.phantoms.planning import frequencies, plan
from replearn.phantoms.rendering import Phantom, draw, render

MODALITIES = ("C1306645", "C0040405", "C0024485", "C0041618")
LUMA = np.array([0.299, 0.587, 0.114])[:, np.newaxis, np.newaxis]


@pytest.fixture(scope="module")
def images() -> list[Phantom]:
    return [render(index) for index in range(800)]


@pytest.fixture(scope="module", params=[0, 1, 2])
def shares(request: pytest.FixtureRequest) -> dict[str, float]:
    return frequencies(2400, request.param)


def difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """The largest change of grey level of any 3 x 3 neighbourhood between two colour pictures."""
    change = np.abs((a * LUMA).sum(0) - (b * LUMA).sum(0))
    return float(cv2.blur(change, (3, 3)).max())


def test_same_seed_and_index_give_the_same_picture_whatever_was_drawn_before() -> None:
    first = render(7, 3, size=64, channels=3)
    for index in (8, 2, 5):
        render(index, 4, size=32)
    again = render(7, 3, size=64, channels=3)
    assert np.array_equal(first.pixels, again.pixels)
    assert first.concepts == again.concepts


def test_another_index_or_seed_gives_another_picture() -> None:
    pictures = {render(*key).pixels.tobytes() for key in ((0, 0), (1, 0), (0, 1), (1, 1))}
    assert len(pictures) == 4


@pytest.mark.parametrize("size", [16, 50, 64, 128, 256])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_have_the_size_asked_for(size: int, channels: int) -> None:
    for index in range(6):
        pixels = render(index, size=size, channels=channels).pixels
        assert pixels.shape == (channels, size, size)
        assert pixels.dtype == np.uint8
        assert np.ptp(pixels) > 80


def test_labels_do_not_depend_on_size_or_channels() -> None:
    for index in range(20):
        labels = {render(index, size=s, channels=c).concepts for s in (16, 64) for c in (1, 3)}
        assert len(labels) == 1


def test_another_size_shows_the_same_picture() -> None:
    for index in range(40):
        small = render(index, size=64).pixels[0].astype(float)
        large = render(index, size=128).pixels[0].reshape(64, 2, 64, 2).mean((1, 3))
        assert np.corrcoef(small.ravel(), large.ravel())[0, 1] > 0.97


def test_one_channel_is_the_luma_of_three() -> None:
    for index in range(10):
        colour = (render(index, channels=3).pixels * LUMA).sum(0)
        assert np.abs(colour - render(index).pixels[0]).max() <= 1


def test_some_pictures_are_in_colour() -> None:
    spread = [np.ptp(render(i, channels=3).pixels.astype(int), axis=0).max() for i in range(60)]
    assert sum(s > 100 for s in spread) > 3
    assert sum(s <= 30 for s in spread) > 10


@pytest.mark.parametrize(
    ("index", "seed", "size", "channels"),
    [(-1, 0, 64, 1), (0, -1, 64, 1), (0, 0, 15, 1), (0, 0, 257, 1), (0, 0, 64, 2)],
)
def test_numbers_out_of_range_are_refused(index: int, seed: int, size: int, channels: int) -> None:
    with pytest.raises(ValueError, match="must"):
        render(index, seed, size=size, channels=channels)


def test_there_are_at_least_forty_concepts_with_proper_ids_and_names() -> None:
    assert len(CONCEPTS) >= 40
    assert all(re.fullmatch(r"C\d{7}", cui) for cui in CONCEPTS)
    assert len(set(CONCEPTS.values())) == len(CONCEPTS)


def test_every_image_has_one_to_eight_known_concepts_and_one_modality(
    images: list[Phantom],
) -> None:
    for image in images:
        assert 1 <= len(image.concepts) <= 8
        assert len(set(image.concepts)) == len(image.concepts)
        assert set(image.concepts) <= set(CONCEPTS)
        assert len(set(image.concepts) & set(MODALITIES)) == 1


def test_frequencies_count_what_is_rendered(images: list[Phantom]) -> None:
    shares = frequencies(len(images))
    assert list(shares) == list(CONCEPTS)
    for cui, share in shares.items():
        assert share == sum(cui in image.concepts for image in images) / len(images)


def test_concepts_are_long_tailed_and_all_occur(shares: dict[str, float]) -> None:
    ranked = sorted(shares.values(), reverse=True)
    assert 0.35 <= ranked[0] <= 0.5
    assert ranked[-1] * 2400 >= 8
    assert ranked[-1] <= 0.01
    assert np.median(ranked) < 0.1 * ranked[0]
    assert 3 <= sum(ranked) <= 4


def test_every_finding_can_be_seen() -> None:
    for index in range(300):
        planned = plan(index, 0)
        whole = draw(planned, 64)
        for finding in planned.findings:
            without = draw(planned, 64, finding.name)
            assert difference(whole, without) > 15, (index, finding.name)


def test_leaving_out_what_is_not_there_changes_nothing() -> None:
    planned = plan(0, 0)
    assert np.array_equal(draw(planned, 64), draw(planned, 64, "no such finding"))


def test_a_linear_classifier_tells_the_modalities_apart(images: list[Phantom]) -> None:
    pixels = [cv2.resize(i.pixels[0], (16, 16), interpolation=cv2.INTER_AREA) for i in images]
    x = np.stack([p.ravel() for p in pixels]) / 255.0
    y = np.array([next(k for k, m in enumerate(MODALITIES) if m in i.concepts) for i in images])
    model = LogisticRegression(C=0.1, max_iter=200).fit(x[:600], y[:600])
    assert model.score(x[600:], y[600:]) > 0.8
