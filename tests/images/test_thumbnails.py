"""Pictures by their ids: the same from every source, and nothing left behind."""

import gc
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from replearn.errors import DataError
from replearn.images.form import Form
from replearn.images.image_set import ImageSet
from replearn.images.opening import open_images
from replearn.images.thumbnails import THUMBNAIL, ImageLookup

FORM = Form(32, 1, "stretch")


@pytest.fixture(scope="module")
def prepared(indexed: Path) -> ImageSet:
    return ImageSet.load(indexed / "images.h5")


@pytest.mark.parametrize("kind", ["prepared", "folder", "zip", "gztar"])
def test_every_source_shows_the_same_images(
    kind: str, indexed: Path, prepared: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = indexed / "data/images"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    if kind in ("zip", "gztar"):
        source = Path(shutil.make_archive(str(tmp_path / "images"), kind, folder))
    else:
        source = {"prepared": indexed / "images.h5", "folder": folder}[kind]
    lookup = ImageLookup(source, prepared.ids)
    for ids in (prepared.ids[3:5], prepared.ids[:1]):
        found = lookup.pixels_of([*ids, "no such image"], FORM)
        assert list(found) == ids
        np.testing.assert_array_equal([*found.values()], prepared.select(ids).pixels)
    del lookup
    gc.collect()
    assert not any(scratch.iterdir())  # what was unpacked goes with the lookup


def test_thumbnails_are_in_colour_and_what_is_prepared_is_shown_as_it_is(
    indexed: Path, prepared: ImageSet
) -> None:
    (id_,) = ids = prepared.ids[:1]
    thumbnail = ImageLookup(indexed / "data/images", ids).pixels_of(ids)[id_]
    assert thumbnail.shape == (3, THUMBNAIL.size, THUMBNAIL.size)
    shown = ImageLookup(indexed / "images.h5", ids).pixels_of(ids)[id_]
    np.testing.assert_array_equal(shown, prepared.pixels[0])


def test_an_image_that_is_gone_or_broken_is_left_out(prepared: ImageSet, tmp_path: Path) -> None:
    (tmp_path / "gone.png").touch()
    (tmp_path / "broken.png").write_bytes(b"no image")
    lookup = ImageLookup(tmp_path, ["gone", "broken"])
    assert lookup.pixels_of(["broken"]) == {}
    (tmp_path / "gone.png").unlink()
    assert lookup.pixels_of(["gone"]) == {}


def test_a_page_of_a_file_is_shown_by_its_own_id(tmp_path: Path) -> None:
    pages = [Image.new("L", (16, 16), level) for level in (10, 90)]
    pages[0].save(tmp_path / "scan.tif", save_all=True, append_images=pages[1:])
    ids = open_images(tmp_path, size=16, pages="all").ids
    found = ImageLookup(tmp_path, [*ids, "gone-0001", "scan"]).pixels_of(ids, Form(16))
    assert [int(found[id_].mean()) for id_ in ids] == [10, 90]


def test_a_set_in_another_form_is_refused(indexed: Path, prepared: ImageSet) -> None:
    with pytest.raises(DataError, match=r"size 32.*size 64"):
        ImageLookup(indexed / "images.h5", prepared.ids).pixels_of(
            prepared.ids, Form(64, 1, "stretch")
        )
