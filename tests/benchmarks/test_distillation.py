"""The benchmark of students: what it reports of a teacher and of one that is its own student."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.data_folders import Parts
from benchmarks.distillation import main, share_of_lead

PARTS = Parts({"test": ["a", "b", "c", "d"]}, {}, {"a": "one", "b": "one"})


def test_a_share_of_the_lead_is_that_of_the_means() -> None:
    scores = {
        "pca": np.array([0.1, 0.2, 0.3, 0.4]),
        "teacher": np.array([0.3, 0.4, 0.5, 0.6]),
        "student": np.array([0.2, 0.3, 0.4, 0.5]),
    }
    assert share_of_lead(scores, "student", PARTS) == pytest.approx((0.5, 0.5, 0.5))
    assert share_of_lead(scores, "teacher", PARTS) == pytest.approx((1, 1, 1))
    assert share_of_lead(scores, "pca", PARTS) == pytest.approx((0, 0, 0))


def test_a_teacher_is_its_own_best_student(chain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(chain / "data", chain / "aae", [chain / "aae"])
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if "%" in line]
    assert [row[1].strip() for row in rows] == ["pca", "teacher", "student 1"]
    assert rows[1][2] == rows[2][2]
