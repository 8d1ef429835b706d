"""Concepts in Parquet tables with images in them, as the public copy of ROCOv2 has them."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipelines.__main__ import main
from replearn.concepts.table import ConceptTable, read_concepts, read_ids
from replearn.errors import DataError, UsageError

Write = Callable[[str, Mapping[str, Any]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write columns into a Parquet file of this name and return its path."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    def write(name: str, columns: Mapping[str, Any]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        parquet.write_table(pyarrow.table(dict(columns)), path, row_group_size=3)
        return path

    return write


def rocov2(start: int, count: int) -> dict[str, list[Any]]:
    numbers = range(start, start + count)
    return {
        "image": [{"bytes": b"\xff\xd8" * 9, "path": f"{n}.jpg"} for n in numbers],
        "image_id": [f"ROCOv2_2023_train_{n:06d}" for n in numbers],
        "caption": ["A chest X-ray." for _ in numbers],
        "cui": [[f"C{i:07d}" for i in range(n % 4)] for n in numbers],
    }


def expected(count: int) -> ConceptTable:
    ids = [f"ROCOv2_2023_train_{n:06d}" for n in range(count)]
    return ConceptTable(ids, [tuple(f"C{i:07d}" for i in range(n % 4)) for n in range(count)])


def test_a_file_and_a_folder_of_parts_are_read(write: Write) -> None:
    path = write("train/train-00000-of-00002.parquet", rocov2(0, 10))
    assert read_concepts(path) == expected(10)
    write("train/train-00001-of-00002.parquet", rocov2(10, 5))
    assert read_concepts(path.parent) == expected(15)
    assert read_ids(path.parent) == expected(15).ids


def test_concepts_in_one_text_and_missing_ones_are_read(write: Write) -> None:
    path = write("a.parquet", {"ID": ["a", "b", "c"], "CUIs": ["C1;C2", None, ""]})
    assert read_concepts(path) == ConceptTable(["a", "b", "c"], [("C1", "C2"), (), ()])


def test_a_table_is_converted_into_a_run_file(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = write("train.parquet", rocov2(0, 4)), tmp_path / "concepts.csv"
    assert main(["convert", str(path), str(out), "--edition", "2024"]) == 0
    assert read_concepts(out) == expected(4)
    told = "train.parquet: Parquet, ids in `image_id`, concepts in `cui`, not used: `caption`"
    assert f"{told}, lists in text; 4 images" in capsys.readouterr().err


def test_other_tables_and_damaged_ones_are_refused(write: Write, tmp_path: Path) -> None:
    other = write("other.parquet", {"image_id": ["a"], "caption": [""]})
    with pytest.raises(DataError, match=r"other.parquet: which column holds the concepts: caption"):
        read_concepts(other)
    twice = write("twice.parquet", {"image_id": ["a", "a"], "cui": [["C1"], []]})
    with pytest.raises(DataError, match=r"twice.parquet: line 2: the id 'a' stands already"):
        read_concepts(twice)
    nameless = write("nameless.parquet", {"image_id": ["a", None], "cui": [["C1"], []]})
    with pytest.raises(DataError, match=r"nameless.parquet: line 2: no id in '\[\]'"):
        read_concepts(nameless)
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(other.read_bytes()[:50])
    for path in (damaged, tmp_path / "nothing.parquet"):
        with pytest.raises(DataError, match=rf"{path.name}: not readable as Parquet"):
            read_concepts(path)


def test_without_pyarrow_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install 'replearn\[parquet\]'"):
        read_concepts(tmp_path / "train.parquet")
