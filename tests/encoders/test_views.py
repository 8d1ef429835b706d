"""Views of an image at extraction: which an encoder allows, and that they are averaged."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.__main__ import main
from replearn.arrays import Vectors
from replearn.encoders.contract import Model
from replearn.encoders.encoder import Description, Encoder, load_encoder
from replearn.encoders.preprocessing import centre_crop
from replearn.encoders.views import CENTRE, View, views_of
from replearn.errors import UsageError
from replearn.features import Features

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 1, 16, 16)).astype(np.uint8)


class Flat(Model):
    """The pixels themselves, so that an average can be worked out by hand."""

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)


def encoder(crop: int | None, flip: bool) -> Encoder:
    training = {"crop": crop, "flip": flip}
    return Encoder(Flat(), Description("raw", {}, 16, 1, "stretch", crop, "flat", training))


def embedded(made: Encoder, views: int) -> Vectors:
    return np.concatenate(list(made.embed(PIXELS, views=views)))


@pytest.mark.parametrize("size", [16, 17])
def test_the_first_view_is_the_central_crop(size: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 1, size, size), np.uint8)
    for crop in (None, 12, 13):
        np.testing.assert_array_equal(CENTRE.of(pixels, crop), centre_crop(pixels, crop))


def test_ten_views_are_the_centre_and_the_corners_each_with_its_mirror_image() -> None:
    views = views_of(10, size=16, crop=12, training={"flip": True})
    assert len(set(views)) == 10
    assert views[:2] == [CENTRE, View(mirrored=True)]
    cuts = {view.of(PIXELS, 12).tobytes() for view in views}
    expected = [
        PIXELS[:, :, top : top + 12, left : left + 12][..., ::step]
        for top, left in ((2, 2), (0, 0), (0, 4), (4, 0), (4, 4))
        for step in (1, -1)
    ]
    assert cuts == {np.ascontiguousarray(cut).tobytes() for cut in expected}


@pytest.mark.parametrize(
    ("crop", "flip", "most", "told"),
    [
        (None, False, 1, r"training\.crop has none, training\.flip is false"),
        (None, True, 2, r"training\.crop has none\)"),
        (16, True, 2, r"training\.crop has none\)"),
        (12, False, 5, r"training\.flip is false\)"),
        (12, True, 10, r"allow 1 to 10$"),
    ],
)
def test_an_encoder_allows_what_it_was_trained_with(
    crop: int | None, flip: bool, most: int, told: str
) -> None:
    encoder(crop, flip).check_views(most)
    with pytest.raises(UsageError, match=told):
        encoder(crop, flip).check_views(most + 1)


@pytest.mark.parametrize(
    ("crop", "flip", "views"), [(None, True, 2), (12, False, 5), (12, True, 4)]
)
def test_the_vectors_of_views_are_averaged(crop: int | None, flip: bool, views: int) -> None:
    made = encoder(crop, flip)
    chosen = views_of(views, size=16, crop=crop, training=made.description.training)
    seen = [view.of(PIXELS, crop).reshape(5, -1) / 127.5 - 1 for view in chosen]
    np.testing.assert_allclose(embedded(made, views), np.mean(seen, axis=0), atol=1e-6)
    np.testing.assert_allclose(embedded(made, 1), seen[0], atol=1e-6)


def test_features_of_views_are_other_features(chain: Path, tmp_path: Path) -> None:
    config = tmp_path / "pca.yaml"
    config.write_text("model: pca\narguments: {latent_dim: 8}\ntraining: {crop: 56, flip: true}\n")
    assert main(f"train {config} {chain}/images.h5 {tmp_path}/pca".split()) == 0
    extract = f"extract {tmp_path}/pca {chain}/images.h5"
    assert main(f"{extract} {tmp_path}/one.h5".split()) == 0
    assert main(f"{extract} {tmp_path}/ten.h5 --views 10".split()) == 0
    assert main(f"{extract} {tmp_path}/one.h5 --views 2".split()) == 1  # needs --overwrite
    one, ten = (Features.load(tmp_path / f"{name}.h5") for name in ("one", "ten"))
    assert one.identity != ten.identity
    assert one.encoder == ten.encoder == load_encoder(tmp_path / "pca").description.identity
    assert np.abs(one.vectors[:] - ten.vectors[:]).max() > 1e-3
    assert main(f"extract {chain}/pca {chain}/images.h5 {tmp_path}/x.h5 --views 2".split()) == 2
