"""Batches are the same wherever the images lie, whoever reads them and however many share them."""

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from replearn.arrays import Pixels
from replearn.encoders.preprocessing import scale_pixels
from replearn.encoders.training.loader import BatchLoader
from replearn.encoders.training.sampling import Views
from replearn.encoders.training.settings import TrainingSettings
from replearn.errors import UsageError

COUNT, SIDE = 30, 9
CPU = torch.device("cpu")
VIEWS: list[dict[str, Any]] = [{}, {"crop": 6, "flip": True}]
views = pytest.mark.parametrize("view", VIEWS, ids=["whole", "cropped and mirrored"])

ORDERS = {
    "in order": [0, 1, 2, 3, 4, 5, 6, 7, 8],
    "from the middle": [7, 8, 9],
    "after going back": [0, 1, 2, 3, 1, 2, 3, 4],
    "after going back by one": [4, 5, 5, 6],
    "after a leap": [0, 1, 8, 9, 10],
    "backwards": [5, 4, 3],
}


def settings_of(**changes: Any) -> TrainingSettings:
    return TrainingSettings.model_validate({"batch_size": 8, "seed": 3, "device": "cpu"} | changes)


def in_memory() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (COUNT, 3, SIDE, SIDE), dtype=np.uint8)


class Noted(np.memmap[Any, Any]):
    """A memory map that notes which rows were read, and by which thread."""

    reads: list[tuple[list[int], int]]

    def __getitem__(self, rows: Any) -> Any:
        self.reads.append((rows.tolist(), threading.get_ident()))
        return np.asarray(self)[rows]


def on_disk(folder: Path) -> Noted:
    in_memory().tofile(folder / "pixels")
    mapped = Noted(folder / "pixels", np.uint8, "r", shape=(COUNT, 3, SIDE, SIDE))
    mapped.reads = []
    return mapped


# A memory map


@views
@pytest.mark.parametrize("order", ORDERS)
def test_batches_read_ahead_from_a_memory_map_are_those_from_memory(
    order: str, view: dict[str, Any], tmp_path: Path
) -> None:
    settings = settings_of(**view)
    mapped, known = (
        BatchLoader(on_disk(tmp_path), settings, CPU),
        BatchLoader(in_memory(), settings, CPU),
    )
    for step in ORDERS[order]:
        found, expected = mapped.batch(step), known.batch(step)
        assert torch.equal(found, expected)
        assert found.shape == (8, 3, *[settings.crop or SIDE] * 2)
        assert found.dtype == torch.float32


def test_another_thread_reads_the_coming_batches_before_they_are_asked_for(tmp_path: Path) -> None:
    pixels = on_disk(tmp_path)
    loader = BatchLoader(pixels, settings_of(), CPU)
    loader.batch(6)
    deadline = time.monotonic() + 30
    while len(pixels.reads) < 5 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert [rows for rows, _ in pixels.reads] == [
        loader.rows(step).tolist() for step in range(6, 11)
    ]
    assert {thread for _, thread in pixels.reads}.isdisjoint({threading.get_ident()})
    loader.batch(7)
    while len(pixels.reads) < 6 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert len(pixels.reads) == 6, "each batch is read once"


def test_batches_belong_to_their_caller(tmp_path: Path) -> None:
    for pixels in (in_memory(), on_disk(tmp_path)):
        loader = BatchLoader(pixels, settings_of(), CPU)
        before = loader.batch(0).clone()
        loader.batch(0).zero_()
        assert torch.equal(loader.batch(0), before)
    np.testing.assert_array_equal(np.fromfile(tmp_path / "pixels", np.uint8), in_memory().ravel())


# What a batch is


@views
def test_a_batch_shows_the_views_of_its_rows(view: dict[str, Any]) -> None:
    settings = settings_of(**view)
    loader, pixels = BatchLoader(in_memory(), settings, CPU), in_memory()
    drawn = Views.draw(8, SIDE, crop=settings.crop, flip=settings.flip, seed=settings.seed, step=5)
    for place, row in enumerate(loader.rows(5)):
        image = pixels[row].astype(np.float32) / 127.5 - 1
        if settings.crop:
            top, left = drawn.top[place], drawn.left[place]
            image = image[:, top : top + settings.crop, left : left + settings.crop]
        if drawn.mirrored is not None and drawn.mirrored[place]:
            image = image[:, :, ::-1]
        np.testing.assert_allclose(loader.batch(5)[place].numpy(), image, atol=1e-6)


