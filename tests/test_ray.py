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
from replearn import shards
from replearn.errors import DataError, UsageError
from replearn.workers import run

ROOT = Path(__file__).parent.parent


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
    (tmp_path / "encoder.yaml").write_text("model: random\narguments: {width: 4, latent_dim: 8}\n")
    ways = {"here": "--jobs 1", "ray": "--cluster ray"}
    for name, where in ways.items():
        assert main(f"prepare {images} {tmp_path}/{name} --size 16 {where}".split()) == 0
    assert content(tmp_path / "here") == content(tmp_path / "ray")
    words = f"train {tmp_path}/encoder.yaml {tmp_path}/here {tmp_path}/encoder"
    assert main(words.split()) == 0
    for number, source in enumerate((images, tmp_path / "here")):
        for name, where in ways.items():
            out = tmp_path / f"features-{number}-{name}"
            assert main(f"extract {tmp_path}/encoder {source} {out} {where}".split()) == 0
        made = [content(tmp_path / f"features-{number}-{name}") for name in ways]
        assert made[0] == made[1]


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
    with pytest.raises(DataError, match=r"--cluster ray: needs pip install 'replearn\[ray\]'"):
        list(run(statistics.fmean, [[1.0]], cluster="ray"))
