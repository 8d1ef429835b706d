"""Extraction: the same vectors as embedding directly, whatever happens in between."""

import logging
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from replearn.artefacts import shards
from replearn.artefacts.workspace import workspace
from replearn.encoders.contract import Model
from replearn.encoders.encoder import Description, Encoder
from replearn.encoders.extraction import Numerics, extract, features_identity
from replearn.errors import DataError, UsageError
from replearn.features import Features
from replearn.images.image_set import ImageSet

COUNT, PART = 22, 4
SIZE = 8


class Squares(Model):
    """Embeds by a fixed projection; it notes how many images it saw and fails when told to."""

    def __init__(self, scale: float = 1.0, fail_after: int | None = None) -> None:
        super().__init__()
        weights = torch.arange(SIZE * SIZE * 3, dtype=torch.float32).reshape(-1, 3).sin()
        self.register_buffer("weights", weights * scale)
        self.seen = 0
        self.fail_after = fail_after

    def embed(self, images: Tensor) -> Tensor:
        if self.fail_after is not None and self.seen >= self.fail_after:
            raise RuntimeError("stopped")
        self.seen += len(images)
        embeddings: Tensor = images.flatten(1).square() @ self.get_buffer("weights")
        return embeddings


def encoder_of(model: Model, identity: str = "squares:1") -> Encoder:
    return Encoder(model, Description("raw", {}, SIZE, 1, "stretch", None, identity, {}))


def image_set(seed: int = 0) -> ImageSet:
    pixels = np.random.default_rng(seed).integers(0, 256, (COUNT, 1, SIZE, SIZE)).astype(np.uint8)
    ids = [f"image {number}" for number in reversed(range(COUNT))]
    return ImageSet(ids, pixels, "stretch", [("bad", "empty file")], f"images:{seed}")


IMAGES = image_set()

CHILD = f"""
import sys, time
from pathlib import Path
from tests.encoders import test_extraction as tests
tests.shards.ROWS = {PART}
class Slow(tests.Squares):
    def embed(self, images):
        time.sleep(0.3)
        return super().embed(images)
tests.extract(tests.encoder_of(Slow()), tests.IMAGES, Path(sys.argv[1]))
"""


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "ROWS", PART)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "features.h5"


def shards_of(out: Path) -> list[str]:
    """Return the lines of the manifest of an unfinished run."""
    manifests = list((out.parent / f".{out.name}.work").glob("shards-*.jsonl"))
    return manifests[0].read_text().splitlines() if manifests else []


def direct(model: Model) -> np.ndarray[Any, Any]:
    (vectors,) = encoder_of(model).embed(IMAGES.pixels)
    return vectors


def undisturbed(out: Path) -> bytes:
    path = out.with_name("undisturbed.h5")
    extract(encoder_of(Squares()), IMAGES, path)
    return path.read_bytes()


def test_features_are_the_embeddings_in_the_images_order(out: Path) -> None:
    images = replace(IMAGES, source=out.parent / "x")
    made = extract(encoder_of(Squares()), images, out)
    found = Features.load(out)
    assert found.ids == made.ids == IMAGES.ids
    np.testing.assert_allclose(found.vectors, direct(Squares()), rtol=1e-6)
    assert found.vectors.dtype == np.float32
    assert found.encoder == "squares:1"
    assert found.identity == features_identity(encoder_of(Squares()), IMAGES.identity)
    assert found.errors == IMAGES.errors
    assert found.hints == {"images_path": "x"}
    assert list(out.parent.iterdir()) == [out]


def test_each_image_is_embedded_once(out: Path) -> None:
    model = Squares()
    extract(encoder_of(model), IMAGES, out)
    assert model.seen == COUNT


@pytest.mark.parametrize("part", [1, 5, COUNT, 1000])
def test_the_vectors_do_not_depend_on_the_shards(
    part: int, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "ROWS", part)
    found = extract(encoder_of(Squares()), IMAGES, out)
    np.testing.assert_allclose(found.vectors, direct(Squares()), rtol=1e-5)


