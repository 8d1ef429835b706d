"""The stage `train`, as a user types it: probes, a start from other weights, several processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from pipelines.__main__ import main
from replearn.encoders.encoder import load_encoder
from replearn.encoders.training.trainer import Trainer
from replearn.images.image_set import ImageSet

ROOT = Path(__file__).parents[2]
Run = Callable[..., tuple[int, list[str]]]
SDAE = """
model: sdae
arguments: {width: 2, latent_dim: 4}
training:
  {steps: 4, batch_size: 8, warmup: 0, device: cpu,
   checkpoint_every: 1, sheet_every: 4, probe_every: 2}
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    (folder / "sdae.yaml").write_text(SDAE)
    (folder / "pca.yaml").write_text("model: pca\narguments: {latent_dim: 4}\n")
    for words in (
        f"phantoms {folder}/data --count 60 --size 16",
        f"prepare {folder}/data/images {folder}/images.h5 --size 16",
        f"train {folder}/sdae.yaml {folder}/images.h5 {folder}/sdae",
        f"train {folder}/pca.yaml {folder}/images.h5 {folder}/pca",
    ):
        assert main(words.split()) == 0, words
    return folder


@pytest.fixture
def train(work: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Train into `tmp_path/new` and return the exit status and the lines on stderr."""

    def train(*words: object, config: str = "sdae", into: str = "new") -> tuple[int, list[str]]:
        capfd.readouterr()
        fixed = ["train", work / f"{config}.yaml", work / "images.h5", tmp_path / into]
        status = main([str(word) for word in [*fixed, *words]])
        return status, capfd.readouterr().err.splitlines()

    return train


def facts(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "encoder.json").read_text())
    return content


def probed_at(folder: Path) -> dict[int, dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {
        line["step"]: {name: line[f"probe/{name}"] for name in ("linear", "knn", "rankme")}
        for line in lines
        if "probe/linear" in line
    }


def test_the_stage_does_not_read_the_weights_that_it_wrote(
    train: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(safetensors.torch, "load_file", pytest.fail)
    for config in ("sdae", "pca"):
        status, said = train(config=config, into=config)
        assert status == 0, said


# Probes


def test_an_encoder_tells_which_probe_chose_its_weights(
    work: Path, train: Run, tmp_path: Path
) -> None:
    concepts = work / "data/train-concepts.tsv"
    status, said = train("--valid-concepts", concepts)
    assert status == 0, said
    found = probed_at(tmp_path / "new")
    assert list(found) == [2, 4]
    best = max(found, key=lambda step: found[step]["linear"])
    assert facts(tmp_path / "new")["selected"] == {"step": best, **found[best]}
    last = safetensors.torch.load_file(tmp_path / "new/last.safetensors")
    kept = safetensors.torch.load_file(tmp_path / "new/encoder.safetensors")
    same = all(torch.equal(last[name], kept[name]) for name in kept)
    assert same == (best == 4)
    without = safetensors.torch.load_file(work / "sdae/encoder.safetensors")
    torch.testing.assert_close(last, without, rtol=0, atol=0)
    assert facts(work / "sdae")["selected"] is None
    assert not (work / "sdae/last.safetensors").exists()
    assert facts(tmp_path / "new")["identity"] != facts(work / "sdae")["identity"]
    load_encoder(tmp_path / "new")
    said = train("--valid-concepts", concepts)[1]
    assert said[0].startswith(f"{concepts}: TAB after the id, `;` between concepts, no header; ")
    assert said[0].endswith(" labels an image")
    assert "nothing to do" in said[1]
    status, said = train("--valid-concepts", work / "data/valid-concepts.tsv")
    assert status == 1
    status, said = train("--valid-concepts", concepts, "--set", "training.probe_every=3")
    assert status == 1
    assert "--overwrite" in said[-1]


# What lies where the encoder goes


def test_a_training_of_another_model_is_not_gone_on_with(
    work: Path, train: Run, tmp_path: Path
) -> None:
    shutil.copytree(work / "sdae", tmp_path / "new")
    for name in ("encoder.json", "encoder.safetensors"):
        (tmp_path / "new" / name).unlink()
    before = (tmp_path / "new/checkpoint.pt").read_bytes()
    status, said = train("--resume", config="pca")
    assert (status, len(said)) == (1, 1)
    assert "model: sdae there, pca now" in said[0]
    assert (tmp_path / "new/checkpoint.pt").read_bytes() == before


def test_an_encoder_that_waits_is_removed_by_whoever_may_replace_it(
    work: Path, train: Run, tmp_path: Path
) -> None:
    aside = tmp_path / ".new.replaced"
    for allowed, stays in (([], True), (["--overwrite"], False)):
        shutil.copytree(work / "pca", aside, dirs_exist_ok=True)
        assert train(*allowed)[0] == 0
        assert aside.exists() == stays
    aside.mkdir()
    (aside / "thesis.txt").write_text("years of work")
    assert f"{aside}: holds other files" in train("--set", "training.seed=1", "--overwrite")[1][0]


def test_another_encoder_is_refused_by_what_is_unlike(
    work: Path, train: Run, tmp_path: Path
) -> None:
    for model in ("sdae", "pca"):
        shutil.copytree(work / model, tmp_path / model)
    longer = ("--set", "training.steps=8", "--resume")
    assert "(training.steps: 4 there, 8 now)" in train(*longer, into="sdae")[1][0]
    assert (
        "(arguments.latent_dim: 4 there, 2 now)"
        in train("--set", "arguments.latent_dim=2", config="pca", into="pca")[1][0]
    )
    fewer = ("--ids", work / "data/valid-concepts.tsv")
    assert "(of other images" in train(*fewer, into="sdae")[1][0]
    for model in ("sdae", "pca"):
        assert facts(tmp_path / model) == facts(work / model)


@pytest.mark.parametrize("name", ["thesis.txt", "sheets/thesis.txt", "notes/encoder.json"])
@pytest.mark.parametrize("allowed", [[], ["--resume"], ["--overwrite"]], ids=str)
def test_a_folder_with_other_files_is_never_touched(
    name: str, allowed: list[str], train: Run, tmp_path: Path
) -> None:
    mine = tmp_path / "new" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("years of work")
    status, said = train(*allowed)
    assert (status, len(said)) == (1, 1)
    assert f"holds other files ({name})" in said[0]
    assert mine.read_text() == "years of work"


@pytest.mark.parametrize("name", ["encoder.safetensors", "metrics.jsonl", "sheets/samples.png"])
def test_what_a_training_left_is_replaced_where_that_is_allowed_only(
    name: str, train: Run, tmp_path: Path
) -> None:
    left = tmp_path / "new" / name
    left.parent.mkdir(parents=True)
    left.write_text("")
    status, said = train()
    assert status == 1
    assert "a training was begun there; give --resume or --overwrite" in said[0]
    assert left.read_text() == ""
    assert train("--overwrite")[0] == 0


@pytest.mark.parametrize("broken", ["encoder.safetensors", "encoder.json"])
@pytest.mark.parametrize("how", ["missing", "cut short"])
@pytest.mark.parametrize("model", ["sdae", "pca"])
def test_an_encoder_that_is_not_whole_is_trained_again_where_that_is_allowed(
    model: str, how: str, broken: str, work: Path, train: Run, tmp_path: Path
) -> None:
    shutil.copytree(work / model, tmp_path / "new")
    file = tmp_path / "new" / broken
    file.write_bytes(file.read_bytes()[:40])
    if how == "missing":
        file.unlink()
    status, said = train(config=model)
    assert status == 1
    assert "give " in said[-1]
    assert "--overwrite" in said[-1], "the remedy is what works below"
    status, said = train("--overwrite", config=model)
    assert status == 0, said
    assert file.read_bytes() == (work / model / broken).read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize("refused", ["learning_rate={x: 1}", "device=tpu", "crop=99"])
def test_what_cannot_be_trained_replaces_nothing(
    refused: str, work: Path, train: Run, tmp_path: Path
) -> None:
    shutil.copytree(work / "sdae", tmp_path / "new")
    words = ("--overwrite", "--set", "training.seed=1", "--set", f"training.{refused}")
    assert train(*words)[0] != 0
    assert facts(tmp_path / "new") == facts(work / "sdae")
    (tmp_path / "new/encoder.json").unlink()  # one that was begun only
    assert train(*words)[0] != 0
    assert (tmp_path / "new/checkpoint.pt").exists()


def test_a_link_to_a_folder_is_filled_and_a_file_is_refused(
    work: Path, train: Run, tmp_path: Path
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "new").symlink_to(tmp_path / "there")
    assert train()[0] == 0
    assert train("--set", "training.seed=1", "--overwrite")[0] == 0
    assert facts(tmp_path / "there")["training"]["seed"] == 1
    (tmp_path / "file").write_text("mine")
    assert "is a file" in train(into="file")[1][0]
    assert (tmp_path / "file").read_text() == "mine"


def test_a_damaged_checkpoint_is_overwritten_where_that_is_allowed(
    work: Path, train: Run, tmp_path: Path
) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new/checkpoint.pt").write_text("damaged")
    assert "damaged" in train("--resume")[1][0]
    status, said = train("--resume", "--overwrite")
    assert status == 0, said
    assert facts(tmp_path / "new") == facts(work / "sdae")


def test_a_stopped_training_says_how_to_go_on(
    train: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Trainer.train_step

    def interrupted(trainer: Trainer) -> dict[str, torch.Tensor]:
        signal.raise_signal(signal.SIGINT)
        return step(trainer)

    with monkeypatch.context() as stopping:
        stopping.setattr(Trainer, "train_step", interrupted)
        status, said = train()
    assert status == 130
    new = tmp_path / "new"
    assert said[-3:] == [
        f"{new}: stopped after step 1, saved",
        f"{new}: go on with --resume",
        "replearn train: stopped",
    ]
    assert train("--resume")[0] == 0


@pytest.mark.parametrize("count", [0, 1, 19])
def test_too_few_labelled_images_choose_nothing(
    work: Path, train: Run, tmp_path: Path, count: int
) -> None:
    concepts = tmp_path / "concepts.tsv"
    rows = (f"phantom_{row:06d}\t{'C1' * (row < count)}\n" for row in range(60))
    concepts.write_text("".join(rows))
    status, said = train("--valid-concepts", concepts)
    assert status == 0
    assert said[0].startswith(f"warning: {concepts}: {count} images have concepts, and fewer ")
    assert facts(tmp_path / "new") == facts(work / "sdae")


def test_concepts_of_other_images_are_refused_by_the_file_s_name(
    train: Run, tmp_path: Path
) -> None:
    concepts = tmp_path / "concepts.tsv"
    concepts.write_text("".join(f"phantom_{row:06d}\tC1\n" for row in range(50, 110)))
    status, said = train("--valid-concepts", concepts)
    message = [line for line in said if not line.startswith("warning: ")]
    assert status == 1
    assert len(message) == 1
    assert message[0].startswith(f"replearn train: {concepts}: 10 of 60 labelled ")
    assert list(tmp_path.iterdir()) == [concepts]


def test_concepts_of_images_that_are_not_there_are_counted_or_refused(
    work: Path, train: Run, tmp_path: Path
) -> None:
    concepts = tmp_path / "concepts.tsv"
    rows = [f"phantom_{row:06d}\tC{row % 2}\n" for row in range(90)]
    concepts.write_text("".join(rows))
    status, said = train("--valid-concepts", concepts)
    assert status == 0
    told = f"warning: {concepts}: 60 of 90 labelled images are among "
    assert sum(line.startswith(told) for line in said) == 1
    assert "; the weights of step " in said[-1]
    concepts.write_text("".join(rows[60:]))
    status, said = train("--valid-concepts", concepts, into="none")
    assert (status, len(said)) == (1, 1)
    assert said[0].startswith(f"replearn train: {concepts}: ")


# A start from other weights


def test_a_training_begins_with_the_weights_it_is_given(
    work: Path, train: Run, tmp_path: Path
) -> None:
    still = ("--set", "training.learning_rate=0")
    status, said = train("--init", work / "sdae", *still)
    assert status == 0, said
    assert train(*still, into="without")[0] == 0
    first, new, without = (
        load_encoder(place, "cpu").model.state_dict()
        for place in (work / "sdae", tmp_path / "new", tmp_path / "without")
    )
    # Batch normalisation follows the images even where nothing learns.
    learned = [name for name in first if "running" not in name and "num_batches" not in name]
    assert learned
    for name in learned:
        torch.testing.assert_close(new[name], first[name], rtol=1e-6, atol=1e-7)
    assert any(not torch.allclose(without[name], first[name]) for name in learned)
    identities = {facts(place)["identity"] for place in (tmp_path / "new", tmp_path / "without")}
    assert len(identities) == 2
    assert "nothing to do" in train("--init", work / "sdae", *still)[1][0]


@pytest.mark.parametrize("other", ["wider", "pca", "no encoder"])
def test_weights_of_other_networks_are_refused_in_one_line(
    work: Path, train: Run, tmp_path: Path, other: str
) -> None:
    init = {"wider": work / "sdae", "pca": work / "pca", "no encoder": work / "data"}[other]
    words = ["--set", "arguments.width=4"] if other == "wider" else []
    status, said = train("--init", init, *words)
    assert status == 1
    assert len(said) == 1
    assert said[0].startswith(f"replearn train: {init}: ")
    assert len(said[0]) < 400
    assert not list(tmp_path.iterdir()), "not even an empty folder is left"


def test_a_single_image_is_refused_in_one_line(work: Path, train: Run, tmp_path: Path) -> None:
    concepts = (work / "data/valid-concepts.tsv").read_text().splitlines()
    (tmp_path / "one.tsv").write_text(concepts[0] + "\n")
    status, said = train("--ids", tmp_path / "one.tsv")
    assert status == 1
    assert said == [
        f"replearn train: {work / 'images.h5'}: one image; "
        "a training takes statistics of two or more"
    ]
    assert not (tmp_path / "new").exists()


def test_settings_that_the_model_refuses_leave_no_folder(train: Run, tmp_path: Path) -> None:
    status, said = train("--set", "training.learning_rate={critic: 0.1}")
    assert status == 2
    assert len(said) == 1
    assert not list(tmp_path.iterdir())


# Diverging


@pytest.mark.parametrize("every", [1, 100])
def test_a_batch_that_failed_is_kept_until_the_training_begins_anew(
    work: Path, train: Run, tmp_path: Path, every: int
) -> None:
    often = ("--set", f"training.checkpoint_every={every}")
    status, said = train("--set", "training.learning_rate=1e30", *often)
    assert status == 1
    assert "failed-batch.safetensors" in said[-1]
    assert not (tmp_path / "new/encoder.json").exists()
    batch = safetensors.torch.load_file(tmp_path / "new/failed-batch.safetensors")
    pixels = np.asarray(ImageSet.load(work / "images.h5").pixels)[batch["rows"].numpy()]
    np.testing.assert_allclose(batch["images"].numpy(), pixels / 127.5 - 1, atol=1e-6)
    status, said = train()
    assert status == 1
    assert "--overwrite" in said[0]
    assert train("--overwrite")[0] == 0
    assert not (tmp_path / "new/failed-batch.safetensors").exists()
    found, expected = (p / "encoder.safetensors" for p in (tmp_path / "new", work / "sdae"))
    assert found.read_bytes() == expected.read_bytes()


# Several processes


def by_two(*words: object) -> tuple[int, list[str], str]:
    """Train as two processes; return the status, the lines of replearn and all of stderr."""
    scripts = Path(sys.executable).parent
    command = [scripts / "torchrun", "--nproc-per-node", "2", "-m", "replearn", "train"]
    environment = {
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [str(word) for word in (*command, *words)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("replearn train: ")]
    return done.returncode, lines, done.stderr


@pytest.mark.slow
def test_two_processes_leave_one_complete_encoder(work: Path, tmp_path: Path) -> None:
    labels = ("--valid-concepts", work / "data/train-concepts.tsv")
    words = (work / "sdae.yaml", work / "images.h5", tmp_path / "new", *labels)
    status, _, said = by_two(*words)
    assert status == 0, said
    assert list(probed_at(tmp_path / "new")) == [2, 4]
    assert len(list((tmp_path / "new").glob("events.*"))) == 1
    images = ImageSet.load(work / "images.h5").pixels
    (embeddings,) = load_encoder(tmp_path / "new", "cpu").embed(images)
    assert np.isfinite(embeddings).all()
    assert embeddings.shape == (60, 4)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    before = {path: path.read_bytes() for path in (tmp_path / "new").glob("encoder.*")}
    status, _, said = by_two(*words)
    assert status == 0, said
    assert "already trained from the same inputs, nothing to do" in said
    assert {path: path.read_bytes() for path in before} == before
    # What the folder refuses, the first process says, and the other one that the first said it.
    status, lines, said = by_two(*words, "--set", "training.seed=1")
    assert status != 0
    assert lines, said
    assert all("--overwrite" in line for line in lines), said


@pytest.mark.slow
def test_two_processes_go_on_from_a_checkpoint_of_two(
    work: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    words = (work / "sdae.yaml", work / "images.h5")
    for folder in (whole, stopped):
        status, _, said = by_two(*words, folder)
        assert status == 0, said
    (stopped / "encoder.json").unlink()
    (stopped / "encoder.safetensors").unlink()
    status, _, said = by_two(*words, stopped, "--resume")
    assert status == 0, said
    assert "going on after step 4 of 4" in said
    found, expected = (folder / "encoder.safetensors" for folder in (stopped, whole))
    assert found.read_bytes() == expected.read_bytes()
    # One process draws other noise, so it would go on to other weights.
    (stopped / "encoder.json").unlink()
    assert main([str(word) for word in ("train", *words, stopped, "--resume")]) == 1
    assert "processes: 2 there, unset now" in capfd.readouterr().err


@pytest.mark.slow
def test_a_fitted_encoder_is_fitted_by_the_first_of_two_processes(
    work: Path, tmp_path: Path
) -> None:
    status, _, said = by_two(work / "pca.yaml", work / "images.h5", tmp_path / "new")
    assert status == 0, said
    found, expected = (
        folder / "encoder.safetensors" for folder in (tmp_path / "new", work / "pca")
    )
    assert found.read_bytes() == expected.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.slow
def test_a_batch_that_cannot_be_shared_is_refused_in_one_line(work: Path, tmp_path: Path) -> None:
    odd = ("--set", "training.batch_size=7")
    status, lines, said = by_two(work / "sdae.yaml", work / "images.h5", tmp_path / "new", *odd)
    assert status != 0
    assert len(set(lines)) == 1, said  # each process says it
    assert "training.batch_size: 7 images cannot be shared evenly by 2 processes" in lines[0]
    assert not list(tmp_path.iterdir())
