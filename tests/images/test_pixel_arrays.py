"""Arrays of many images as sources: HDF5, .npy and .npz, of any usual name and layout."""

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from replearn.errors import DataError
from replearn.images.opening import open_images
from replearn.images.preparation import prepare
from tests.images.helpers import Pixels

COLOURS = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3)).astype(np.uint8)
GREY = np.ascontiguousarray(COLOURS[..., 0])


def hdf5(path: Path, **datasets: Any) -> Path:
    path = path.with_suffix(".h5")
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name.replace("__", "/")] = values
    return path


def npz(path: Path, **arrays: Any) -> Path:
    path = path.with_suffix(".npz")
    np.savez_compressed(path, **arrays)
    return path


@pytest.mark.parametrize("name", ["images", "x", "img", "data", "anything", "train__images"])
def test_the_images_of_an_hdf5_file_are_found_by_a_usual_name_or_as_the_only_ones(
    name: str, tmp_path: Path
) -> None:
    path = hdf5(tmp_path / "a.h5", **{name: GREY, "y": np.arange(5), "features": np.zeros((5, 7))})
    found = open_images(path, size=16)
    assert np.array_equal(found.pixels[:, 0], GREY)
    assert found.ids == [f"{number:09d}" for number in range(5)]


def test_ids_beside_the_images_of_a_group_are_theirs(tmp_path: Path) -> None:
    ids = [f"p{number}.1" for number in range(5)]
    path = hdf5(tmp_path / "a.h5", train__images=GREY, train__ids=ids, test__y=np.arange(3))
    assert open_images(path, size=16).ids == ids
    path = hdf5(tmp_path / "b.h5", train__images=GREY, train__ids=["a"] * 5)
    with pytest.raises(DataError, match=r"its ids, as b?'a', are not all different"):
        open_images(path, size=16)


@pytest.mark.parametrize("write", [hdf5, npz])
@pytest.mark.parametrize(
    "names", [("train_images", "val_images", "test_images"), ("x_train", "x_val", "x_test")]
)
def test_the_parts_of_a_set_keep_their_names_in_the_ids(
    write: Any, names: tuple[str, ...], tmp_path: Path
) -> None:
    labels = {"train_labels": np.zeros((5, 1)), "y_test": np.zeros(5)}
    path = write(tmp_path / "a", **dict.fromkeys(names, GREY), **labels)
    found = open_images(path, size=16)
    parts = [f"{part}-{number:09d}" for part in ("test", "train", "val") for number in range(5)]
    assert found.ids == parts
    assert np.array_equal(found.pixels[:, 0], np.concatenate([GREY] * 3))


@pytest.mark.parametrize("write", [hdf5, npz])
@pytest.mark.parametrize(
    "layout",
    [GREY, COLOURS, COLOURS.transpose(0, 3, 1, 2), GREY[:, None], GREY[..., None]],
    ids=["NHW", "NHWC", "NCHW", "N1HW", "NHW1"],
)
def test_every_layout_gives_the_same_images(write: Any, layout: Pixels, tmp_path: Path) -> None:
    path = write(tmp_path / "a", images=layout)
    expected = COLOURS if 3 in layout.shape else np.repeat(GREY[..., None], 3, axis=3)
    found = open_images(path, size=16, channels=3)
    assert np.array_equal(found.pixels.transpose(0, 2, 3, 1), expected)


def test_a_fourth_channel_is_transparency(tmp_path: Path) -> None:
    alpha = np.concatenate([COLOURS, np.full((5, 16, 16, 1), 255, np.uint8)], axis=3)
    alpha[:, 0, 0, 3] = 0
    found = open_images(hdf5(tmp_path / "a.h5", images=alpha), size=16, channels=3)
    assert np.array_equal(found.pixels[:, :, 1:], COLOURS.transpose(0, 3, 1, 2)[:, :, 1:])
    assert (found.pixels[:, :, 0, 0] == 255).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.int64])
def test_signed_and_floating_point_arrays_say_what_is_missing_and_are_read_with_it(
    dtype: Any, tmp_path: Path
) -> None:
    path = hdf5(tmp_path / "a.h5", images=GREY.astype(dtype))
    name = np.dtype(dtype).name
    with pytest.raises(DataError, match=f"not one image.*{name} samples.*--range"):
        open_images(path, size=16, max_errors=1)
    found = open_images(path, size=16, value_range=(0, 255))
    assert np.array_equal(found.pixels[:, 0], GREY)


def test_arrays_of_16_bits_and_of_truth_values_are_read(tmp_path: Path) -> None:
    deep = GREY.astype(np.uint16) * 257
    assert np.array_equal(
        open_images(hdf5(tmp_path / "a.h5", images=deep), size=16).pixels[:, 0], GREY
    )
    masks = GREY > 100
    found = open_images(npz(tmp_path / "b.npz", images=masks), size=16)
    assert np.array_equal(found.pixels[:, 0], masks * np.uint8(255))


def test_an_npy_file_holds_many_images_or_one(tmp_path: Path) -> None:
    np.save(tmp_path / "many.npy", GREY)
    found = open_images(tmp_path / "many.npy", size=16)
    assert np.array_equal(found.pixels[:, 0], GREY)
    np.save(tmp_path / "one.npy", COLOURS[0])
    found = open_images(tmp_path / "one.npy", size=16, channels=3)
    assert found.ids == ["one"]
    assert np.array_equal(found.pixels[0].transpose(1, 2, 0), COLOURS[0])


def test_a_folder_of_npy_files_is_one_of_images_where_there_are_no_others(tmp_path: Path) -> None:
    for number in range(2):
        np.save(tmp_path / f"{number}.npy", COLOURS[number])
    assert open_images(tmp_path, size=16).ids == ["0", "1"]


def test_arrays_go_to_other_processes_and_give_the_same(tmp_path: Path) -> None:
    for path in (hdf5(tmp_path / "a.h5", images=GREY), npz(tmp_path / "b.npz", x=GREY)):
        alone = prepare(path, tmp_path / "alone" / f"{path.stem}.h5", size=16)
        both = prepare(path, tmp_path / "both" / f"{path.stem}.h5", size=16, jobs=2)
        assert alone.identity == both.identity


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"a": GREY, "b": GREY}, r"several arrays may be images.*a \(uint8 \[5, 16, 16\]\), b"),
        ({"features": np.zeros((5, 7))}, r"no array holds images.*features \(float64 \[5, 7\]\)"),
    ],
)
@pytest.mark.parametrize("write", [hdf5, npz])
def test_where_it_is_not_clear_which_are_meant_all_are_named(
    write: Any, arrays: dict[str, Pixels], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=reason):
        open_images(write(tmp_path / "a", **arrays))


def test_damaged_files_and_objects_are_refused(tmp_path: Path) -> None:
    whole = npz(tmp_path / "a.npz", images=GREY).read_bytes()
    (tmp_path / "b.npz").write_bytes(whole[:-30])
    (tmp_path / "c.npy").write_bytes(b"\x93NUMPY\1")
    (tmp_path / "d.npy").write_bytes(pickle.dumps({}))
    for name in ("b.npz", "c.npy", "d.npy"):
        with pytest.raises(DataError, match=f"{name}: not a complete"):
            open_images(tmp_path / name)
