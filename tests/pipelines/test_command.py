"""The command `replearn`: what it answers to wrong input, and how it explains itself."""

import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.__main__ import STAGES

ROOT = Path(__file__).parents[2]
Run = Callable[..., tuple[int, str, str]]
Lines = Callable[..., Path]

WRONG = {
    "prepare a missing folder": (1, "prepare {work}/none {new}.h5"),
    "prepare a folder without images": (1, "prepare {work}/aae/sheets/.. {new}.h5 --ids {text}"),
    "prepare at an impossible size": (2, "prepare {data}/images {new}.h5 --size 0"),
    "train without a configuration": (1, "train {work}/none.yaml {work}/images.h5 {new}"),
    "train with a binary configuration": (1, "train {work}/images.h5 {work}/images.h5 {new}"),
    "train an unknown model": (2, "train {aae} {work}/images.h5 {new} --set model=wgan"),
    "train with an unknown key": (2, "train {aae} {work}/images.h5 {new} --set training.lr=1"),
    "train with an unknown argument": (2, "train {aae} {work}/images.h5 {new} --set arguments.x=1"),
    "train with a wrong type": (2, "train {aae} {work}/images.h5 {new} --set training.steps=many"),
    "train with no width": (2, "train {aae} {work}/images.h5 {new} --set arguments.width=0"),
    "train downhill": (2, "train {aae} {work}/images.h5 {new} --set training.learning_rate=-1"),
    "train on features": (1, "train {aae} {work}/aae-test.h5 {new}"),
    "train on two channels": (2, "train {aae} {data}/images {new} --set images.channels=2"),
    "extract with no encoder": (1, "extract {work}/index {work}/images.h5 {new}.h5"),
    "extract from features": (1, "extract {work}/aae {work}/aae-test.h5 {new}.h5"),
    "extract on a missing device": (1, "extract {work}/aae {work}/images.h5 {new}.h5 --device tpu"),
    "classify images": (1, "classify {work}/images.h5 {train} {work}/aae-valid.h5 {valid} {new}"),
    "report with another encoder's features": (
        1,
        "report {work}/pca {new}.html --features {work}/aae-test.h5",
    ),
    "classify with other ids": (
        1,
        "classify {work}/aae-train.h5 {valid} {work}/aae-valid.h5 {valid} {new}",
    ),
    "classify with two encoders": (
        1,
        "classify {work}/aae-train.h5 {train} {work}/pca-valid.h5 {valid} {new}",
    ),
    "classify without a file": (
        1,
        "classify {work}/none.h5 {train} {work}/aae-valid.h5 {valid} {new}",
    ),
    "classify by an unknown rule": (
        2,
        "classify {work}/aae-train.h5 {train} {work}/aae-valid.h5 {valid} {new} --rule coin",
    ),
    "classify by an unknown method": (
        2,
        "classify {work}/aae-train.h5 {train} {work}/aae-valid.h5 {valid} {new} --method svm",
    ),
    "predict with features of another encoder": (
        1,
        "predict {work}/linear {work}/pca-test.h5 {new}",
    ),
    "predict without a detector": (1, "predict {work}/index {work}/aae-test.h5 {new}"),
    "predict for an unknown edition": (
        2,
        "predict {work}/linear {work}/aae-test.h5 {new} --edition 1999",
    ),
    "index an image": (1, "index {data}/images/phantom_000000.png {new}"),
    "index with concepts of others": (1, "index {work}/aae-train.h5 {new} --concepts {valid}"),
    "index in two ways": (2, "index {work}/aae-train.h5 {new} --shards 2 --add"),
    "index with a recall of 2": (2, "index {work}/aae-train.h5 {new} --recall 2"),
    "index with more parts than images": (2, "index {work}/aae-train.h5 {new} --shards 99"),
    "index in no part": (2, "index {work}/aae-train.h5 {new} --shards 0"),
    "index by no process": (2, "index {work}/aae-train.h5 {new} --shards 2 --jobs 0"),
    "add to nothing": (1, "index {work}/aae-valid.h5 {new} --add"),
    "add features of another encoder": (1, "index {work}/pca-valid.h5 {work}/index --add"),
    "remove what is not there": (1, "index {valid} {work}/index --remove"),
    "query on no such device": (2, "query {work}/index phantom_000000 --device cuda:9"),
    "index by an unknown factory": (2, "index {work}/aae-train.h5 {new} --factory Tree"),
    "query for no image": (2, "query {work}/index phantom_000000 -k 0"),
    "count no concept": (2, "vocabulary {train} --top 0"),
    "classify with no concept": (
        2,
        "classify {work}/aae-train.h5 {train} {work}/aae-valid.h5 {valid} {new} --concepts 0",
    ),
    "query with another encoder": (
        1,
        "query {work}/index {data}/images/phantom_000000.png --encoder {work}/pca",
    ),
    "query with a text": (1, "query {work}/index {text}"),
    "query a missing image": (1, "query {work}/index {work}/none.png"),
    "query a missing index": (1, "query {work}/none {data}/images/phantom_000000.png"),
    "evaluate a missing run": (1, "evaluate {work}/none {valid}"),
    "compare on a folder without data": (1, "compare {compare} {work}/aae {new}"),
    "compare with an unknown detector": (2, "compare {detectors} {data} {new}"),
    "compare with rows of another encoder": (2, "compare {rows} {data} {new}"),
    "compare with an unknown key": (2, "compare {aae} {data} {new}"),
    "compare with a misspelt training": (
        2,
        "compare {compare} {data} {new} --set encoders.raw.training.step=5",
    ),
    "compare with a misspelt argument": (
        2,
        "compare {compare} {data} {new} --set encoders.raw.arguments.width=5",
    ),
    "draw an unknown image": (1, "draw {work}/aae {work}/images.h5 {new} --image nobody"),
    "draw images and ids": (2, "draw {work}/aae {work}/images.h5 {new} --image a --ids {valid}"),
    "draw into a folder with files": (1, "draw {work}/aae {work}/images.h5 {work}/index"),
    "draw with a detector": (1, "draw {work}/linear {work}/images.h5 {new}"),
    "split nothing": (1, "split {work}/none {new}"),
    "phantoms of no size": (2, "phantoms {new} --size 4"),
    "an unknown stage": (2, "learn"),
    "an unknown option": (2, "split {train} {new} --share 3"),
}


