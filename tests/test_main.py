"""`python -m replearn`: the same command from anywhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import replearn

ROOT = Path(__file__).parent.parent


def python(folder: Path, *words: str) -> str:
    """Run Python in a folder, with the library of this checkout, and return what it printed."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_tells_the_version_of_the_library(tmp_path: Path) -> None:
    assert python(tmp_path, "-m", "replearn", "--version") == f"replearn {replearn.__version__}\n"


def test_folders_called_as_those_of_the_project_are_not_taken_for_them(tmp_path: Path) -> None:
    for name in ("pipelines", "configs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('of someone else')")
    assert "Usage: replearn split" in python(tmp_path, "-m", "replearn", "split", "--help")


@pytest.mark.parametrize("name", ["pipelines", "replearn.pipelines"])
def test_a_stage_is_found_under_both_names_of_its_package(name: str, tmp_path: Path) -> None:
    code = (
        f"import replearn.__main__, {name}.__main__ as it, sys; it.command('split'); "
        f"sys.exit('{name}.split' not in sys.modules)"
    )
    python(tmp_path, "-c", code)
