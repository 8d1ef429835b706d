"""A stage killed at any moment leaves its artefact complete or not at all, and can be run again.

Every artefact appears by a rename after syncs, so the moments that matter are those at which a
file is synced: the process is killed by SIGKILL at the first sync, the second, and so on.
"""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.__main__ import main
from replearn.concepts.table import read_concepts
from replearn.detection.detector import load_detector
from replearn.encoders.encoder import load_encoder
from replearn.features import Features
from replearn.images.image_set import ImageSet
from replearn.neighbors.storage import load_index

KILLED_AT_A_SYNC = """
import os, signal, sys
left, real = int(sys.argv[1]), os.fsync
def sync(handle):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    real(handle)
os.fsync = sync
from pipelines.__main__ import main
sys.exit(main(sys.argv[2:]))
"""

# What is made, by which stage, and how it is opened again.
STAGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "phantoms": (
        "phantoms {new} --count 12",
        lambda path: read_concepts(path / "test-concepts.tsv"),
    ),
    "split": ("split {train} {new}", lambda path: read_concepts(path / "valid-concepts.tsv")),
    "prepare": ("prepare {data}/images {new}", ImageSet.load),
    "train": ("train {work}/raw.yaml {work}/images.h5 {new}", load_encoder),
    "train step by step": (
        "train {work}/sdae.yaml {work}/images.h5 {new} --resume",
        load_encoder,
    ),
    "train with probes": (
        "train {work}/sdae.yaml {work}/images.h5 {new} --resume --valid-concepts {all}",
        load_encoder,
    ),
    "extract": ("extract {work}/raw {work}/images.h5 {new} --ids {valid}", Features.load),
    "classify": ("classify {work}/train.h5 {train} {work}/valid.h5 {valid} {new}", load_detector),
    "predict": ("predict {work}/linear {work}/valid.h5 {new}", read_concepts),
    "convert": ("convert {train} {new}", read_concepts),
    "vocabulary": ("vocabulary {train} --out {new}", read_concepts),
    "merge": ("merge {train} {work}/merged.tsv --out {new}", read_concepts),
    "index": ("index {work}/train.h5 {new} --concepts {train}", load_index),
}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kill")
    (folder / "raw.yaml").write_text("model: raw\n")
    (folder / "sdae.yaml").write_text(
        "model: sdae\n"
        "arguments: {width: 2, latent_dim: 4}\n"
        "training: {steps: 3, batch_size: 4, checkpoint_every: 2, sheet_every: 3, probe_every: 1}\n"
    )
    data = folder / "data"
    assert main(f"phantoms {data} --count 24 --size 16".split()) == 0
    lists = [data / f"{part}-concepts.tsv" for part in ("train", "valid", "test")]
    rows = [line for path in lists for line in path.read_text().splitlines(keepends=True)]
    (folder / "all-concepts.tsv").write_text("".join(rows))
    (folder / "merged.tsv").write_text(lists[0].read_text())
    for words in (
        f"prepare {data}/images {folder}/images.h5 --size 16",
        f"train {folder}/raw.yaml {folder}/images.h5 {folder}/raw",
        *(
            f"extract {folder}/raw {folder}/images.h5 {folder}/{part}.h5 "
            f"--ids {data}/{part}-concepts.tsv"
            for part in ("train", "valid")
        ),
        f"classify {folder}/train.h5 {data}/train-concepts.tsv {folder}/valid.h5 "
        f"{data}/valid-concepts.tsv {folder}/linear",
    ):
        assert main(words.split()) == 0, words
    return folder


def killed_at(sync: int, words: list[str]) -> bool:
    """Run a stage that is killed at its n-th sync; tell whether it came that far."""
    program = [sys.executable, "-c", KILLED_AT_A_SYNC, str(sync), *words]
    status = subprocess.run(program, capture_output=True, check=False).returncode
    assert status in (0, -signal.SIGKILL)
    return status != 0


def fill(words: str, work: Path, new: Path) -> list[str]:
    data = work / "data"
    train, valid = data / "train-concepts.tsv", data / "valid-concepts.tsv"
    every = work / "all-concepts.tsv"
    filled = words.format(work=work, data=data, train=train, valid=valid, all=every, new=new)
    return filled.split()


def check_after_kill(stage: str, work: Path, folder: Path, sync: int) -> bool:
    words, load = STAGES[stage]
    new = folder / f"made-{sync}"
    killed = killed_at(sync, fill(words, work, new))
    finished = new / "encoder.json" if stage.startswith("train") else new
    if finished.exists() and stage != "split":
        load(new)
    assert main(fill(words, work, new)) == 0
    load(new)
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    if stage.startswith("train"):
        assert_same_encoder(new, undisturbed(stage, work))
    return killed


def undisturbed(stage: str, work: Path) -> Path:
    """Return the encoder that this stage makes if nobody kills it."""
    made = work / f"undisturbed-{stage.replace(' ', '-')}"
    if not made.exists():
        assert main(fill(STAGES[stage][0], work, made)) == 0
    return made


def assert_same_encoder(found: Path, expected: Path) -> None:
    """Compare what was trained bit for bit: the weights that are kept, the last ones, the facts."""
    for name in ("encoder.safetensors", "encoder.json", "last.safetensors"):
        assert (found / name).exists() == (expected / name).exists()
        if (expected / name).exists():
            assert (found / name).read_bytes() == (expected / name).read_bytes()


@pytest.mark.parametrize("stage", ["prepare", "classify"])
def test_a_stage_killed_while_it_saves_leaves_all_or_nothing(
    work: Path, tmp_path: Path, stage: str
) -> None:
    assert check_after_kill(stage, work, tmp_path, 1)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_killed_at_any_sync_leaves_all_or_nothing(
    work: Path, tmp_path: Path, stage: str
) -> None:
    sync = 1
    while check_after_kill(stage, work, tmp_path, sync):
        sync += 1
    assert sync > 1