def untold(err: str) -> list[str]:
    """Return the lines of stderr but those that say which layout a label file has."""
    return [line for line in err.splitlines() if not line.endswith(" labels an image")]


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_gets_one_line_and_leaves_nothing(
    chain: Path, run: Run, tmp_path: Path, case: str
) -> None:
    expected, words = WRONG[case]
    (tmp_path / "text.txt").write_text("not an image\n")
    raw = "encoders: {raw: {model: raw}}\n"
    (tmp_path / "compare.yaml").write_text(raw)
    (tmp_path / "detectors.yaml").write_text(raw + "detectors: [oracle]\n")
    (tmp_path / "rows.yaml").write_text(raw + "rows: {pca: [linear]}\n")
    here = set(tmp_path.iterdir())
    filled = words.format(
        work=chain,
        data=chain / "data",
        train=chain / "data/train-concepts.tsv",
        valid=chain / "data/valid-concepts.tsv",
        aae=chain / "aae.yaml",
        text=tmp_path / "text.txt",
        compare=tmp_path / "compare.yaml",
        detectors=tmp_path / "detectors.yaml",
        rows=tmp_path / "rows.yaml",
        new=tmp_path / "new",
    )
    status, out, err = run(*filled.split())
    assert status == expected, err
    assert out == ""
    message = [line for line in untold(err) if not line.startswith("warning: ")]
    assert len(message) == 1, err
    assert re.match(r"replearn( [a-z]+)?: [^:\s]", message[0]), "no place is left empty"
    assert set(tmp_path.iterdir()) == here


def test_the_overview_has_a_line_of_eighty_characters_for_each_stage(run: Run) -> None:
    status, out, _ = run("--help")
    assert status == 0
    assert max(map(len, out.splitlines())) <= 80
    assert {line.split()[0] for line in out.splitlines() if line.startswith("  ")} == set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_explains_itself_with_an_example(run: Run, stage: str) -> None:
    status, out, _ = run(stage, "--help")
    assert status == 0
    (example,) = [line for line in out.splitlines() if "Example: " in line]
    # On one line, so that it can be copied.
    assert f"Example: replearn {stage} " in example
    assert out.count("\n\n", out.index(example), out.index(example) + len(example) + 2) == 1


@pytest.mark.parametrize("stage", STAGES)
def test_the_short_option_explains_a_stage_too(run: Run, stage: str) -> None:
    assert run(stage, "-h") == run(stage, "--help")


def test_settings_go_by_their_names(chain: Path, run: Run, tmp_path: Path) -> None:
    few = ("--set", "arguments.latent_dim=4")
    status, _, err = run("train", "pca", chain / "images.h5", tmp_path / "pca", *few)
    assert status == 0, err
    status, _, err = run("train", "wgan", chain / "images.h5", tmp_path / "wgan")
    assert status == 1
    assert re.match(r"replearn train: wgan: no such file, .*known: aae, .*, vae\n\Z", err)
    _, _, err = run("compare", "demo", tmp_path / "none", tmp_path / "out")
    assert "none: not a data folder" in err


