"""Rows in many files, read by threads as by one."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from replearn.diskrows import DiskRows, Segment, all_over

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


def test_rows_from_all_over_are_the_first_the_last_and_those_between() -> None:
    assert all_over(100, 3).tolist() == [0, 49, 99]
    assert all_over(2, 8).tolist() == [0, 1]
    assert all_over(0, 8).tolist() == []
