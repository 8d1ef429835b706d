"""Command lines of the Makefile, the pages and the help name what exists; none of them is run."""

import importlib
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from pipelines.__main__ import STAGES, command

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^\.PHONY: (.*)", MAKEFILE, re.MULTILINE)[0].split())
VARIABLES = set(re.findall(r"^(\w+) *\?=", MAKEFILE, re.MULTILINE))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PAGES += sorted(ROOT.glob("docs/*.md")) + sorted(ROOT.glob("configs/*.yaml"))
# What stands before the words, the words; a comment or the end of a quotation ends them.
CALLS = re.compile(r"(?<![\w./-])(replearn|make|-m benchmarks\.\w+) +([^'#\n]+)", re.MULTILINE)
Run = Callable[..., tuple[int, str, str]]


def refuse_unreadable(app: typer.Typer, words: list[str]) -> None:
    """Take the words apart as the command does, and stop there."""
    get_command(app).make_context("", list(words))


def check_stage(stage: str, *words: str) -> None:
    """Fail unless the stage exists and could begin with these words."""
    assert stage in STAGES
    refuse_unreadable(command(stage), list(words))
    for word in words:
        assert not word.startswith("configs/") or (ROOT / word).exists(), word


def check_names(stage: str, *words: str) -> None:
    """Fail unless the stage and those of its options that are named exist."""
    if stage in ("STAGE", "--help", "--version"):
        return
    assert stage in STAGES
    parameters: list[Any] = get_command(command(stage)).params
    known = {"--help", "-h"}.union(*(parameter.opts for parameter in parameters))
    assert {word for word in words if word.startswith("-")} <= known


def check_benchmark(name: str, *words: str) -> None:
    """Fail unless the benchmark exists and could begin with these words."""
    module = importlib.import_module(f"benchmarks.{name}")
    if hasattr(module, "__path__"):  # a package
        module = importlib.import_module(f"benchmarks.{name}.__main__")
    app = typer.Typer(add_completion=False)
    app.command()(module.main)
    refuse_unreadable(app, list(words))


def check_make(*words: str) -> None:
    """Fail unless the Makefile has the targets and the variables."""
    for name, given, _ in (word.partition("=") for word in words):
        assert name in (VARIABLES if given else TARGETS)


def calls(code: str) -> Iterator[tuple[str, list[str]]]:
    """Yield what is called in a piece of code, with its words."""
    for what, words in CALLS.findall(code.replace("\\\n", " ")):
        yield what, shlex.split(words)


def blocks_and_quotes(page: str) -> tuple[str, list[str]]:
    """Return the code blocks of a page, but those of Python, and each piece of code in its text."""
    page = re.sub(r"^```python\n.*?^```", "", page, flags=re.DOTALL | re.MULTILINE)
    block = re.compile(r"^```(?s:.*?)^```|^ {4}.*", re.MULTILINE)
    quotes = re.findall(r"`([^`]+)`", block.sub("", page))
    return "\n".join(block.findall(page)), [" ".join(quote.split()) for quote in quotes]


