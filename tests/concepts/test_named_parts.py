"""Parts by the word in the ids of images, as the organisers' list of 2026 has them."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.rehearsal import lay_out
from replearn.concepts.splitting.named_parts import split_by_ids
from replearn.concepts.table import ConceptTable, read_ids
from replearn.errors import DataError
from replearn.phantoms.data_folder import write_data_folder

ROOT = Path(__file__).parents[2]
START = "ImageCLEFmedical_Caption_2026"
Run = Callable[..., tuple[int, str, str]]


def table(*ids: str) -> ConceptTable:
    return ConceptTable(list(ids), [("C1",)] * len(ids))


def test_images_go_where_their_ids_say() -> None:
    ids = [f"{START}_train_10", f"{START}_valid_2", f"{START}_synth_train_000003", "Validation/1"]
    parts = split_by_ids(table(*ids, "x-TEST-1"))
    assert {name: part.ids for name, part in parts.items()} == {
        "train": [ids[0], ids[2]],
        "valid": [ids[1], ids[3]],
        "test": ["x-TEST-1"],
    }


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (["train_1", "retrained_2"], "'retrained_2' says none of train, valid and test"),
        (["train_1", "train_valid_2"], "'train_valid_2' says train and valid"),
        (["train_1", "test_2"], "no id says valid"),
        (["valid_1"], "no id says train"),
    ],
)
def test_ids_that_say_nothing_are_refused(ids: list[str], words: str) -> None:
    with pytest.raises(DataError, match=words):
        split_by_ids(table(*ids))


def test_the_command_divides_by_ids(run: Run, tmp_path: Path) -> None:
    (tmp_path / "concepts.csv").write_text("ID,CUIs\na_train_10,C1;C2\na_valid_0,C1\na_train_9,\n")
    words = ["split", tmp_path / "concepts.csv", tmp_path / "lists", "--by-ids"]
    assert run(*words)[0] == 0
    assert (tmp_path / "lists/train-concepts.tsv").read_text() == "a_train_10\tC1;C2\na_train_9\t\n"
    assert read_ids(tmp_path / "lists/valid-concepts.tsv") == ["a_valid_0"]
    status, _, err = run(*words, "--stratify")
    assert status == 2
    assert "leave out --groups, --stratify and --test" in err


@pytest.fixture
def download(tmp_path: Path) -> Path:
    """Return a folder as the organisers' download of 2026, with both tracks."""
    for number, (track, digits) in enumerate((("", 0), ("_synth", 6))):
        write_data_folder(tmp_path / f"drawn{track}", count=20, seed=number, size=16)
        lay_out(tmp_path / f"drawn{track}", tmp_path / "download", track, digits)
    return tmp_path / "download"


def planned(*words: object) -> tuple[int, str]:
    """Return the exit status of make and what it would run."""
    done = subprocess.run(
        ["make", "-n", *map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("track", ["", "synth"])
def test_make_plans_a_submission_from_the_download_of_2026(track: str, download: Path) -> None:
    words = ["imageclef", f"DATA={download}", "EDITION=2026", f"TRACK={track}", "NAME=planned"]
    status, plan = planned(*words)
    assert status == 0, plan
    suffix = f"_{track}" if track else ""
    home = download / f"dev_concept{suffix}"
    assert f"split {home}/concepts.csv runs/planned/split --by-ids" in plan
    assert f"ln -sfn {home}/images runs/planned/images/dev" in plan
    assert f"ln -sfn {download}/test{suffix}/images runs/planned/images/test" in plan
    assert "ids runs/planned/images --within test" in plan
    assert "validate runs/planned/linear-2026.csv runs/planned/test-images.txt" in plan


def test_a_track_that_is_not_there_is_refused(download: Path) -> None:
    status, text = planned("imageclef", f"DATA={download}", "TRACK=other")
    assert status != 0
    assert f"there is no {download}/dev_concept_other" in text


def test_the_organisers_ids_are_not_padded_and_test_images_have_no_label(download: Path) -> None:
    names = {path.stem for path in (download / "test/images").iterdir()}
    assert names == {f"{START}_test_{n}" for n in range(3)}
    assert not names & set(read_ids(download / "dev_concept/concepts.csv"))
