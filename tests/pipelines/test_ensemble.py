"""`predict --scores`, `ensemble` and `predict` with score files, on the chain of the commands."""

from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest

import replearn
from replearn.concepts.table import read_ids

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def scored(chain: Path, tmp_path: Path, run: Run) -> Path:
    """Return a folder with the scores of two detectors of different encoders."""
    for encoder, detector in (("aae", "linear"), ("aae", "knn")):
        for part in ("valid", "test"):
            out = tmp_path / f"{detector}-{part}"
            words = [chain / detector, chain / f"{encoder}-{part}.h5", f"{out}.csv"]
            assert run("predict", *words, "--scores", f"{out}.h5")[0] == 0
    return tmp_path


def test_scores_are_probabilities_of_the_listed_images(chain: Path, scored: Path) -> None:
    scores = replearn.ConceptScores.load(scored / "knn-test.h5")
    detector = replearn.load_detector(chain / "knn")
    assert scores.ids == read_ids(chain / "data/test-concepts.tsv")
    assert scores.vocabulary == detector.vocabulary
    assert scores.detector == detector.identity
    assert np.asarray(scores.scores).min() > 0  # no neighbour shows it: rare, not impossible


def test_scores_of_two_detectors_become_one_that_predicts(
    chain: Path, scored: Path, run: Run
) -> None:
    with chdir(scored):
        truth = chain / "data/valid-concepts.tsv"
        fit = ["ensemble", "both", truth, "--valid", "linear-valid.h5", "--valid", "knn-valid.h5"]
        status, out, err = run(*fit)
        assert status == 0, err
        assert [line.split(" | ")[0] for line in out.splitlines()[2:]] == [
            "| linear-valid.h5",
            "| knn-valid.h5",
            "| mean",
            "| log-linear",
        ]
        assert "both: the ensemble" in err
        ids = chain / "data/test-concepts.tsv"
        given = ["--edition", 2026, "--ids", ids]
        for number, names in enumerate((["linear", "knn"], ["knn", "linear"])):
            files = [f"{name}-test.h5" for name in names]
            assert run("predict", "both", *files, f"{number}.csv", *given)[0] == 0
        assert Path("0.csv").read_text() == Path("1.csv").read_text()
        assert run("validate", "0.csv", ids, "--edition", 2026)[0] == 0
        assert Path("0.zip").exists()
        again = run(*fit)
        assert (again[0], again[1]) == (0, "")
        assert "nothing to do" in again[2]


def test_an_ensemble_serves_in_another_one(chain: Path, scored: Path, run: Run) -> None:
    with chdir(scored):
        truth = chain / "data/valid-concepts.tsv"
        pair = ["linear-valid.h5", "knn-valid.h5"]
        assert run("ensemble", "a", truth, "--valid", pair[0], "--valid", pair[1])[0] == 0
        assert run("predict", "a", *pair, "a.csv", "--scores", "a.h5")[0] == 0
        status, _, err = run("ensemble", "b", truth, "--valid", "a.h5", "--valid", pair[0])
        assert status == 0, err


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ("ensemble x TRUTH --valid linear-valid.h5", 2, "two detectors or more, each once"),
        ("ensemble x TRUTH --valid AAE --valid linear-valid.h5", 1, "where scores and ids are"),
        ("predict LINEAR AAE AAE run.csv", 2, "several files are the scores for an ensemble"),
        ("predict LINEAR linear-valid.h5 run.csv", 1, "features of the same encoder"),
        ("predict LINEAR AAE new.csv --scores AAE --overwrite", 1, "which is read here"),
        ("predict LINEAR AAE new.csv --scores linear-test.h5", 1, "give --overwrite"),
    ],
)
def test_what_does_not_belong_there_is_one_line(
    words: str, status: int, message: str, chain: Path, scored: Path, run: Run
) -> None:
    names = {"TRUTH": "data/valid-concepts.tsv", "AAE": "aae-valid.h5", "LINEAR": "linear"}
    with chdir(scored):
        given = [chain / names[word] if word in names else word for word in words.split()]
        found, _, err = run(*given)
    assert found == status
    assert message in err.splitlines()[-1]
