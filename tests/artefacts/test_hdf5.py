"""Ids and rows in one file: what goes in comes out, and other files are refused."""

import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replearn.artefacts.hdf5 import read_rows, write_rows
from replearn.errors import DataError

# Any text but NUL (which ends a text in HDF5) and halves of surrogate pairs (which are no UTF-8).
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


def write(path: Path, rows: np.ndarray[Any, Any], ids: list[str], **more: Any) -> None:
    write_rows(path, "vectors", [rows], ids, more.get("errors", []), more.get("attributes", {}))


@settings(max_examples=50, deadline=None)
@given(st.lists(texts, unique=True, min_size=1, max_size=20), st.lists(st.tuples(texts, texts)))
def test_any_ids_and_errors_come_back_as_they_were(
    ids: list[str], errors: list[tuple[str, str]]
) -> None:
    rows = np.arange(3 * len(ids), dtype=np.float32).reshape(-1, 3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.h5"
        write(path, rows, ids, errors=errors)
        found = read_rows(path, "vectors")
        assert found.ids == ids
        assert found.errors == errors
        assert np.array_equal(found.rows, rows)


def test_rows_are_contiguous_and_mapped(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    rows = np.arange(24, dtype=np.uint8).reshape(4, 1, 2, 3)
    write_rows(path, "pixels", [rows[:1], rows[1:1], rows[1:]], list("abcd"), [], {"size": 2})
    found = read_rows(path, "vectors", "pixels")
    assert isinstance(found.rows, np.memmap)
    assert np.array_equal(found.rows, rows)
    assert found.attributes["size"] == 2
    assert not found.rows.flags.writeable


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name, np.ones((3, 2)), list("abc"), attributes={"identity": "x:1"})
        time.sleep(1.1)  # HDF5 would note the second
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_wrong_number_of_ids_is_refused_at_writing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="4 ids for 3 rows"):
        write(tmp_path / "x.h5", np.ones((3, 2)), list("abcd"))


def test_files_of_2018_and_compressed_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    rows = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=rows, chunks=(2, 4), compression="gzip")
        file.create_dataset("id", data=["a", "b", "c", "d", "é"], dtype=h5py.string_dtype())
    found = read_rows(path, "vectors", "data")
    assert found.ids == ["a", "b", "c", "d", "é"]
    assert np.array_equal(found.rows, rows)
    assert found.errors == []


def contents() -> dict[str, dict[str, Any]]:
    ids, rows = ["a", "b"], np.ones((2, 3))
    return {
        "holds nothing": {},
        "holds ids, where vectors and ids": {"ids": ids},
        "holds vectors": {"vectors": rows},
        "3 ids for 2 rows": {"ids": ["a", "b", "c"], "vectors": rows},
        "'a' stands there twice": {"ids": ["a", "a"], "vectors": rows},
        "not a complete HDF5 file": {"ids": [1.5, 2.5], "vectors": rows},
        "not enough values to unpack": {"ids": ids, "vectors": rows, "errors": [["c"]]},
    }


def test_attributes_of_any_kind_are_read_as_json_has_them(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    odd = {"identity": np.int64(7), "encoder": np.bytes_(b"aae"), "sizes": np.arange(2)}
    write(path, np.ones((1, 2)), ["a"], attributes=odd)
    assert read_rows(path, "vectors").attributes == {
        "identity": 7,
        "encoder": "aae",
        "sizes": [0, 1],
    }


@pytest.mark.parametrize("message", list(contents()))
def test_files_of_another_form_are_refused_in_one_line(message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        for name, content in contents()[message].items():
            file[name] = content
    with pytest.raises(DataError, match=message) as caught:
        read_rows(path, "vectors")
    assert "\n" not in str(caught.value)
    assert "x.h5" in str(caught.value)


@pytest.mark.parametrize("odd", ["scalar", "group", "text"])
def test_odd_datasets_are_refused_in_one_line(odd: str, tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["ids"] = ["a", "b"]
        if odd == "group":
            file.create_group("vectors")
        else:
            file["vectors"] = 3.0 if odd == "scalar" else ["x", "y"]
    with pytest.raises(DataError, match=r"x\.h5"):
        read_rows(path, "vectors")


def test_missing_and_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with pytest.raises(DataError, match="no such file"):
        read_rows(path, "vectors")
    write(path, np.ones((100, 30)), [f"{number}" for number in range(100)])
    whole = path.read_bytes()
    for share in (0, 0.01, 0.3, 0.9, 0.999):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(DataError, match="make it again"):
            read_rows(path, "vectors")
