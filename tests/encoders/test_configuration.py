"""Configurations: the form of images that they ask for, and who decides what they leave open."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replearn.encoders.configuration import check_form, open_configured
from replearn.encoders.sheets import write_png
from replearn.errors import DataError, UsageError
from replearn.images.image_set import ImageSet
from replearn.images.opening import open_images
from replearn.images.preparation import prepare


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number in range(3):
        write_png(folder / f"{number}.png", np.full((20, 20, 3), 80 * number, np.uint8))
    return folder


@pytest.mark.parametrize(
    ("settings", "size", "fit"),
    [(None, 64, "stretch"), ({"size": 16}, 16, "stretch"), ({"fit": "pad"}, 64, "pad")],
)
def test_files_are_opened_in_the_form_that_is_asked_for(
    settings: dict[str, Any] | None, size: int, fit: str, images: Path
) -> None:
    opened = open_configured(images, settings, None, 0.0)
    assert (opened.size, opened.channels, opened.fit) == (size, 1, fit)


def test_a_prepared_set_decides_what_a_configuration_leaves_open(
    images: Path, tmp_path: Path
) -> None:
    prepared = tmp_path / "images.h5"
    prepare(images, prepared, size=16, channels=3, fit="pad")
    agreeing: tuple[dict[str, Any] | None, ...] = (None, {}, {"size": 16}, {"fit": "pad"})
    for settings in agreeing:
        assert open_configured(prepared, settings, None, 0.0).form == ImageSet.load(prepared).form
    with pytest.raises(DataError, match=r"^.*images\.h5: prepared with size 16, channels 3"):
        open_configured(prepared, {"channels": 1}, None, 0.0)


def test_images_of_another_form_than_asked_for_are_refused_in_one_line(images: Path) -> None:
    opened = open_images(images, size=16)
    for agreeing in (None, {}, {"size": 16}, asdict(opened.form)):
        check_form(agreeing, opened)
    other: dict[str, dict[str, Any]] = {
        "size 32, channels 1, fit stretch": {"size": 32},
        "size 16, channels 3, fit stretch": {"channels": 3},
        "size 16, channels 1, fit pad": {"fit": "pad"},
    }
    for asked, settings in other.items():
        with pytest.raises(DataError) as caught:
            check_form(settings, opened)
        said = f"{images}: size 16, channels 1, fit stretch, where the configuration asks for "
        assert str(caught.value).startswith(said + asked)
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match=r"^images\.sise: no such setting; known: size"):
        check_form({"sise": 32}, opened)


def test_images_of_no_known_place_are_refused_too() -> None:
    pixels = np.zeros((2, 1, 16, 16), np.uint8)
    with pytest.raises(DataError, match=r"^the images: size 16, .* size 8,"):
        check_form({"size": 8}, ImageSet(["a", "b"], pixels, "stretch", [], "set:1"))
