"""The stage diagnose on the chain's artefacts: what it writes, says and refuses."""

import json
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest

from replearn.phantoms.data_folder import factor_table
from tests.report.test_report import Tags

Run = Callable[..., tuple[int, str, str]]


def test_an_encoder_gets_every_number_that_applies_and_a_page(
    chain: Path, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "factors.tsv").write_text(factor_table(48))
    with chdir(chain):
        words = f"diagnose aae data/images {tmp_path}/made --concepts data/train-concepts.tsv"
        (tmp_path / "ids.txt").write_text("".join(f"phantom_{n:06d}\n" for n in range(24)))
        words += f" --trained {tmp_path}/ids.txt --factors {tmp_path}/factors.tsv --json"
        status, out, err = run(*words.split())
    assert status == 0, err
    found = json.loads(out)
    assert found == json.loads((tmp_path / "made/diagnosis.json").read_text())
    assert found["numbers"].keys() >= {"samples", "representation", "robustness", "factors"}
    assert found["numbers"].keys() >= {"codes", "conditioning", "generalisation"}
    for subject, numbers in found["numbers"].items():
        for name, number in numbers.items():
            assert number["n"] >= 2, name
            high = number["high"] if number["high"] is not None else float("inf")
            assert number["low"] - 1e-9 <= number["value"] <= high + 1e-9, name
            assert "baseline" in number or subject == "conditioning", name
    page = Tags((tmp_path / "made/diagnosis.html").read_text())
    assert "Diagnosis of encoder aae" in page.text
    assert "Likeliest copies" in page.text
    assert all("alt" in attributes for tag, attributes in page.seen if tag == "img")


def test_an_encoder_that_makes_no_images_says_so_and_a_second_look_changes_nothing(
    chain: Path, run: Run, tmp_path: Path
) -> None:
    with chdir(chain):
        words = f"diagnose pca images.h5 {tmp_path}/made --count 30"
        status, out, err = run(*words.split())
        assert status == 0, err
        assert out.strip() == f"{tmp_path}/made/diagnosis.html"
        found = json.loads((tmp_path / "made/diagnosis.json").read_text())
        assert "samples" in found["absent"]
        assert "already made" in run(*words.split())[2]
        assert run(*words.split()[:-1], "31")[0] == 1


def test_an_encoder_can_judge_the_samples_of_another(chain: Path, run: Run, tmp_path: Path) -> None:
    with chdir(chain):
        words = f"diagnose aae images.h5 {tmp_path}/made --judge pca"
        status, _, err = run(*words.split())
    assert status == 0, err
    found = json.loads((tmp_path / "made/diagnosis.json").read_text())
    assert found["facts"]["samples judged by"] == "pca"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("aae-train.h5 pca-train.h5", "the encoder of the fake features"),
        ("aae-test.h5 aae-test.h5", "7 real images: give at least 20"),
        ("aae-train.h5 aae-train.h5 --judge pca", "--judge: only where an encoder"),
        ("data images.h5", "neither an encoder's folder nor features"),
        ("aae images.h5 --ids data/test-concepts.tsv", "7 given images: give at least 20"),
        ("aae images.h5 --trained data/train-concepts.tsv", "34 of the 48 images"),
    ],
)
def test_what_cannot_be_diagnosed_is_refused_in_a_line(
    words: str, said: str, chain: Path, run: Run, tmp_path: Path
) -> None:
    first, second, *options = words.split()
    with chdir(chain):
        status, _, err = run("diagnose", first, second, tmp_path / "made", *options)
    assert status in (1, 2)
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "made").exists()
