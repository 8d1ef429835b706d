"""The benchmarks run, in their tiniest form; what they measure is not tested."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_training_ends_with_the_ratios_to_each_rival() -> None:
    tiny = "--size 16 --width 4 --batch 8 --rounds 1 --seconds 0.01 --workers 1 --device cpu"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.training", "--models", "vae,combined", *tiny.split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["benchmark"] == "training"
    assert set(last["bare"]) == {"vae", "combined"}
    assert (last["pythae"] is None) == (find_spec("pythae") is None)
    measured = [*last["bare"].values(), last["files"], last["pythae"]]
    for facts in filter(None, measured):
        assert 0 < facts["least"] <= facts["ratio"] <= facts["most"]
        assert facts["replearn"] > 0
        assert facts["rival"] > 0


def test_logistic_ends_with_ratios_excesses_and_growth() -> None:
    tiny = "--rows 600 --width 8 --labels 6 --exact 2 --rounds 2 --scale 0.01 --growth-width 8"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.logistic", *tiny.split(), "--growth-labels", "8"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["benchmark"] == "logistic"
    for tail in "ab":
        assert 0 < last[tail]["least"] <= last[tail]["ratio"] <= last[tail]["most"]
        assert abs(last[tail]["excess"]) < 1e-6
    assert len(last["growth"]["by_rows"]) == len(last["growth"]["by_labels"]) == 3
