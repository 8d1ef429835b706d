"""Batches: who comes when, which part of an image, and in which range."""

import numpy as np
import pytest
import torch

from replearn.encoders.preprocessing import Pixels, centre_crop, to_float
from replearn.encoders.training.sampling import Views, rows_of

SIDE = 7


def numbered(count: int) -> Pixels:
    """Return images of one pixel that holds the image's number."""
    return np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)


def landmarks(count: int) -> Pixels:
    """Return images whose first pixels tell where a crop was taken from."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.uint8)
    return np.broadcast_to(np.stack([rows, columns, 0 * rows + 9]), (count, 3, SIDE, SIDE))


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


@pytest.mark.parametrize(("crop", "first"), [(1, 3), (3, 2), (5, 1), (6, 0), (SIDE, 0)])
def test_a_centre_crop_is_central(crop: int, first: int) -> None:
    cut = centre_crop(landmarks(2), crop)
    assert cut.shape == (2, 3, crop, crop)
    assert cut[0, :2, 0, 0].tolist() == [first, first]
    assert cut[0, :2, -1, -1].tolist() == [first + crop - 1] * 2


def test_without_a_crop_images_stay_whole() -> None:
    pixels = landmarks(2)
    assert np.array_equal(centre_crop(pixels, None), pixels)


def test_pixels_span_minus_1_to_1_exactly_and_none_is_lost() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    images = to_float(pixels)
    assert images.dtype == torch.float32
    assert torch.stack([images.min(), images.max()]).tolist() == [-1.0, 1.0]
    assert images[0, 0, [0, -1], [0, -1]].tolist() == [-1.0, 1.0]
    assert (((images + 1) * 127.5).round().to(torch.uint8).numpy() == pixels).all()


def test_pixels_that_must_not_be_written_are_left_as_they_are() -> None:
    pixels = numbered(4)
    pixels.flags.writeable = False
    to_float(pixels)
    assert pixels.ravel().tolist() == [0, 1, 2, 3]