def test_a_set_smaller_than_a_batch_is_one_batch() -> None:
    loader = BatchLoader(in_memory(), settings_of(batch_size=64), CPU)
    assert loader.batch_size == COUNT
    for step in (0, 1):
        assert sorted(loader.rows(step)) == list(range(COUNT))
    assert loader.batch(0).shape[0] == COUNT


# Shares


@views
@pytest.mark.parametrize("parts", [1, 2, 4])
@pytest.mark.parametrize("mapped", [False, True], ids=["memory", "memory map"])
def test_the_shares_of_all_parts_together_are_the_whole_batch(
    mapped: bool, parts: int, view: dict[str, Any], tmp_path: Path
) -> None:
    settings = settings_of(**view)
    pixels = on_disk(tmp_path) if mapped else in_memory()
    whole = BatchLoader(in_memory(), settings, CPU)
    shares = [BatchLoader(pixels, settings, CPU, part=part, parts=parts) for part in range(parts)]
    for step in (0, 1, 5):  # in which a batch reaches into the next epoch
        rows = np.concatenate([share.rows(step) for share in shares])
        np.testing.assert_array_equal(rows, whole.rows(step))
        assert {len(share.rows(step)) for share in shares} == {8 // parts}
        joined = torch.cat([share.batch(step) for share in shares])
        assert torch.equal(joined, whole.batch(step))
        for share in shares:
            known, images = share.joint(step)
            np.testing.assert_array_equal(known, rows)
            assert torch.equal(images, joined)


@pytest.mark.parametrize(("batch_size", "parts"), [(8, 3), (8, 16), (64, 4)])
def test_a_batch_that_cannot_be_shared_evenly_is_refused_in_one_line(
    batch_size: int, parts: int
) -> None:
    held = min(batch_size, COUNT)
    with pytest.raises(UsageError) as caught:
        BatchLoader(in_memory(), settings_of(batch_size=batch_size), CPU, part=0, parts=parts)
    assert str(caught.value) == (
        f"training.batch_size: {held} images cannot be shared evenly by {parts} processes; "
        f"give a multiple of {parts}, at most {COUNT}"
    )


# A GPU


@pytest.mark.parametrize("count", [1, 7, COUNT])
def test_a_set_goes_to_the_device_in_parts(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    known, pixels = BatchLoader(in_memory(), settings_of(), CPU), in_memory()
    monkeypatch.setattr("replearn.encoders.training.loader._PART", count)
    monkeypatch.setattr(BatchLoader, "_fits", lambda loader: True)
    resident = BatchLoader(pixels, settings_of(), CPU)
    pixels[:] = 0  # what is read now was copied
    for step in (0, 1, 2):
        assert torch.equal(resident.batch(step), known.batch(step))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@views
@pytest.mark.parametrize("source", ["resident", "streamed", "memory map"])
def test_batches_on_a_gpu_are_those_on_the_processor(
    source: str, view: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu, settings = torch.device("cuda"), settings_of(**view)
    if source != "resident":
        monkeypatch.setattr("replearn.encoders.training.loader._SHARE", 0.0)  # nothing fits
    pixels = on_disk(tmp_path) if source == "memory map" else in_memory()
    loader, known = BatchLoader(pixels, settings, gpu), BatchLoader(in_memory(), settings, CPU)
    for step in (0, 1, 2, 7, 8, 3):
        found = loader.batch(step)
        assert found.device.type == "cuda"
        torch.testing.assert_close(found.cpu(), known.batch(step), rtol=0, atol=1e-6)


def test_images_that_follow_each_other_on_the_disk_are_read_without_a_warning(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    class View(np.memmap[Any, Any]):
        """Gives neighbours as what they are there, a view that cannot be written."""

        def __getitem__(self, rows: Any) -> Any:
            assert (np.diff(rows) == 1).all()
            return np.asarray(self)[rows[0] : rows[-1] + 1]

    in_memory().tofile(tmp_path / "pixels")
    pixels = View(tmp_path / "pixels", np.uint8, "r", shape=(1, 3, SIDE, SIDE))
    loader = BatchLoader(pixels, settings_of(batch_size=2), CPU)
    expected = scale_pixels(in_memory()[:1])
    torch.set_warn_always(True)  # else once in a process, which may have been in another test
    try:
        torch.testing.assert_close(loader.batch(0), expected, rtol=0, atol=0)
        torch.testing.assert_close(loader.joint(0)[1], expected, rtol=0, atol=0)
    finally:
        torch.set_warn_always(False)
    assert not recwarn.list, [str(one.message) for one in recwarn.list]
