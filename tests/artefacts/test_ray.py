"""The same shards on a Ray cluster of this machine as in one process, byte by byte."""

import os
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.__main__ import main
from replearn.artefacts import shards
from replearn.artefacts.workers import joblib_on, run
from replearn.errors import DataError, UsageError
from replearn.features import Features

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    ray = pytest.importorskip("ray", reason="a cluster needs replearn[ray]")
    # The workers have to find this copy of replearn, as those of a real cluster find theirs.
    environment = {"env_vars": {"PYTHONPATH": str(ROOT)}}
    more = {"include_dashboard": False, "log_to_driver": False, "runtime_env": environment}
    ray.init(num_cpus=2, num_gpus=1, **more)
    yield ray
    ray.shutdown()


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    generator = np.random.default_rng(0)
    for number in range(30):
        pixels = generator.integers(0, 256, (14, 11)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number:02}.png")
    (tmp_path / "images" / "07.png").write_bytes(b"")
    return tmp_path / "images"


def content(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def test_prepared_and_extracted_on_ray_they_are_the_same_bytes(
    cluster: Any, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "ROWS", 8)
    monkeypatch.chdir(tmp_path)  # where the workers do not stand
    Path("encoder.yaml").write_text("model: random\narguments: {width: 4, latent_dim: 8}\n")
    ways = {"here": "--jobs 1", "ray": "--cluster ray"}
    for name, where in ways.items():
        assert main(f"prepare {images.name} {name} --size 16 {where}".split()) == 0
    assert content(Path("here")) == content(Path("ray"))
    assert main(["train", "encoder.yaml", "here", "encoder"]) == 0
    for source in (images.name, "here"):
        for name, where in ways.items():
            out = f"features-of-{source}-{name}"
            assert main(f"extract encoder {source} {out} {where}".split()) == 0
        made = [content(Path(f"features-of-{source}-{name}")) for name in ways]
        assert made[0] == made[1]


def test_a_regression_trained_on_ray_is_the_same_bytes(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the workers find the features by nothing but their full path
    for seed, (part, count) in enumerate({"train": 200, "valid": 80}.items()):
        vectors = np.random.default_rng(seed).normal(size=(count, 6)).astype(np.float32)
        ids = [f"{part}-{number}" for number in range(count)]
        Features(ids, vectors, f"features:{part}").save(f"{part}.h5")
        shown = (";".join(f"C{c}" for c in np.flatnonzero(row > 0.3)) for row in vectors)
        lines = [f"{id_}\t{concepts}\n" for id_, concepts in zip(ids, shown, strict=True)]
        Path(f"{part}.tsv").write_text("".join(reversed(lines)))
    for name, where in {"here": "--jobs 2", "ray": "--cluster ray"}.items():
        assert main(f"classify train.h5 train.tsv valid.h5 valid.tsv {name} {where}".split()) == 0
    assert content(Path("here")) == content(Path("ray"))


def test_an_error_of_a_task_is_raised_as_itself(cluster: Any) -> None:
    with pytest.raises(statistics.StatisticsError):
        list(run(statistics.fmean, [[]], cluster="ray"))
    assert sorted(run(statistics.fmean, [[1.0], [1.0, 2.0]], cluster="ray")) == [1, 1.5]


def test_tasks_on_gpus_see_one_and_a_cluster_without_any_is_refused(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["CUDA_VISIBLE_DEVICES"]  # Ray counts the GPUs that it was told of, there or not
    assert list(run(os.getenv, asked, cluster="ray", on_gpu=True)) == ["0"]
    monkeypatch.setattr(cluster, "cluster_resources", lambda: {"CPU": 2})
    with pytest.raises(DataError, match="--cluster ray: it has no GPU"):
        list(run(os.getenv, asked, cluster="ray", on_gpu=True))


def test_a_cluster_of_another_kind_or_without_ray_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UsageError, match="--cluster dask"):
        list(run(statistics.fmean, [[1.0]], cluster="dask"))
    monkeypatch.setitem(sys.modules, "ray", None)
    for begin in (lambda: list(run(len, [[]], cluster="ray")), joblib_on("ray").__enter__):
        with pytest.raises(DataError, match=r"--cluster ray: needs pip install 'replearn\[ray\]'"):
            begin()
