"""How images are prepared for a network, and that nothing else may happen to them."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from replearn.encoders.backbones.preparation import Preparation, preparation
from replearn.errors import DataError

MEAN, DEVIATION = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]
GIVEN = {"resized": 12, "side": 8, "mean": MEAN, "std": DEVIATION}


def made(**more: object) -> Preparation:
    return preparation(**(GIVEN | {"mode": "bicubic"} | more))  # type: ignore[arg-type]


def by_hand(image: Image.Image) -> Tensor:
    pixels = np.asarray(image.crop((2, 2, 10, 10)), np.float32) / 255
    return torch.from_numpy((pixels - np.array(MEAN)) / DEVIATION).permute(2, 0, 1)


def test_a_preparation_survives_json() -> None:
    assert Preparation.from_facts(made().facts()) == made()


def test_what_a_library_does_beyond_that_is_told() -> None:
    made().check(by_hand)
    with pytest.raises(DataError, match="more than resize, crop and normalise"):
        made().check(lambda image: by_hand(image).flip(2))
    with pytest.raises(DataError, match=r"\[3, 8, 4\] where \[3, 8, 8\] is expected"):
        made().check(lambda image: by_hand(image)[..., :4])


def test_what_is_no_square_of_three_colours_is_told() -> None:
    with pytest.raises(DataError, match="it sees 1 channels"):
        made(mean=[0.5], std=[0.5])
    with pytest.raises(DataError, match="crops 16 px from 12 px"):
        made(side=16)


@pytest.mark.parametrize(
    ("mode", "how"),
    [("bilinear", Image.Resampling.BILINEAR), ("bicubic", Image.Resampling.BICUBIC)],
)
def test_images_are_resized_as_pillow_does(mode: str, how: Image.Resampling) -> None:
    large = np.random.default_rng(0).random((3, 50, 50), np.float32)
    planes = [Image.fromarray(plane).resize((12, 12), how) for plane in large]
    small = np.stack([np.asarray(plane) for plane in planes]).clip(0, 1)
    both = (torch.from_numpy(pixels[None] * 2 - 1) for pixels in (large, small))
    found, expected = (made(mode=mode).apply(images) for images in both)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
