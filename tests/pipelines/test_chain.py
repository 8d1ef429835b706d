"""The whole chain on 48 phantoms, as a user types it, and what stays when it runs again."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from replearn.concepts.table import read_concepts, read_ids
from replearn.features import Features

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("edition", ["2018", "2026"])
@pytest.mark.parametrize("detector", ["linear", "knn", "union", "fused", "constant"])
def test_every_detector_ends_in_a_valid_scored_run(
    chain: Path, run: Run, tmp_path: Path, detector: str, edition: str
) -> None:
    truth, file = chain / "data/test-concepts.tsv", tmp_path / "run.csv"
    words = ["--edition", edition]
    assert run("predict", chain / detector, chain / "aae-test.h5", file, *words)[0] == 0
    assert run("validate", file, truth, *words)[0] == 0
    status, out, _ = run("evaluate", file, truth, "--json", *words)
    assert status == 0
    score = json.loads(out)
    assert score["images"] == len(read_ids(truth))
    assert 0 < score["f1"] <= 1
    assert score["interval"][0] <= score["f1"] <= score["interval"][1]


def test_features_lie_in_the_order_of_the_list(chain: Path) -> None:
    features = Features.load(chain / "aae-test.h5")
    assert features.ids == read_ids(chain / "data/test-concepts.tsv")
    assert features.vectors.shape == (len(features), 8)


def test_sheets_are_written_while_training(chain: Path) -> None:
    sheets = {path.name for path in (chain / "aae/sheets").iterdir()}
    assert {"reconstructions-0000002.png", "samples-0000004.png"} <= sheets


def test_a_run_file_is_never_short(chain: Path, run: Run, tmp_path: Path) -> None:
    listed = [*read_ids(chain / "data/test-concepts.tsv")[::-1], "an_image_without_features"]
    (tmp_path / "ids.txt").write_text("\n".join(listed))
    file = tmp_path / "run.txt"
    status, _, err = run(
        "predict", chain / "linear", chain / "aae-test.h5", file, "--ids", tmp_path / "ids.txt"
    )
    assert status == 0
    assert "an_image_without_features" in err
    written = read_concepts(file)
    assert written.ids == listed
    assert set(written.concepts[-1]) == set(
        json.loads((chain / "linear/detector.json").read_text())["constant"]
    )


def test_training_on_a_crop_extracts_the_matching_centre(
    chain: Path, run: Run, tmp_path: Path
) -> None:
    status, _, err = run(
        *("train", chain / "aae.yaml", chain / "data/images", tmp_path / "cropped"),
        *("--set", "images.size=72", "--set", "training.crop=64"),
    )
    assert status == 0, err
    image = chain / "data/images/phantom_000000.png"
    assert run("extract", tmp_path / "cropped", image, tmp_path / "one.h5")[0] == 0
    assert Features.load(tmp_path / "one.h5").vectors.shape == (1, 8)


def test_running_a_stage_again_does_nothing_and_other_settings_are_refused(
    chain: Path, run: Run
) -> None:
    data = chain / "data"
    same = ["extract", chain / "aae", chain / "images.h5", chain / "aae-test.h5"]
    before = (chain / "aae-test.h5").read_bytes()
    status, _, err = run(*same, "--ids", data / "test-concepts.tsv")
    assert status == 0
    assert "already made" in err
    status, _, err = run(*same, "--ids", data / "valid-concepts.tsv")
    assert status == 1
    assert "--overwrite" in err
    assert (chain / "aae-test.h5").read_bytes() == before
    detect = ["classify", chain / "aae-train.h5", data / "train-concepts.tsv"]
    detect += [chain / "aae-valid.h5", data / "valid-concepts.tsv", chain / "linear"]
    assert "already made" in run(*detect)[2]
    assert run(*detect, "--concepts", 5)[0] == 1
    train = ["train", chain / "aae.yaml", chain / "images.h5", chain / "aae"]
    train += ["--ids", data / "train-concepts.tsv"]
    assert "already trained" in run(*train, "--resume")[2]
    status, _, err = run(*train, "--set", "training.seed=1")
    assert status == 1
    assert "--overwrite" in err


def test_a_fitted_encoder_comes_with_its_sheets(chain: Path) -> None:
    assert (chain / "pca/sheets/reconstructions.png").exists()


def test_an_encoder_stays_until_the_one_that_replaces_it_is_finished(
    chain: Path, run: Run, tmp_path: Path
) -> None:
    shutil.copytree(chain / "aae", tmp_path / "aae")
    train = ["train", chain / "aae.yaml", chain / "images.h5", tmp_path / "aae", "--overwrite"]
    assert run(*train, "--set", "training.learning_rate=1e30")[0] == 1
    kept = tmp_path / ".aae.replaced"
    assert (kept / "encoder.json").read_bytes() == (chain / "aae/encoder.json").read_bytes()
    assert run(*train, "--set", "training.seed=5")[0] == 0
    assert not kept.exists()


def test_a_list_of_other_images_is_not_answered_with_the_constant(
    chain: Path, run: Run, tmp_path: Path
) -> None:
    other = chain / "data/valid-concepts.tsv"
    words = ["predict", chain / "linear", chain / "aae-test.h5", tmp_path / "run", "--ids", other]
    status, _, err = run(*words)
    assert status == 1
    assert "none of the" in err
    assert not (tmp_path / "run").exists()
