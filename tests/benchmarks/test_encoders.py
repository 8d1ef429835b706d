"""The benchmark of the encoders: its probes against scikit-learn, its choices, its reuse."""

import json
import signal
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from benchmarks import encoders, measuring, probes
from benchmarks.datasets import Classes, Concepts, Form, Labels, open_data, prepare_data
from benchmarks.measuring import Job, extract, layers_of, train
from benchmarks.recipes import (
    BASELINES,
    SCALES,
    Recipe,
    choose,
    of_config,
    recipes,
    training_settings,
)
from benchmarks.tables import summarise, to_markdown
from replearn.encoders.configuration import Configuration
from replearn.encoders.models import build, check_arguments
from replearn.encoders.training.settings import TrainingSettings
from replearn.encoders.training.trainer import Trainer
from replearn.errors import DataError, UsageError

ROOT = Path(__file__).parents[2]
TINY = replace(SCALES["small"], width=4, steps=3, phantoms=200)


def correlated(count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return features [N, 24] whose variances span six decades, and three overlapping classes."""
    generator = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(24, 24)) * np.logspace(0, -3, 24)[:, None]
    classes = generator.integers(0, 3, count)
    latent = generator.normal(size=(count, 24))
    latent[:, :3] += 1.5 * np.eye(3)[classes]
    return (latent @ mixing).astype(np.float32), classes.astype(np.int64)


def parts(count: int = 300) -> tuple[dict[str, Any], dict[str, Labels]]:
    """Return features and labels of train, valid and test."""
    made = {
        part: correlated(count, seed) for seed, part in enumerate(("train", "valid", "test"), 1)
    }
    features = {part: values for part, (values, _) in made.items()}
    return features, {part: Classes(numbers, 3) for part, (_, numbers) in made.items()}


def plan(work: Path, **changes: Any) -> encoders.Plan:
    """Return a plan of seconds on phantoms."""
    asked: dict[str, Any] = {
        "data": work,
        "work": work,
        "datasets": ["phantoms"],
        "encoders": ["sdae"],
        "layers": ["code", "convolution"],
        "configs": {},
        "scale": TINY,
        "size": 16,
        "channels": None,
        "training": {"device": "cpu"},
    }
    return encoders.Plan(**asked | changes)


# Probes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [1e-4, 1e-2, 1.0, 100.0])
def test_the_softmax_probe_reaches_the_objective_of_scikit_learn(strength: float) -> None:
    features, labels = parts()
    X = probes.standardise(features)["train"]
    y = labels["train"].numbers  # type: ignore[union-attr]
    reference = LogisticRegression(C=strength, tol=1e-10, max_iter=100_000).fit(X, y)
    expected = np.vstack([reference.coef_.T, reference.intercept_]).astype(np.float32)
    ours = probes.SoftmaxRegression(torch.from_numpy(X), torch.from_numpy(y), 3)
    found = ours.objective(ours.fit(strength), strength).item()
    best = ours.objective(torch.from_numpy(expected), strength).item()
    assert found == pytest.approx(best, rel=1e-4)


def test_the_start_of_the_softmax_probe_does_not_matter() -> None:
    features, labels = parts()
    X = torch.from_numpy(probes.standardise(features)["train"])
    y = torch.from_numpy(labels["train"].numbers)  # type: ignore[union-attr]
    cold, warm = probes.SoftmaxRegression(X, y, 3), probes.SoftmaxRegression(X, y, 3)
    warm.fit(1e-3)
    values = [probe.objective(probe.fit(0.1), 0.1).item() for probe in (cold, warm)]
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_what_is_best_on_validation_is_reported_however_it_does_on_test() -> None:
    valid, test = {0.1: 50.0, 1.0: 70.0, 10.0: 70.0}, {0.1: 90.0, 1.0: 60.0, 10.0: 80.0}

    def score(strength: float, part: str) -> float:
        return (valid if part == "valid" else test)[strength]

    chosen = probes.sweep(tuple(valid), lambda strength: strength, score)
    assert chosen == {"linear": 60.0, "linear valid": 70.0, "C": 1.0}


def test_the_search_for_a_strength_ends_where_validation_clearly_falls() -> None:
    valid = {0.1: 60.0, 1.0: 59.6, 10.0: 70.0, 100.0: 69.4, 1000.0: 80.0}
    tried = []

    def fit(strength: float) -> float:
        tried.append(strength)
        return strength

    chosen = probes.sweep(tuple(valid), fit, lambda strength, part: valid[strength])
    assert chosen["C"] == 10.0
    assert tried == [0.1, 1.0, 10.0, 100.0]


def test_the_linear_probe_is_that_of_scikit_learn_at_the_chosen_strength() -> None:
    features, labels = parts()
    chosen = probes.linear_probe(features, labels, "cpu")
    X = probes.standardise(features)
    y = {part: known.numbers for part, known in labels.items()}  # type: ignore[union-attr]
    scores = {
        strength: LogisticRegression(C=strength, tol=1e-8, max_iter=10_000).fit(
            X["train"], y["train"]
        )
        for strength in probes.GRIDS[Classes]
    }
    best = max(scores, key=lambda strength: scores[strength].score(X["valid"], y["valid"]))
    assert chosen["C"] == best
    expected = 100 * scores[best].score(X["test"], y["test"])
    assert chosen["linear"] == pytest.approx(expected, abs=0.4)  # one image of 300


def test_features_are_standardised_by_the_training_images_alone() -> None:
    features, _ = parts()
    features["train"][:, 5] = 3.0
    moved = features | {"test": features["test"] + 100}
    for before, after in zip(
        probes.standardise(features)["train"].T, probes.standardise(moved)["train"].T, strict=True
    ):
        np.testing.assert_array_equal(before, after)
    made = probes.standardise(features)["train"]
    np.testing.assert_allclose(np.delete(made, 5, 1).std(axis=0), 1, rtol=1e-4)
    assert not made[:, 5].any()


def test_one_euclidean_neighbour_is_that_of_scikit_learn() -> None:
    features, labels = parts()
    y = {part: known.numbers for part, known in labels.items()}  # type: ignore[union-attr]
    reference = KNeighborsClassifier(1).fit(features["train"], y["train"])
    found = probes.nearest(features, labels, "l2", (1,))
    assert found[1] == pytest.approx(100 * reference.score(features["test"], y["test"]))


def test_neighbours_vote_and_the_nearer_ones_break_ties() -> None:
    classes = np.array([[2, 1, 1, 0], [0, 2, 2, 0], [1, 2, 0, 2], [1, 2, 2, 1]])
    assert probes.vote(classes, 3).tolist() == [1, 0, 2, 1]
    many = np.array([[0] * 100 + [1] * 101])
    assert probes.vote(many, 2).tolist() == [1]


def test_concepts_that_the_features_spell_out_are_all_found() -> None:
    generator = np.random.default_rng(0)
    features, labels = {}, {}
    for part, count in {"train": 200, "valid": 50, "test": 50}.items():
        shown = generator.random((count, 6)) < 0.3
        shown[:, 0] = True
        matrix = sparse.csr_array(shown.astype(np.float32))
        features[part] = shown.astype(np.float32)
        labels[part] = Concepts(matrix, shown.sum(axis=1))
    scores = probes.probe(features, labels, "cpu")
    assert scores["linear"] == pytest.approx(100)
    assert scores["knn 1"] == pytest.approx(100)
    assert scores["knn 200"] < 100


def test_without_validation_nothing_is_measured_that_needs_a_choice() -> None:
    features, labels = parts()
    del features["valid"], labels["valid"]
    assert set(probes.probe(features, labels, "cpu")) == {"knn 1 l2"}


# Data ---------------------------------------------------------------------------------------------


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Return a folder with an archive of 40 digits, each as bright as its class and number say."""
    source = tmp_path / "source" / "mnist"
    for part, count in (("train", 30), ("test", 10)):
        rows = ["filepath,label"]
        for number in range(count):
            name = f"{part}/{number % 5}/{number}.png"
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(source / name), np.full((28, 28), 40 * (number % 5) + number, np.uint8))
            rows.append(f"{name},{number % 5}")
        (source / f"{part}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    with tarfile.open(tmp_path / "mnist.tar.xz", "w:xz") as packed:
        packed.add(source, "mnist")
    return tmp_path


def test_images_of_an_archive_keep_their_labels_and_parts(archive: Path) -> None:
    form = Form("mnist", 32, 1)
    prepare_data(form, archive, archive / "work")
    data = open_data(form, archive / "work")
    assert {part: len(pixels) for part, pixels in data.pixels.items()} == {
        "train": 27,
        "valid": 3,
        "test": 10,
    }
    shown: list[int] = []
    for part, pixels in data.pixels.items():
        labels = data.labels[part]
        assert isinstance(labels, Classes)
        numbers = pixels[:, 0, 0, 0].astype(int) - 40 * labels.numbers
        assert (numbers % 5 == labels.numbers).all()
        shown += numbers.tolist() if part != "test" else []
    assert sorted(shown) == list(range(30))  # no image is in both train and valid


def test_prepared_data_are_used_without_the_archive(archive: Path) -> None:
    form = Form("mnist", 32, 1)
    prepare_data(form, archive, archive / "work")
    (archive / "mnist.tar.xz").unlink()
    prepare_data(form, archive, archive / "work")
    with pytest.raises(DataError, match=r"mnist\.tar\.xz"):
        prepare_data(replace(form, size=16), archive, archive / "work")


def test_the_protocol_of_bigan_searches_all_digits_beside_the_untrained_network(
    archive: Path,
) -> None:
    config = Configuration(
        model="bigan",
        arguments={"width": 4, "latent_dim": 8},
        training={"epochs": 1, "batch_size": 10},
        images={"size": 16},
    )
    one = {"datasets": ["mnist-bigan"], "encoders": [], "configs": {"digits": config}}
    asked = plan(archive, **one, size=None)
    rows, failed = encoders.complete(asked, processes=1)
    assert not failed
    assert {(row["encoder"], row["layer"]) for row in rows} == {
        ("raw", "only"),
        *(
            (name, layer)
            for name in ("digits", "digits-untrained")
            for layer in ("code", "convolution", "levels")
        ),
    }
    assert all(set(row["scores"]) == {"knn 1 l2"} and row["images"] == 40 for row in rows)


def test_the_protocol_of_bigan_takes_the_encoders_that_are_asked_for(tmp_path: Path) -> None:
    config = Configuration(model="bigan", images={"size": 16})
    there = {"datasets": ["mnist-bigan"], "configs": {"digits": config}, "size": None}
    jobs = plan(tmp_path, encoders=["digits-untrained"], **there).jobs()
    assert [job.encoder for job in jobs] == ["raw", "digits-untrained"]
    with pytest.raises(UsageError, match="unknown; known: raw, digits, digits-untrained"):
        plan(tmp_path, encoders=["aae"], **there).jobs()


# Encoders -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", SCALES)
def test_all_recipes_are_models_of_the_library(scale: str) -> None:
    for colour in (False, True):
        for recipe in recipes(SCALES[scale], colour=colour).values():
            check_arguments(recipe.model, recipe.arguments)
            training_settings(recipe, SCALES[scale], colour=colour, own=False, overrides={})


def test_baselines_are_always_in_the_table() -> None:
    known = recipes(TINY, colour=False)
    assert list(choose(["gan"], known)) == [*BASELINES, "gan"]
    assert set(choose([], known)) == set(known) - {"combined"}
    with pytest.raises(UsageError, match="nonsense"):
        choose(["nonsense"], known)


def test_a_configuration_keeps_its_own_length_unless_steps_are_asked_for() -> None:
    config = Configuration(model="sdae", training={"epochs": 7, "batch_size": 100})
    recipe = of_config("mine", config)["mine"]

    def settings(**overrides: Any) -> TrainingSettings:
        return training_settings(recipe, TINY, colour=False, own=True, overrides=overrides)

    assert (settings().epochs, settings().batch_size) == (7, 100)
    assert settings(steps=5).length(1000) == 5


def test_a_configuration_is_read_and_checked_as_for_a_training(tmp_path: Path) -> None:
    assert encoders._configs([Path("bigan-mnist")])["bigan-mnist"].model == "bigan"  # shipped
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("{model: aae, arguments: {widht: 8}}")
    with pytest.raises(UsageError, match="widht"):
        encoders._configs([wrong])


def job(work: Path, recipe: Recipe, layers: tuple[str, ...]) -> Job:
    """Return a job of three steps on 200 phantoms."""
    settings = training_settings(
        recipe, TINY, colour=False, own=False, overrides={"seed": 1, "device": "cpu"}
    )
    return Job("one", recipe, settings, Form("phantoms", 16, 1, 200), layers, work)


def test_both_layers_come_from_one_training(tmp_path: Path) -> None:
    one = job(tmp_path, Recipe("sdae", {"width": 4}), layers_of("sdae"))
    prepare_data(one.form, tmp_path, tmp_path)
    data = open_data(one.form, tmp_path)
    model, _ = train(one, data.pixels["train"], tmp_path)
    for layer in ("code", "convolution"):
        arguments = {"width": 4, "layer": layer}
        twin = build("sdae", size=16, channels=1, arguments=arguments)
        twin.load_state_dict(model.state_dict())
        pixels = torch.from_numpy(data.pixels["test"].astype(np.float32)) / 127.5 - 1
        with torch.no_grad():
            expected = twin.eval().embed(pixels)
        found = extract(one, model, layer, data)["test"]
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_an_untrained_network_keeps_its_weights_and_measures_its_normalisation(
    tmp_path: Path,
) -> None:
    baseline = job(tmp_path, Recipe("sdae", {"width": 4}, trained=False), ("code",))
    prepare_data(baseline.form, tmp_path, tmp_path)
    data = open_data(baseline.form, tmp_path)
    network, _ = train(baseline, data.pixels["train"], tmp_path)
    codes = extract(baseline, network, "code", data)["train"]
    # The SDAE normalises its code, so the measured statistics show in it.
    np.testing.assert_allclose(codes.mean(axis=0), 0, atol=0.1)
    np.testing.assert_allclose(codes.std(axis=0), 1, atol=0.1)
    assert baseline.key("code") != replace(baseline, recipe=Recipe("sdae", {"width": 4})).key(
        "code"
    )


# Results ------------------------------------------------------------------------------------------


def test_what_was_measured_is_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = encoders.complete(plan(tmp_path), processes=1)
    done: list[tuple[str, tuple[str, ...]]] = []

    real = measuring.measure

    def measure(one: Job) -> list[dict[str, Any]]:
        done.append((one.encoder, one.layers))
        return real(one)

    monkeypatch.setattr(measuring, "measure", measure)
    assert encoders.complete(plan(tmp_path), processes=1)[0] == first
    assert not done
    # A kill while the last line was written costs that line, and one encoder more only itself.
    results = tmp_path / "results.jsonl"
    results.write_text(results.read_text().rstrip()[:-30], encoding="utf-8")
    again, _ = encoders.complete(plan(tmp_path, encoders=["sdae", "kmeans"]), processes=1)
    assert done == [("kmeans", ("only",)), ("sdae", ("convolution",))]
    scores = {(row["encoder"], row["layer"]): row["scores"] for row in again}
    assert all(scores[row["encoder"], row["layer"]] == row["scores"] for row in first)


def test_other_settings_are_other_results(tmp_path: Path) -> None:
    def keys(**changes: Any) -> dict[str, str]:
        return {one.encoder: one.key(one.layers[0]) for one in plan(tmp_path, **changes).jobs()}

    before, longer = keys(), keys(training={"device": "cpu", "steps": 4})
    # Only the network is trained in steps.
    assert {name for name in before if before[name] != longer[name]} == {"sdae"}
    assert all(before[name] != key for name, key in keys(size=32).items())
    # Seconds belong to a device, and so does what the automatic precision is.
    assert all(before[name] != key for name, key in keys(training={"device": "meta"}).items())
    exact, half = (keys(training={"precision": name}) for name in ("float32", "bfloat16"))
    assert before["sdae"] in (exact["sdae"], half["sdae"])
    assert exact["sdae"] != half["sdae"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (DataError("diverged"), "diverged"),
        (torch.OutOfMemoryError("CUDA out of memory"), "OutOfMemoryError: CUDA out of memory"),
    ],
)
def test_a_training_that_fails_does_not_end_the_others(
    error: Exception, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    real = measuring.measure

    def measure(one: Job) -> list[dict[str, Any]]:
        if one.encoder == "pca":
            raise error
        return real(one)

    monkeypatch.setattr(measuring, "measure", measure)
    rows, failed = encoders.complete(plan(tmp_path), processes=1)
    assert failed == [f"phantoms: pca, seed 0: {said}"]
    assert {row["encoder"] for row in rows} == {"raw", "random", "sdae"}


def test_a_training_that_was_stopped_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = job(tmp_path / "calm", Recipe("sdae", {"width": 4}), ("code", "convolution"))
    one = replace(calm, work=tmp_path / "stopped")
    for each in (calm, one):
        prepare_data(each.form, tmp_path, each.work)
    expected = [row["scores"] for row in measuring.measure(calm)]
    step, done = Trainer.train_step, []

    def interrupted(trainer: Trainer) -> dict[str, torch.Tensor]:
        values = step(trainer)
        done.append(trainer.step)
        if len(done) == 2:
            signal.raise_signal(signal.SIGTERM)
        return values

    monkeypatch.setattr(Trainer, "train_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measuring.measure(one)
    rows = measuring.measure(replace(one, layers=("convolution",)))  # one training for all layers
    assert done == [1, 2, 3]
    assert rows[0]["scores"] == expected[1]
    assert rows[0]["train_seconds"] > 0
    assert not list(one.work.glob(".*.work")), "nothing is left of a training that was measured"


def test_images_of_a_size_that_no_network_takes_are_refused_before_anything_is_measured(
    tmp_path: Path,
) -> None:
    with pytest.raises(UsageError, match="image size 20"):
        encoders.complete(plan(tmp_path, size=20), processes=1)
    assert not list(tmp_path.iterdir())


def test_the_table_gives_mean_and_deviation_over_seeds() -> None:
    def row(seed: int, linear: float) -> dict[str, Any]:
        common = {"dataset": "mnist", "encoder": "aae", "layer": "code", "dimensions": 8}
        scores = {"linear": linear, "linear valid": 0.0, "C": 0.1, "knn 1 l2": 50.0}
        seconds = {"train_seconds": 1.0, "extract_seconds": 2.0}
        return {**common, **seconds, "seed": seed, "scores": scores}

    summary = summarise([row(0, 80.0), row(1, 82.0), row(2, 84.0)])
    assert summary[0]["scores"]["linear"] == (82.0, 2.0)
    assert "| aae | code | 8 | 82.00 ± 2.00 | 50.00 ± 0.00 | 0.1 | 3 | 1 | 2 |" in to_markdown(
        summary
    )


def test_a_layer_that_no_model_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--layers codes: unknown; known: code, convolution"):
        encoders.main(tmp_path, layers="code,codes")


def test_a_training_that_failed_is_said_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoders, "complete", lambda plan, processes: ([], ["pca: diverged"]))
    with pytest.raises(DataError, match="1 of the trainings failed: pca: diverged"):
        encoders.main(tmp_path)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["failed"] == ["pca: diverged"]


def test_the_last_line_is_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    encoders.main(
        tmp_path,
        datasets="phantoms",
        encoders="vae",
        small=True,
        width=4,
        steps=2,
        size=16,
        phantoms=200,
        device="cpu",
    )
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["failed"] == []
    named = [(row["encoder"], row["layer"]) for row in last["rows"]]
    layers = ("code", "convolution", "levels")
    assert named == [
        ("raw", "only"),
        *(("random", layer) for layer in layers),
        ("pca", "only"),
        *(("vae", layer) for layer in layers),
    ]


@pytest.mark.slow
def test_processes_share_the_work(tmp_path: Path) -> None:
    options = "--datasets phantoms --encoders kmeans --size 16 --phantoms 200 --jobs 2 --seeds 2"
    command = [sys.executable, "-m", "benchmarks.encoders", *options.split()]
    done = subprocess.run(
        [*command, "--work", str(tmp_path), "--device", "cpu"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    rows = json.loads(done.stdout.splitlines()[-1])["rows"]
    layers = ["code", "convolution", "levels"]
    scale = replace(TINY, width=32, seeds=2)
    asked = plan(tmp_path / "alone", encoders=["kmeans"], layers=layers, scale=scale)
    alone, _ = encoders.complete(asked, 1)
    expected = {(row["encoder"], row["layer"]): row["scores"] for row in summarise(alone)}
    assert len(rows) == 6  # raw, three layers of random, pca, kmeans
    for row in rows:
        for name, (mean, _) in row["scores"].items():
            assert mean == pytest.approx(expected[row["encoder"], row["layer"]][name][0], abs=1)


def test_what_cannot_be_asked_is_one_line(tmp_path: Path) -> None:
    for changes, message in (
        ({"datasets": ["imagenet"]}, "imagenet"),
        ({"datasets": ["mnist-bigan"]}, "--config"),
        ({"training": {"nonsense": 1}}, "nonsense"),
    ):
        with pytest.raises(UsageError, match=message):
            plan(tmp_path, **changes).jobs()
