"""Image sets: identity, selection."""

from pathlib import Path

import numpy as np
import pytest

from replearn.errors import DataError
from replearn.images.ids import MISSING
from replearn.images.image_set import ImageSet
from tests.images.helpers import opened, write_images


def test_the_identity_depends_on_ids_pixels_and_fit(tmp_path: Path) -> None:
    write_images(tmp_path / "one", ["a.png", "b.png"])
    write_images(tmp_path / "two", ["a.png", "c.png"])
    write_images(tmp_path / "three", ["b.png", "a.png"])
    folders = [tmp_path / name for name in ("one", "two", "three")]
    identities = [opened(folder).identity for folder in folders]
    identities += [opened(folders[0], fit="pad").identity]
    identities += [opened(folders[0], ids=["b", "a"]).identity]
    assert len(set(identities)) == 5


# The set


def small_set() -> ImageSet:
    pixels = np.arange(5 * 4, dtype=np.uint8).reshape(5, 1, 2, 2)
    return ImageSet(list("abcde"), pixels, "stretch", [("x", "truncated")], "images:0")


def test_selecting_keeps_order_and_reasons() -> None:
    chosen = small_set().select(["d", "x", "a", "y"])
    assert chosen.ids == ["d", "a"]
    assert np.array_equal(chosen.pixels, small_set().pixels[[3, 0]])
    assert chosen.errors == [("x", "truncated"), ("y", MISSING)]
    assert chosen.identity != small_set().identity


def test_selecting_neighbours_or_everything_copies_nothing() -> None:
    whole = small_set()
    assert whole.select(list("abcde")).identity == whole.identity
    assert np.shares_memory(whole.select(list("bcd")).pixels, whole.pixels)
    with pytest.raises(DataError, match="'a' is asked for 2 times"):
        whole.select(["a", "a"])
