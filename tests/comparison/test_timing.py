"""Seconds of steps: recorded when an artefact is made, and kept when it is left alone."""

import json
import os
from pathlib import Path

import pytest

from replearn.comparison.timing import recorded_seconds, timing


def test_a_step_that_makes_its_artefact_is_recorded(tmp_path: Path) -> None:
    with timing(tmp_path, "encoder", tmp_path / "encoder.json"):
        (tmp_path / "encoder.json").write_text("{}")
    assert json.loads((tmp_path / "seconds.json").read_text()).keys() == {"encoder"}
    with timing(tmp_path, "test", tmp_path / "test.h5"):
        (tmp_path / "test.h5").write_text("")
    assert json.loads((tmp_path / "seconds.json").read_text()).keys() == {"encoder", "test"}


def test_a_step_that_leaves_its_artefact_alone_keeps_its_seconds(tmp_path: Path) -> None:
    (tmp_path / "encoder.json").write_text("{}")
    (tmp_path / "seconds.json").write_text('{"encoder": 7.5}')
    with timing(tmp_path, "encoder", tmp_path / "encoder.json"):
        pass
    assert recorded_seconds(tmp_path, "encoder") == 7.5
    with timing(tmp_path, "encoder", tmp_path / "encoder.json"):
        os.utime(tmp_path / "encoder.json", ns=(1, 1))
    assert recorded_seconds(tmp_path, "encoder") < 7.5


def test_a_step_that_fails_is_not_recorded(tmp_path: Path) -> None:
    def fail() -> None:
        with timing(tmp_path, "test", tmp_path / "test.h5"):
            (tmp_path / "test.h5").write_text("")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert not (tmp_path / "seconds.json").exists()


def test_steps_add_up_and_those_without_a_record_count_nothing(tmp_path: Path) -> None:
    assert recorded_seconds(tmp_path, "encoder", "test") == 0
    (tmp_path / "seconds.json").write_text('{"encoder": 7.5, "test": 2.25, "valid": 1}')
    assert recorded_seconds(tmp_path, "encoder", "test", "linear") == 9.75
