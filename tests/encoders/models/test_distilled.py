"""A student of a teacher's features: what it is to learn, and that it gets what belongs to it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pipelines.__main__ import main
from replearn.arrays import Vectors
from replearn.encoders.contract import TaughtObjective
from replearn.encoders.encoder import load_encoder
from replearn.encoders.models import build
from replearn.encoders.models.distilled import Distilled
from replearn.encoders.training.trainer import Trainer
from replearn.errors import DataError, UsageError
from replearn.features import Features
from tests.encoders.training.small import assert_same_bits, go, metrics, pictures, settings_of


def student(**arguments: object) -> Distilled:
    torch.manual_seed(0)
    made = build("distilled", size=16, channels=1, arguments={"width": 4} | arguments)
    assert isinstance(made, Distilled)
    return made


def teacher(count: int = 24, width: int = 12) -> Vectors:
    """Return features that depend on the pictures."""
    pixels = pictures(count).reshape(count, -1).astype(np.float32) / 255
    mixing = np.random.default_rng(0).normal(size=(pixels.shape[1], width)).astype(np.float32)
    features: Vectors = pixels @ mixing
    return features


def trainer(**changes: object) -> Trainer:
    model = student(latent_dim=8)
    return Trainer(model, pictures(), settings_of(**changes), model.aims(teacher()))


def test_distances_of_all_components_are_those_of_the_teachers_directions() -> None:
    vectors = teacher()
    aims = student(latent_dim=12).aims(vectors)
    directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found, expected = (
        np.linalg.norm(rows[:, None] - rows[None], axis=2) for rows in (aims, directions)
    )
    ratio = found[0, 1] / expected[0, 1]
    np.testing.assert_allclose(found, ratio * expected, rtol=1e-4, atol=1e-5)


def test_aims_have_mean_0_and_a_mean_square_of_1() -> None:
    aims = student(latent_dim=6).aims(teacher())
    assert aims.shape == (24, 6)
    np.testing.assert_allclose(aims.mean(0), 0, atol=1e-5)
    # scikit-learn's variance is that of N - 1.
    assert np.square(aims).mean() == pytest.approx(23 / 24, rel=1e-4)
    assert (np.diff(aims.var(0)) <= 1e-6).all()  # the first is the largest


def test_more_components_than_there_are_is_told() -> None:
    with pytest.raises(DataError, match=r"latent_dim 13: .* no more than 12 principal components"):
        student(latent_dim=13).aims(teacher())


class Pupil(TaughtObjective):
    """An objective that checks what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Linear(1, 1)
        self.seen: list[float] = []

    def players(self) -> dict[str, list[torch.nn.Module]]:
        return {"pupil": [self.weight]}

    def aims(self, vectors: Vectors) -> Vectors:
        return vectors

    def losses(
        self, images: Tensor, targets: Tensor, progress: float
    ) -> Iterator[tuple[str, dict[str, Tensor]]]:
        means = images.mean((1, 2, 3))[:, None]
        torch.testing.assert_close(means, targets, rtol=1e-5, atol=1e-5)
        self.seen += means.flatten().tolist()
        yield "pupil", {"term": (self.weight(means) - targets).square().mean()}

    def embed(self, images: Tensor) -> Tensor:
        return images.mean((2, 3))


def test_each_image_of_a_batch_comes_with_its_own_target() -> None:
    pixels = pictures()
    means = (pixels / 127.5 - 1).mean((1, 2, 3))[:, None].astype(np.float32)
    pupil = Pupil()
    running = Trainer(pupil, pixels, settings_of(epochs=2), means)
    while running.step < running.steps:
        running.train_step()
    assert len(pupil.seen) == 48
    assert len({round(value, 5) for value in pupil.seen}) == len(np.unique(means.round(5)))


def test_a_student_comes_nearer_to_its_teacher(tmp_path: Path) -> None:
    running = trainer(steps=80, learning_rate=3e-3)
    go(running, tmp_path / "run")
    first, last = (metrics(tmp_path / "run")[row]["student/regression"] for row in (0, -1))
    assert first > 0.8
    assert last < 0.5 * first


def test_a_training_that_was_stopped_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole, half = trainer(), trainer()
    for _ in range(whole.steps):
        whole.train_step()
    for _ in range(3):
        half.train_step()
    half.save(tmp_path / "checkpoint.pt", "distilled", {})
    again = trainer()
    again.resume(tmp_path / "checkpoint.pt", "distilled", {})
    while again.step < again.steps:
        again.train_step()
    assert_same_bits(again, whole)


def test_a_student_is_trained_by_the_command(chain: Path, tmp_path: Path) -> None:
    config = tmp_path / "student.yaml"
    config.write_text(
        "model: distilled\narguments: {width: 4, latent_dim: 8}\n"
        "training: {steps: 3, batch_size: 8}\n"
    )
    ids = f"--ids {chain}/data/train-concepts.tsv"
    train = f"train {config} {chain}/images.h5 {tmp_path}/student {ids}"
    assert main(f"{train} --teacher {chain}/pca-train.h5".split()) == 0
    assert main(f"extract {tmp_path}/student {chain}/images.h5 {tmp_path}/f.h5".split()) == 0
    assert Features.load(tmp_path / "f.h5").vectors.shape == (48, 8)
    description = load_encoder(tmp_path / "student", "cpu").description
    assert description.model == "distilled"
    # Another teacher is another encoder.
    assert main(f"{train} --teacher {chain}/aae-train.h5".split()) == 1


def test_a_teacher_that_is_missing_or_not_wanted_is_told(
    chain: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    images = f"{chain}/images.h5 {tmp_path}/out"
    ids = f"--ids {chain}/data/train-concepts.tsv"
    for words, status, told in (
        (f"distilled {images}", 2, "give them with --teacher FEATURES.h5"),
        (f"pca {images} --teacher {chain}/pca-train.h5", 2, "model pca learns from the images"),
        (f"distilled {images} --teacher {chain}/pca-train.h5", 1, "no features of"),
        (f"distilled {images} {ids} --teacher {chain}/pca-train.h5", 1, "latent_dim 256"),
    ):
        assert main(["train", *words.split()]) == status, words
        assert told in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_student_is_no_part_of_a_combination() -> None:
    parts = {"small": {"model": "distilled", "arguments": {}}}
    with pytest.raises(UsageError, match=r"arguments\.parts\.small: model distilled has a teacher"):
        build("combined", size=16, channels=1, arguments={"parts": parts})
