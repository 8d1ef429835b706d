"""The stage `classify`, as a user types it: rules, neighbours, penalties, indexes."""

import json
from collections.abc import Callable
from pathlib import Path

from replearn.concepts.table import read_concepts
from replearn.detection.detector import load_detector
from replearn.detection.fit_detector import fit_detector
from replearn.detection.settings import Scoring
from replearn.features import Features
from replearn.imageclef import edition

Run = Callable[..., tuple[int, str, str]]


def test_a_detector_takes_an_index_of_its_training_images_only(
    chain: Path, run: Run, tmp_path: Path
) -> None:
    data, folder = chain / "data", tmp_path / "index"
    run("index", chain / "aae-train.h5", folder, "--factory", "HNSW8", "--metric", "l2")
    parts = [chain / "aae-train.h5", data / "train-concepts.tsv"]
    parts += [chain / "aae-valid.h5", data / "valid-concepts.tsv"]
    words = ("--method", "knn", "--index", folder)
    assert run("classify", *parts, tmp_path / "own", *words)[0] == 0
    others = [parts[2], parts[3], parts[0], parts[1]]
    status, _, err = run("classify", *others, tmp_path / "other", *words)
    assert status == 1
    assert "--index" in err
    assert "index these features" in err


def test_classify_shows_what_each_rule_reaches_and_takes_the_best_or_the_one_asked_for(
    chain: Path, run: Run, tmp_path: Path
) -> None:
    data = chain / "data"
    command = ["classify", chain / "aae-train.h5", data / "train-concepts.tsv"]
    command += [chain / "aae-valid.h5", data / "valid-concepts.tsv"]
    status, table, err = run(*command, tmp_path / "auto")
    assert status == 0, err
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    facts = json.loads((tmp_path / "auto/detector.json").read_text())
    assert [row[0] for row in rows] == [outcome["rule"] for outcome in facts["comparison"]]
    best = max(rows, key=lambda row: float(row[1].strip("*")))
    assert best[1].startswith("**")
    assert facts["rule"]["name"] == best[0]
    status, table, _ = run(*command, tmp_path / "top", "--rule", "top-k")
    assert status == 0
    assert [line.split()[1] for line in table.splitlines()[2:]] == ["top-k"]
    assert run(*command, tmp_path / "top", "--rule", "threshold")[0] == 1, "another detector"
    run_file = tmp_path / "top.run"
    assert run("predict", tmp_path / "top", chain / "aae-test.h5", run_file)[0] == 0
    k = json.loads((tmp_path / "top/detector.json").read_text())["rule"]["k"]
    assert {len(concepts) for concepts in read_concepts(run_file).concepts} == {k}


def test_a_single_neighbour_is_copied(chain: Path, run: Run, tmp_path: Path) -> None:
    data = chain / "data"
    command = ["classify", chain / "aae-train.h5", data / "train-concepts.tsv"]
    command += [chain / "aae-valid.h5", data / "valid-concepts.tsv", tmp_path / "copy"]
    options = ["--method", "knn", "--vote", "union", "--neighbours", 1, "--rule", "threshold"]
    status, _, err = run(*command, *options)
    assert status == 0, err
    assert run("predict", tmp_path / "copy", chain / "aae-train.h5", tmp_path / "run")[0] == 0
    named = read_concepts(tmp_path / "run")
    truth = read_concepts(data / "train-concepts.tsv").select(named.ids)
    assert [set(c) for c in named.concepts] == [set(c) for c in truth.concepts]


def test_a_linear_detector_can_learn_from_validation_in_the_end_and_have_few_weights(
    chain: Path, run: Run, tmp_path: Path
) -> None:
    data = chain / "data"
    command = ["classify", chain / "aae-train.h5", data / "train-concepts.tsv"]
    command += [chain / "aae-valid.h5", data / "valid-concepts.tsv"]
    options = ["--penalty", "l1", "--refit", "--jobs", 2, "--device", "cpu"]
    status, _, err = run(*command, tmp_path / "sparse", *options)
    assert status == 0, err
    assert run("predict", tmp_path / "sparse", chain / "aae-test.h5", tmp_path / "run")[0] == 0
    status, _, err = run(*command, tmp_path / "knn", "--method", "knn", "--refit")
    assert status == 2
    assert "--refit" in err


def test_groups_of_other_images_are_refused_and_missing_ones_are_said(
    chain: Path, run: Run, tmp_path: Path
) -> None:
    data = chain / "data"
    command = ["classify", chain / "aae-train.h5", data / "train-concepts.tsv"]
    command += [chain / "aae-valid.h5", data / "valid-concepts.tsv", tmp_path / "grouped"]
    ids = read_concepts(data / "train-concepts.tsv").ids
    (tmp_path / "other.tsv").write_text("".join(f"other-{id_}\tpatient\n" for id_ in ids))
    status, _, err = run(*command, "--groups", tmp_path / "other.tsv")
    assert status == 1
    count = len(ids) + len(read_concepts(data / "valid-concepts.tsv").ids)
    assert f"other.tsv: has a group for none of the {count} images" in err
    (tmp_path / "some.tsv").write_text("".join(f"{id_}\tpatient-{id_}\n" for id_ in ids))
    status, _, err = run(*command, "--groups", tmp_path / "some.tsv", "--method", "knn")
    assert status == 0, err
    assert "images have no group and are one each" in err


def test_a_cluster_computes_on_its_processors(chain: Path, run: Run, tmp_path: Path) -> None:
    data = chain / "data"
    parts = [chain / "aae-train.h5", data / "train-concepts.tsv"]
    parts += [chain / "aae-valid.h5", data / "valid-concepts.tsv", tmp_path / "new"]
    status, _, err = run("classify", *parts, "--cluster", "ray", "--device", "cuda")
    assert status == 2
    assert err.startswith("replearn classify: --device cuda: with --cluster")
    assert not (tmp_path / "new").exists()


def test_python_fits_the_detector_that_the_command_makes(chain: Path) -> None:
    made = load_detector(chain / "linear")
    train, valid, test = (Features.load(chain / f"aae-{p}.h5") for p in ("train", "valid", "test"))
    concepts, chosen_on = (
        read_concepts(chain / f"data/{part}-concepts.tsv") for part in ("train", "valid")
    )
    rules = edition(2018)
    scoring = Scoring(rules.empty, rules.max_concepts)
    fitted = fit_detector((train, concepts), (valid, chosen_on), scoring=scoring)
    assert fitted.identity == made.identity
    assert fitted.comparison == made.comparison
    every = [detector.concepts(test.vectors) for detector in (fitted, made)]
    assert every[0] == every[1]
