"""Rows in many files, read by threads as by one."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replearn.artefacts.disk_rows import (
    DiskRows,
    Segment,
    evenly_spaced,
    is_file_backed,
    select_rows,
)
from replearn.errors import DataError

FILES, ROWS = 200, 50  # more files than are kept open


def test_threads_that_open_and_close_the_same_files_find_their_rows(tmp_path: Path) -> None:
    whole = np.arange(FILES * ROWS * 3, dtype=np.float32).reshape(-1, 3)
    for number, part in enumerate(np.split(whole, FILES)):
        part.tofile(tmp_path / str(number))
    rows = DiskRows([Segment(str(tmp_path / str(n)), 0, "<f4", (ROWS, 3)) for n in range(FILES)])

    def read(seed: int) -> bool:
        starts = np.random.default_rng(seed).integers(0, len(whole) - 120, 500)
        return all(np.array_equal(rows[s : s + 120], whole[s : s + 120]) for s in starts.tolist())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(8)))


def mapped(path: Path, mode: Any = "r") -> np.memmap[Any, Any]:
    if not path.exists():
        np.arange(60, dtype=np.float32).tofile(path)
    return np.memmap(path, np.float32, mode, shape=(20, 3))


def test_a_part_of_a_map_is_found_again_in_its_file(tmp_path: Path) -> None:
    rows = mapped(tmp_path / "rows")
    part: Any = rows[5:9]
    np.testing.assert_array_equal(Segment.of(part).map(), part)
    np.testing.assert_array_equal(select_rows(rows[5:], [4, 0]), rows[[9, 5]])


def test_a_copy_of_rows_on_disk_may_be_written_to(tmp_path: Path) -> None:
    rows = mapped(tmp_path / "rows")
    chosen = DiskRows([Segment.of(rows)])
    copy = np.array(chosen)
    copy += 1
    np.testing.assert_array_equal(copy, rows + 1)
    np.testing.assert_array_equal(np.array(chosen, np.float32), rows)


def test_whatever_is_no_file_s_rows_in_their_order_is_chosen_from_as_it_is(tmp_path: Path) -> None:
    rows, own = mapped(tmp_path / "rows"), mapped(tmp_path / "rows", "c")
    own += 1
    for odd in (rows[::2], rows[:, :2], rows.astype(np.float64), rows.copy(), own):
        assert not is_file_backed(odd)
        np.testing.assert_array_equal(select_rows(odd, [7, 1]), np.array(odd)[[7, 1]])


@pytest.mark.parametrize("other", [np.ones(60, np.float32), np.ones(9, np.float32), None])
def test_a_file_that_was_replaced_is_not_read_for_the_one_that_was_meant(
    other: Any, tmp_path: Path
) -> None:
    rows = mapped(tmp_path / "rows")
    segment = Segment.of(rows)
    (tmp_path / "rows").unlink()
    if other is not None:
        other.tofile(tmp_path / "rows")
        os.utime(tmp_path / "rows", (1, 1))  # some clocks tick slower than this test runs
    for use in (segment.map, lambda: Segment.of(rows)):
        with pytest.raises(DataError, match=r"rows: removed or replaced while it was in use"):
            use()


def test_no_row_times_a_matrix_is_no_row(tmp_path: Path) -> None:
    none = DiskRows([Segment.of(mapped(tmp_path / "rows"))]).take(np.zeros(0, int))
    assert (none @ np.ones((3, 2))).shape == (0, 2)


def test_rows_from_all_over_are_the_first_the_last_and_those_between() -> None:
    assert evenly_spaced(100, 3).tolist() == [0, 49, 99]
    assert evenly_spaced(2, 8).tolist() == [0, 1]
    assert evenly_spaced(0, 8).tolist() == []