@pytest.mark.parametrize("done", [0, 1, 3])
def test_an_interrupted_run_is_gone_on_with_and_ends_byte_identical(
    done: int, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(RuntimeError, match="stopped"):
        extract(encoder_of(Squares(fail_after=done * PART)), IMAGES, out)
    assert not out.exists()
    assert len(shards_of(out)) == done
    model = Squares()
    extract(encoder_of(model), IMAGES, out)
    assert model.seen == COUNT - done * PART
    assert (f"going on after {done} of 6 shards" in caplog.text) == (done > 0)
    assert out.read_bytes() == undisturbed(out)


def test_a_killed_run_is_gone_on_with_and_ends_byte_identical(out: Path) -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", CHILD, str(out)], cwd=root) as child:
        deadline = time.monotonic() + 60
        while not shards_of(out) and time.monotonic() < deadline:
            assert child.poll() is None
            time.sleep(0.005)
        with pytest.raises(DataError, match="another process is writing"):
            extract(encoder_of(Squares()), IMAGES, out)
        child.send_signal(signal.SIGKILL)
    kept = len(shards_of(out))
    assert not out.exists()
    assert 1 <= kept < COUNT / PART
    model = Squares()
    extract(encoder_of(model), IMAGES, out)
    assert model.seen == COUNT - kept * PART
    assert out.read_bytes() == undisturbed(out)


@pytest.mark.parametrize(
    ("encoder", "images"),
    [(encoder_of(Squares(2.0), "squares:2"), IMAGES), (encoder_of(Squares()), image_set(1))],
    ids=["another-encoder", "other-images"],
)
def test_parts_of_another_encoder_or_of_other_images_are_not_used(
    encoder: Encoder, images: ImageSet, out: Path
) -> None:
    with pytest.raises(RuntimeError, match="stopped"):
        extract(encoder_of(Squares(fail_after=2 * PART)), IMAGES, out)
    found = extract(encoder, images, out)
    np.testing.assert_allclose(
        found.vectors, np.concatenate(list(encoder.embed(images.pixels))), rtol=1e-6
    )


def test_a_repeated_run_says_so_and_embeds_nothing(
    out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    extract(encoder_of(Squares()), IMAGES, out)
    model = Squares()
    again = extract(encoder_of(model), IMAGES, out)
    assert model.seen == 0
    assert again.ids == IMAGES.ids
    assert "already made" in caplog.text


def test_features_of_another_encoder_are_refused_unless_overwriting(out: Path) -> None:
    first = extract(encoder_of(Squares()), IMAGES, out).identity
    other = encoder_of(Squares(2.0), "squares:2")
    with pytest.raises(DataError, match="--overwrite"):
        extract(other, IMAGES, out)
    assert Features.load(out).identity == first
    replaced = extract(other, IMAGES, out, overwrite=True)
    assert replaced.encoder == "squares:2"
    np.testing.assert_allclose(replaced.vectors, 2 * direct(Squares()), rtol=1e-5)


def test_features_of_other_images_are_refused(out: Path) -> None:
    extract(encoder_of(Squares()), IMAGES, out)
    with pytest.raises(DataError, match="--overwrite"):
        extract(encoder_of(Squares()), image_set(1), out)


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_no_features_file_is_never_replaced(overwrite: bool, out: Path) -> None:
    out.write_text("my notes")
    with pytest.raises(DataError, match=r"is not a set of features, .*choose another place"):
        extract(encoder_of(Squares()), IMAGES, out, overwrite=overwrite)
    assert out.read_text() == "my notes"


def test_a_repeated_run_that_overwrites_embeds_everything_again(
    out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first = extract(encoder_of(Squares()), IMAGES, out)
    model = Squares()
    again = extract(encoder_of(model), IMAGES, out, overwrite=True)
    assert model.seen == len(IMAGES)
    assert again.identity == first.identity
    assert "already made" not in caplog.text


@pytest.mark.parametrize("name", ["f.npy", "f.NPZ", "f.csv", "f.parquet", "f.pt", "f.zip"])
def test_a_name_of_another_format_makes_neither_a_file_nor_a_folder(
    name: str, tmp_path: Path
) -> None:
    out = tmp_path / name
    with pytest.raises(UsageError, match=rf"{name}: is written as HDF5; name it f.h5 for one file"):
        extract(encoder_of(Squares()), IMAGES, out)
    with pytest.raises(UsageError, match="is written as HDF5"):
        Features(["a"], np.ones((1, 2), np.float32), "features:1").save(out)
    assert list(tmp_path.iterdir()) == []


def test_two_runs_at_once_are_refused(out: Path) -> None:
    with workspace(out, keep=True), pytest.raises(DataError, match="another process is writing"):
        extract(encoder_of(Squares()), IMAGES, out)


def test_nothing_reads_ahead_any_more_where_encoding_has_failed(out: Path) -> None:
    before = threading.active_count()
    with pytest.raises(DataError) as caught:
        extract(encoder_of(Squares(scale=float("nan"))), IMAGES, out)
    # The traceback keeps what was being read: nothing here is left to the garbage collector.
    assert caught.value.__traceback__
    assert threading.active_count() == before


def test_an_encoder_that_gives_nan_is_refused_in_one_line(out: Path) -> None:
    with pytest.raises(DataError, match="NaN or infinity") as caught:
        extract(encoder_of(Squares(float("nan"))), IMAGES, out)
    assert "\n" not in str(caught.value)
    assert not out.exists()


def network() -> Encoder:
    arguments = {"width": 4, "latent_dim": 16}
    description = Description("random", arguments, 16, 1, "stretch", None, "random:1", {})
    torch.manual_seed(0)
    return Encoder(description.build().eval(), description)


def pictures() -> ImageSet:
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, 1, 16, 16)).astype(np.uint8)
    return ImageSet(IMAGES.ids, pixels, "stretch", [], "images:2")


def test_bfloat16_gives_the_features_of_float32_to_three_hundredths_of_their_length(
    tmp_path: Path,
) -> None:
    exact = extract(network(), pictures(), tmp_path / "exact.h5")
    numerics = Numerics(precision="bfloat16")
    near = extract(network(), pictures(), tmp_path / "near.h5", numerics=numerics)
    lengths = np.linalg.norm(exact.vectors, axis=1)
    assert (np.linalg.norm(near.vectors - exact.vectors, axis=1) < 0.03 * lengths).all()
    assert near.identity != exact.identity


def test_float16_is_half_as_large_and_rounded(out: Path) -> None:
    exact = extract(network(), pictures(), out.with_name("exact.h5"))
    half = extract(network(), pictures(), out, numerics=Numerics(dtype="float16"))
    assert half.vectors.dtype == np.float16
    assert np.array_equal(half.vectors, exact.vectors.astype(np.float16))
    assert half.identity != exact.identity


def test_features_too_large_for_float16_are_refused_with_the_remedy(out: Path) -> None:
    with pytest.raises(DataError, match="too much for float16; keep float32"):
        extract(encoder_of(Squares(1e6)), IMAGES, out, numerics=Numerics(dtype="float16"))
    assert not out.exists()
