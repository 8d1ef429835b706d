"""Seconds, memory and ratios of the benchmarks, in the units that they say."""

import multiprocessing
import os
import time

import numpy as np

from benchmarks.markdown import table
from benchmarks.time_and_memory import (
    MIB,
    memory,
    own_memory_watched,
    peak_memory,
    ratios,
    timed,
)


def test_memory_is_counted_in_units_of_two_to_the_twentieth_bytes() -> None:
    before = memory(os.getpid())
    with own_memory_watched() as peak:
        held = np.ones(128 * MIB, np.uint8)
        time.sleep(0.2)
        assert 120 < memory(os.getpid()) - before < 160
        del held
    assert 120 < peak() - before < 160
    assert peak_memory() > peak()
    assert memory(os.getpid(), "VmRSS") > memory(os.getpid())


def test_the_peak_of_a_new_process_does_not_count_the_process_that_started_it() -> None:
    held = np.ones(256 * MIB, np.uint8)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(peak_memory) < memory(os.getpid(), "VmRSS") - 128
    del held


def test_waiting_takes_seconds_but_none_of_the_processor() -> None:
    result, duration = timed(lambda: time.sleep(0.2) or "done")  # type: ignore[func-returns-value]
    assert result == "done"
    assert duration.seconds >= 0.2 > duration.processor


def test_ratios_are_those_of_the_rounds() -> None:
    assert ratios([1, 6, 2], [1, 2, 4]) == {"ratio": 1, "least": 0.5, "most": 3}


def test_a_table_aligns_numbers_to_the_right() -> None:
    assert table(["name", "count"], [["a", 1234], ["b", "5.0"]]) == (
        "| name | count |\n| --- | ---: |\n| a | 1,234 |\n| b | 5.0 |\n"
    )