READERS = {
    "the overview": "--help",
    "the help of a stage": "split --help",
    "what a stage prints": "validate {run} {ids}",
    "what a stage complains of": "split {run}.none new",
}


@pytest.mark.parametrize("case", READERS)
def test_output_that_nobody_reads_ends_quietly(case: str, tmp_path: Path, lines: Lines) -> None:
    words = READERS[case].format(run=lines("run.txt", "a\tC1"), ids=lines("ids.txt", "a"))
    for unread in ("stdout", "stderr"):
        reader, writer = os.pipe()
        os.close(reader)
        streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        done = subprocess.run(
            [sys.executable, "-m", "replearn", *words.split()],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            **streams | {unread: writer},
            text=True,
            check=False,
        )
        os.close(writer)
        said = (done.stdout or "") + (done.stderr or "")
        assert "Traceback" not in said
        assert "BrokenPipe" not in said
        complains = case == "what a stage complains of"
        if complains == (unread == "stderr"):
            assert (done.returncode, said) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("case", [*READERS, "more than a buffer holds"])
def test_a_full_disk_is_told_in_one_line(
    case: str, unbuffered: str, tmp_path: Path, lines: Lines
) -> None:
    words = READERS.get(case, "vocabulary {many}").format(
        run=lines("run.txt", "a\tC1"),
        ids=lines("ids.txt", "a"),
        many=lines("many.txt", *(f"a{n}\tC{n:07}" for n in range(2000))),
    )
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "replearn", *words.split()],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    message = done.stderr.splitlines()[-1]
    assert message.count("replearn") == done.stderr.count("replearn") == 1
    if case != "what a stage complains of":
        assert message.endswith("writing the output: No space left on device")


WITHOUT_EXTRAS = """
import sys
from pipelines.__main__ import PARTS, main

class Absent:
    def find_spec(self, name, *_):
        if name.split(".")[0] in PARTS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
sys.exit(main())
"""


