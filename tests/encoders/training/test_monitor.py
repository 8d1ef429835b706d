"""What a training writes while it goes on: metrics, events, sheets."""

from pathlib import Path

import cv2
import pytest

from tests.encoders.training.small import STEPS, assert_same_bits, go, metrics, new_trainer


def test_sheets_metrics_and_events_are_written(tmp_path: Path) -> None:
    go(new_trainer("aae", sheet_every=5, log_every=4), tmp_path)
    sheets = sorted(path.name for path in (tmp_path / "sheets").iterdir())
    assert sheets == [
        f"{kind}-{step:07d}.png"
        for kind in ("arithmetic", "interpolations", "reconstructions", "samples")
        for step in (5, STEPS)
    ]
    for name in sheets:
        sheet = cv2.imread(str(tmp_path / "sheets" / name))
        assert sheet is not None
        assert sheet.std() > 0
    lines = metrics(tmp_path)
    assert [line["step"] for line in lines] == [4, 5, 8], "and one where the codes were looked at"
    assert all(0 <= line["waiting"] < 1 for line in lines)
    for line in lines[1:]:
        assert line["codes/distance"] > line["codes/distance_of_draws"] > 0
    assert all(line["images_per_second"] > 0 for line in lines)
    assert len(list(tmp_path.glob("events.*"))) == 1
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_line_of_metrics_is_the_mean_since_the_last_line(tmp_path: Path) -> None:
    for every in (1, 4):
        go(new_trainer(log_every=every), tmp_path / str(every))
    term = "autoencoder/reconstruction"
    single = [line[term] for line in metrics(tmp_path / "1")]
    means = [sum(single[start : start + 4]) / 4 for start in (0, 4)]
    assert [line[term] for line in metrics(tmp_path / "4")] == pytest.approx(means)


def test_watching_does_not_change_the_training(tmp_path: Path) -> None:
    often = new_trainer("aae", log_every=1, sheet_every=1, checkpoint_every=1)
    seldom = new_trainer("aae", log_every=100, sheet_every=100, checkpoint_every=100)
    go(often, tmp_path / "often")
    go(seldom, tmp_path / "seldom")
    assert_same_bits(often, seldom)