def check(code: str, check_replearn: Callable[..., None]) -> None:
    """Fail unless all that a piece of code calls exists."""
    for what, words in calls(code):
        if what == "make":
            check_make(*words)
        elif what.startswith("-m benchmarks."):
            check_benchmark(what.removeprefix("-m benchmarks."), *words)
        else:
            check_replearn(*words)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_what_a_page_calls_exists(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    if path.suffix == ".yaml":
        page = re.sub(r"^# ?", "", page, flags=re.MULTILINE)
    block, quotes = blocks_and_quotes(page)
    check(block, check_stage)
    for quote in quotes:
        short = quote.split()[0] in STAGES and " -" in quote  # for `replearn classify --rule`
        check(f"replearn {quote}" if short else quote, check_names)


@pytest.mark.parametrize("stage", STAGES)
def test_the_example_of_a_stage_can_be_run_as_it_stands(stage: str) -> None:
    [example] = re.findall(r"Example: (.*)", get_command(command(stage)).help or "")
    [(_, words)] = calls(example)
    check_stage(*words)


# ---- the Makefile


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder as make wants it, without lists for validation and test."""
    folder = tmp_path / "data"
    (folder / "images/test").mkdir(parents=True)
    (folder / "train-concepts.tsv").write_text("a\tC1\n")
    return folder


def make(tmp_path: Path, *words: str) -> str:
    """Return what make prints, with runs and the environment of Python in a folder of their own."""
    fixed = ["make", "--no-print-directory", f"VENV={tmp_path}/venv", f"RUN={tmp_path}/run"]
    outer = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", *VARIABLES}  # where make runs these tests
    done = subprocess.run(
        [*fixed, *words],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name not in outer},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def stages_of(tmp_path: Path, *words: str) -> list[list[str]]:
    """Return the words of each call of replearn that make would make."""
    lines = make(tmp_path, "--dry-run", *words).replace("\\\n", " ").splitlines()
    split = [shlex.split(line) for line in lines if "bin/replearn" in line]
    assert all(call[0] == f"{tmp_path}/venv/bin/replearn" for call in split)
    return [call[1:] for call in split]


LEARNING = ["prepare", "train", "extract", "extract", "classify"]


@pytest.mark.parametrize("overwrite", ["", "1"])
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("demo", ["phantoms", "compare", "report", "report"]),
        ("compare-small", ["phantoms", "compare"]),
        ("train", ["split", "prepare", "train"]),
        (
            "train extract classify index predict",
            ["split", *LEARNING, "ids", "extract", "index", "predict", "validate"],
        ),
        ("imageclef EDITION=2026", ["split", *LEARNING, "ids", "extract", "predict", "validate"]),
        ("query IMAGE=one.png", ["split", "prepare", "train", "extract", "index", "query"]),
    ],
)
def test_make_calls_stages_that_exist_with_options_that_exist(
    words: str, expected: list[str], overwrite: str, data: Path, tmp_path: Path
) -> None:
    (data / "groups.tsv").write_text("a\tp\n")
    own = [f"DATA={data}", "NAME=mine", f"OVERWRITE={overwrite}"]
    found = stages_of(tmp_path, *words.split(), *own)
    assert sorted(call[0] for call in found) == sorted(expected)
    for call in found:
        check_stage(*call)


@pytest.mark.parametrize("given", [True, False])
def test_make_keeps_the_images_of_a_patient_together_whoever_made_the_lists(
    given: bool, data: Path, tmp_path: Path
) -> None:
    (data / "groups.tsv").write_text("a\tp\n")
    if given:
        (data / "valid-concepts.tsv").write_text("b\tC1\n")
    calls = stages_of(tmp_path, "classify", f"DATA={data}")
    users = {call[0] for call in calls if "--groups" in call}
    assert users == {"classify" if given else "split"}


def test_make_takes_ids_from_paths_for_the_images_and_for_the_list_of_those_to_test(
    data: Path, tmp_path: Path
) -> None:
    calls = stages_of(tmp_path, "predict", f"DATA={data}", "IDS_FROM=path")
    users = {call[0]: call[call.index("--ids-from") + 1] for call in calls if "--ids-from" in call}
    assert users == {"prepare": "path", "ids": "path"}


@pytest.mark.parametrize("name", ["DATA", "CONFIG", "NAME"])
def test_make_refuses_paths_with_spaces_as_such(name: str, data: Path, tmp_path: Path) -> None:
    words = [f"DATA={data}", f"{name}={tmp_path}/my data"]
    done = subprocess.run(
        ["make", "-n", "train", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "make takes no spaces in paths; give a link that has none" in done.stderr


@pytest.mark.parametrize(
    ("start", "anew"),
    [
        ("#!{venv}/bin/python\n", False),
        ("#!/bin/sh\n'''exec' {venv}/bin/python \"$0\"\n", False),  # where the path is long
        ("#!/elsewhere{venv}/bin/python\n", True),
        ("#!/elsewhere/.venv/bin/python\n", True),
    ],
)
def test_make_sets_up_again_an_environment_that_was_copied_or_moved(
    start: str, anew: bool, tmp_path: Path
) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / ".ready-cpu").touch()
    os.utime(venv / ".ready-cpu", (2**32, 2**32))
    (venv / "bin/replearn").write_text(start.format(venv=venv))
    said = make(tmp_path, "--dry-run", "setup")
    assert ("--clear" in said) == anew
    assert ("Nothing to be done" in said) != anew


@pytest.mark.parametrize("target", ["demo", "compare-small"])
def test_make_compares_with_settings_that_exist(target: str, run: Run, tmp_path: Path) -> None:
    [call] = [call for call in stages_of(tmp_path, target) if call[0] == "compare"]
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    with chdir(tmp_path):
        status, _, said = run(*call)
    # All settings are read before the data, which are not there.
    assert status == 1
    assert "not a data folder" in said


def test_an_image_that_came_or_changed_in_a_subfolder_makes_the_image_set_stale(
    data: Path, tmp_path: Path
) -> None:
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv/.ready-cpu").touch()
    stamp = tmp_path / "run/.images"
    words = (f"{stamp}", f"DATA={data}")

    def stamped() -> tuple[int, str]:
        make(tmp_path, *words)
        return stamp.stat().st_mtime_ns, stamp.read_text()

    first = stamped()
    assert stamped() == first
    (data / "images/test/one.png").touch()
    os.utime(data / "images/test", (0, 0))  # as tar and rsync leave it
    second = stamped()
    assert second != first
    assert stamped() == second
    (data / "images/test/round").symlink_to("..")
    assert stamped() == second
    (data / "images/test/one.png").write_text("another")
    third = stamped()
    assert third != second, "one that was written over"
    os.utime(data / "images/test/one.png", (0, 0))
    assert stamped() != third