def without_extras(*words: object) -> "subprocess.CompletedProcess[str]":
    """Run a stage where nothing of the extras can be imported."""
    command = [sys.executable, "-c", WITHOUT_EXTRAS, *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


LABELLED = (
    "{work}/aae-train.h5 {data}/train-concepts.tsv {work}/aae-valid.h5 {data}/valid-concepts.tsv"
)


def test_what_is_on_features_and_labels_runs_without_the_extras(
    chain: Path, tmp_path: Path
) -> None:
    for words in (
        f"classify {LABELLED} {{new}}/linear",
        f"classify {LABELLED} {{new}}/constant --method constant",
        "predict {new}/linear {work}/aae-test.h5 {new}/linear.csv",
        "predict {new}/constant {work}/aae-test.h5 {new}/constant.csv",
        "validate {new}/linear.csv {data}/test-concepts.tsv",
        "evaluate {new}/linear.csv {data}/test-concepts.tsv",
        "merge {new}/linear.csv {new}/constant.csv --out {new}/merged.csv",
        "convert {data}/test-concepts.tsv {new}/converted",
        "vocabulary {data}/test-concepts.tsv",
        "split {data}/test-concepts.tsv {new}/lists",
    ):
        filled = words.format(work=chain, data=chain / "data", new=tmp_path)
        done = without_extras(*filled.split())
        assert done.returncode == 0, done.stderr


LACKING = {
    "train pca {work}/images.h5 {new}": "OpenCV",
    "extract {work}/pca {work}/images.h5 {new}": "torch",
    "prepare {data}/images {new}": "OpenCV",
    "phantoms {new}": "OpenCV",
    "index {work}/aae-train.h5 {new}": "FAISS",
    f"classify {LABELLED} {{new}} --method knn": "FAISS",
    f"classify {LABELLED} {{new}} --device cpu": "torch",
    "report {work}/aae {new}": "matplotlib",
}


@pytest.mark.parametrize("words", LACKING)
def test_a_command_that_lacks_a_part_says_what_to_install(
    words: str, chain: Path, tmp_path: Path
) -> None:
    filled = words.format(work=chain, data=chain / "data", new=tmp_path / "new")
    done = without_extras(*filled.split())
    assert done.returncode == 1
    stage, part = words.split()[0], LACKING[words]
    said = [line for line in untold(done.stderr) if not line.startswith("warning: ")]
    assert said == [f"replearn {stage}: needs {part}; pip install 'replearn[cpu]'"]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("missing", ["gradio", "httpx"])
def test_serve_asks_for_gradio_only_where_gradio_is_missing(missing: str, chain: Path) -> None:
    pytest.importorskip("gradio", reason="gradio is missing: make setup EXTRAS=cpu,app")
    code = (
        "import sys; from pipelines.__main__ import main; "
        f"sys.modules[{missing!r}] = None; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "serve", str(chain / "index")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    needs = "serve needs gradio; pip install 'replearn[app]'"
    assert (needs in done.stderr) == (missing == "gradio")
    assert missing in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_evaluating_imports_nothing_heavy() -> None:
    code = (
        "import sys; from pipelines.__main__ import main; main(['evaluate', '--help']); "
        "heavy = {'torch', 'sklearn', 'faiss', 'cv2', 'h5py', 'matplotlib'} & set(sys.modules); "
        "sys.exit(bool(heavy))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_a_damaged_artefact_is_named(chain: Path, run: Run, tmp_path: Path) -> None:
    features = tmp_path / "features.h5"
    features.write_bytes((chain / "aae-test.h5").read_bytes()[:2000])
    shutil.copytree(chain / "linear", tmp_path / "linear")
    (tmp_path / "linear/detector.safetensors").write_bytes(b"\0" * 100)
    shutil.copytree(chain / "index", tmp_path / "index")
    (tmp_path / "index/index.faiss").write_bytes(b"\0" * 100)
    image = chain / "data/images/phantom_000000.png"
    for words, name in (
        (("predict", chain / "linear", features, tmp_path / "run"), "features.h5"),
        (("predict", tmp_path / "linear", chain / "aae-test.h5", tmp_path / "run"), "safetensors"),
        (("query", tmp_path / "index", image, "--encoder", chain / "aae"), "index.faiss"),
    ):
        status, _, err = run(*words)
        assert status == 1
        assert name in err
        assert len(err.splitlines()) == 1


def test_a_damaged_artefact_is_made_anew_by_the_remedy_that_is_named(
    chain: Path, run: Run, tmp_path: Path
) -> None:
    made, part = tmp_path / "made", f"{chain}/aae-train.h5 {chain}/data/train-concepts.tsv"
    valid = f"{chain}/aae-valid.h5 {chain}/data/valid-concepts.tsv"
    fit, predict = f"classify {part} {valid} {made}", f"predict {made} {chain}/aae-test.h5"
    for make, use, missing in (
        (f"index {chain}/aae-train.h5 {made}", f"query {made} phantom_000000", "index.faiss"),
        (f"{fit} --method constant", f"{predict} {tmp_path}/constant.csv", "detector.json"),
        (fit, f"{predict} {tmp_path}/linear.csv", "detector.safetensors"),
        (f"{fit} --method knn", f"{predict} {tmp_path}/knn.csv", "index/index.faiss"),
    ):
        assert run(*make.split())[0] == 0
        if missing == "detector.json":
            facts = json.loads((made / missing).read_text())
            (made / missing).write_text(json.dumps({"identity": facts["identity"]}))
        else:
            (made / missing).unlink()
        status, _, err = run(*use.split())
        assert status == 1
        remedy = re.search(r"; remove (\S+) and (index|classify) again$", err)
        assert remedy, err
        assert remedy.group(2) == make.split()[0]
        shutil.rmtree(remedy.group(1))
        assert run(*make.split())[0] == run(*use.split())[0] == 0
        shutil.rmtree(made)


def test_overwriting_never_touches_a_folder_with_other_files(
    chain: Path, run: Run, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    shutil.copytree(chain / "data", own)
    before = sorted(own.rglob("*"))
    encoder = ("train", chain / "pca.yaml", own / "images", own, "--overwrite")
    features = ("extract", chain / "pca", chain / "images.h5", own, "--overwrite")
    index = ("index", chain / "aae-train.h5", own / "images", "--overwrite")
    for words in (encoder, features, index):
        status, _, err = run(*words)
        assert status == 1
        assert "choose another place" in err
        assert sorted(own.rglob("*")) == before


def test_what_a_library_warns_of_is_one_line_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def app(arguments: list[str], **_: Any) -> None:
        warnings.warn("of two\nlines", UserWarning, stacklevel=1)

    monkeypatch.setattr("pipelines.__main__.command", lambda stage: app)
    assert run("evaluate") == (0, "", "warning: of two lines\n")


def test_what_nobody_foresaw_is_one_line_too(
    chain: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    shutil.copytree(chain / "aae", tmp_path / "aae")
    facts = json.loads((tmp_path / "aae/encoder.json").read_text())
    (tmp_path / "aae/encoder.json").write_text(json.dumps(facts | {"size": "x"}))
    status, _, err = run("extract", tmp_path / "aae", chain / "images.h5", tmp_path / "new.h5")
    assert status == 1
    assert len(err.splitlines()) == 1
