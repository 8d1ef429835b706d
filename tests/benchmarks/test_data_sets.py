"""Data folders and two-class sets in the benchmark of encoders: what is scored, and how."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier

from benchmarks import encoders
from benchmarks.binary import NEIGHBOURS, probe_binary
from benchmarks.data_folders import Parts
from benchmarks.datasets import Classes, Form, open_data, prepare_data
from benchmarks.detectors import score_detectors
from benchmarks.probes import standardise
from benchmarks.recipes import SCALES
from benchmarks.tables import compare_with
from replearn.concepts.table import read_concepts, read_ids
from replearn.errors import UsageError
from replearn.phantoms.data_folder import write_data_folder

TINY = replace(SCALES["small"], width=4, steps=3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a data folder `mine` with patients of two images and a test list without concepts."""
    mine = tmp_path / "mine"
    write_data_folder(mine, count=260, size=16)
    table = read_concepts(mine / "train-concepts.tsv")
    pairs = [f"{id_}\tpatient {row // 2}\n" for row, id_ in enumerate(table.ids)]
    (mine / "groups.tsv").write_text("".join(pairs))
    asked = read_concepts(mine / "test-concepts.tsv").ids
    (mine / "test-concepts.tsv").unlink()
    (mine / "test-images.txt").write_text("".join(f"{id_}\n" for id_ in asked))
    return tmp_path


def plan(work: Path, **changes: object) -> encoders.Plan:
    """Return a plan of seconds on the folder `mine`."""
    asked: dict[str, object] = {
        "data": work,
        "work": work / "work",
        "datasets": ["mine"],
        "encoders": ["kmeans"],
        "layers": ["code"],
        "configs": {},
        "scale": TINY,
        "size": 16,
        "channels": None,
        "training": {"device": "cpu"},
    }
    return encoders.Plan(**asked | changes)  # type: ignore[arg-type]


def test_validation_images_of_a_folder_are_scored_and_a_quarter_of_train_chooses(
    folder: Path,
) -> None:
    form = Form("mine", 16, 1)
    prepare_data(form, folder, folder / "work")
    data = open_data(form, folder / "work")
    parts = data.parts
    assert parts is not None
    train = read_concepts(folder / "mine/train-concepts.tsv").ids
    assert sorted([*parts.ids["train"], *parts.ids["valid"]]) == sorted(train)
    assert len(parts.ids["valid"]) == pytest.approx(len(train) / 4, abs=2)
    assert parts.ids["test"] == read_concepts(folder / "mine/valid-concepts.tsv").ids
    assert parts.ids["asked"] == read_ids(folder / "mine/test-images.txt")
    patients = [{parts.groups[id_] for id_ in parts.ids[part]} for part in ("train", "valid")]
    assert not patients[0] & patients[1]
    assert {part: len(pixels) for part, pixels in data.pixels.items()} == {
        part: len(ids) for part, ids in parts.ids.items()
    }


def test_a_folder_has_scores_of_detectors_leads_over_an_encoder_and_predictions(
    folder: Path,
) -> None:
    rows, failed = encoders.complete(plan(folder), processes=1)
    assert not failed
    by_encoder = {row["encoder"]: row for row in rows}
    assert set(by_encoder) == {"raw", "random", "pca", "kmeans"}
    assert set(by_encoder["kmeans"]["scores"]) == {"linear", "neighbours", "fused"}
    lead = by_encoder["raw"]["scores"]["fused"] - by_encoder["kmeans"]["scores"]["fused"]
    table = compare_with("kmeans", rows)
    (line,) = (line for line in table.splitlines() if line.startswith("| raw |"))
    assert line.split("|")[5].startswith(f" {lead:+.2f} (")
    run = folder / "work/runs/mine-kmeans-0-only-fused.csv"
    assert read_ids(run) == read_ids(folder / "mine/test-images.txt")
    assert compare_with("nobody", rows) == ""


def test_a_name_that_is_neither_known_nor_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--datasets mine: neither known \(mnist, .*radiology\)"):
        plan(tmp_path).jobs()


def test_no_label_of_a_scored_image_changes_its_prediction() -> None:
    random = np.random.default_rng(0)
    names = {"train": 40, "valid": 20, "test": 20, "asked": 5}
    ids = {part: [f"{part}{n}" for n in range(count)] for part, count in names.items()}
    features = {
        part: random.normal(size=(count, 6)).astype(np.float32) for part, count in names.items()
    }
    concepts = {
        id_: [f"C{c}" for c in range(3) if row[c] > 0] or ["C3"]
        for part in ("train", "valid", "test")
        for id_, row in zip(ids[part], features[part], strict=True)
    }
    scores, predicted = score_detectors(features, Parts(ids, concepts, {}))
    assert np.mean(list(scores["linear"].values())) > 80
    other = concepts | {id_: ["C9"] for id_ in ids["test"]}
    none, same = score_detectors(features, Parts(ids, other, {}))
    assert set(none["fused"].values()) == {0.0}
    assert same == predicted


def test_the_two_class_probe_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    counts = {"train": 300, "valid": 100, "test": 200}
    numbers = {part: random.integers(0, 2, count) for part, count in counts.items()}
    features = {
        part: (random.normal(size=(len(some), 8)) + 0.6 * some[:, None]).astype(np.float32)
        for part, some in numbers.items()
    }
    labels = {part: Classes(some, 2) for part, some in numbers.items()}
    scores, intervals = probe_binary(features, labels)
    X = standardise(features)
    # Two columns of weights share the penalty of one: C of the softmax is half of scikit-learn's.
    model = LogisticRegression(C=scores["C"] * 2, tol=1e-10, max_iter=10_000)
    margins = model.fit(X["train"], numbers["train"]).decision_function(X["test"])
    assert scores["linear"] == pytest.approx(100 * np.mean((margins > 0) == numbers["test"]))
    assert scores["AUC"] == pytest.approx(100 * roc_auc_score(numbers["test"], margins), abs=0.05)
    cosine = KNeighborsClassifier(NEIGHBOURS, metric="cosine")
    accuracy = cosine.fit(features["train"], numbers["train"]).score(
        features["test"], numbers["test"]
    )
    assert scores[f"knn {NEIGHBOURS}"] == pytest.approx(100 * accuracy)
    for name, (low, high) in intervals.items():
        assert low < scores[name] < high


def test_a_file_of_medmnist_keeps_its_parts_and_labels(tmp_path: Path) -> None:
    arrays = {}
    for number, (part, count) in enumerate({"train": 6, "val": 3, "test": 4}.items()):
        images = np.full((count, 28, 28), 10 * number, np.uint8)
        arrays[f"{part}_images"] = images + np.arange(count, dtype=np.uint8)[:, None, None]
        arrays[f"{part}_labels"] = (np.arange(count) % 2)[:, None].astype(np.uint8)
    np.savez(tmp_path / "pneumoniamnist.npz", **arrays)  # type: ignore[arg-type]
    form = Form("pneumoniamnist", 28, 1)
    prepare_data(form, tmp_path, tmp_path / "work")
    data = open_data(form, tmp_path / "work")
    for part, key in {"train": "train", "valid": "val", "test": "test"}.items():
        np.testing.assert_array_equal(data.pixels[part][:, 0], arrays[f"{key}_images"])
        labels = data.labels[part]
        assert isinstance(labels, Classes)
        np.testing.assert_array_equal(labels.numbers, arrays[f"{key}_labels"][:, 0])
