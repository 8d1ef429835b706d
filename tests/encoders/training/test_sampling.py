"""Sampling: which images make a batch, and which crop of each it shows."""

import numpy as np
import pytest
import torch

from replearn.encoders.training.sampling import Views, rows_of
from tests.encoders.test_preprocessing import SIDE, landmarks


def visited(count: int, steps: range, *, batch_size: int, whole: bool = True) -> list[int]:
    rows = [
        rows_of(step, count, batch_size=batch_size, seed=0, whole=whole).tolist() for step in steps
    ]
    return [row for batch in rows for row in batch]


@pytest.mark.parametrize("whole", [True, False], ids=["at once", "in two stages"])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 7, 10])
def test_every_epoch_visits_each_image_once(batch_size: int, whole: bool) -> None:
    rows = visited(10, range(30), batch_size=batch_size, whole=whole)
    epochs = [rows[start : start + 10] for start in range(0, len(rows) - 9, 10)]
    assert len(epochs) == 3 * batch_size
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == len(epochs), "each epoch has its own order"


def test_a_set_shuffled_in_two_stages_is_read_from_few_places_at_a_time() -> None:
    count = 1_000_000
    rows = np.array(visited(count, range(1000), batch_size=1000, whole=False))
    assert sorted(rows) == list(range(count))
    near = rows[:100_000] // 256
    assert len(set(near.tolist())) == 512, "so many blocks are open at a time"
    assert np.abs(np.diff(rows[:1000])).mean() > count / 10, "and neighbours are still far apart"


def test_a_batch_depends_on_seed_and_step_only() -> None:
    def batch(step: int, seed: int) -> list[int]:
        return [int(row) for row in rows_of(step, 20, batch_size=4, seed=seed)]

    before = batch(5, seed=1)
    batch(3, seed=2)
    assert batch(5, seed=1) == before
    assert batch(6, seed=1) != before
    assert batch(5, seed=2) != before


def drawn(count: int, *, crop: int | None = None, flip: bool = False, step: int = 0) -> Views:
    return Views.draw(count, SIDE, crop=crop, flip=flip, seed=0, step=step)


@pytest.mark.parametrize("crop", [1, 4, SIDE])
def test_a_random_crop_is_a_slice_within_the_image(crop: int) -> None:
    pixels = landmarks(600)
    crops = drawn(600, crop=crop).of(torch.from_numpy(pixels.copy())).numpy()
    assert crops.shape == (600, 3, crop, crop)
    places = [tuple(int(n) for n in image[:2, 0, 0]) for image in crops]
    for image, cut, (top, left) in zip(pixels, crops, places, strict=True):
        assert np.array_equal(cut, image[:, top : top + crop, left : left + crop])
    all_places = {(t, x) for t in range(SIDE - crop + 1) for x in range(SIDE - crop + 1)}
    assert set(places) == all_places, "every place comes up"


def test_half_of_the_images_are_mirrored_if_asked() -> None:
    pixels = torch.from_numpy(landmarks(400).copy())
    seen = drawn(400, flip=True).of(pixels)
    mirrored = (seen == pixels.flip(3)).flatten(1).all(1)
    kept = (seen == pixels).flatten(1).all(1)
    assert (mirrored ^ kept).all()
    assert 150 < int(mirrored.sum()) < 250
    assert torch.equal(drawn(400).of(pixels), pixels)


def test_a_share_of_the_views_is_what_the_whole_batch_would_show() -> None:
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (12, 2, SIDE, SIDE)))
    views = drawn(12, crop=4, flip=True)
    parts = [views.share(part).of(pixels[part]) for part in (slice(0, 5), slice(5, 12))]
    assert torch.equal(torch.cat(parts), views.of(pixels))


def test_every_step_shows_other_views() -> None:
    assert drawn(50, crop=2, step=1).top.tolist() != drawn(50, crop=2, step=2).top.tolist()
    assert drawn(50, crop=2, step=1).top.tolist() == drawn(50, crop=2, step=1).top.tolist()
