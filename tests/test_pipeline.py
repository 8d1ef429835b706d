"""The whole chain on 48 phantoms, as a user types it, and what it answers to wrong input."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import yaml

from pipelines.__main__ import STAGES, main
from replearn.comparison_settings import read_comparison
from replearn.concepts import read_concepts, read_ids, read_names
from replearn.configuration import Configuration, ImageSettings
from replearn.features import Features
from replearn.models import MODELS, check_arguments
from replearn.settings import check_settings, read_yaml
from replearn.training_settings import TrainingSettings

DETECTORS = ("linear", "knn-union", "knn-vote", "fused")
ROOT = Path(__file__).parent.parent
Run = Callable[..., tuple[int, str, str]]

SMALL = ["arguments.width=4", "arguments.latent_dim=8", "arguments.critic_width=16"]
SHORT = ["training.steps=4", "training.batch_size=8", "training.sheet_every=2"]


def overrides(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the chain has run once."""
    folder = tmp_path_factory.mktemp("chain")
    (folder / "aae.yaml").write_text("model: aae\n")
    (folder / "pca.yaml").write_text("model: pca\narguments: {latent_dim: 8}\n")
    data = folder / "data"
    steps: list[list[str]] = [
        ["phantoms", f"{data}", "--count", "48"],
        ["prepare", f"{data}/images", f"{folder}/images.h5"],
        [
            *("train", f"{folder}/aae.yaml", f"{folder}/images.h5", f"{folder}/aae"),
            *("--ids", f"{data}/train-concepts.tsv"),
            *overrides(*SMALL, *SHORT),
        ],
        ["train", f"{folder}/pca.yaml", f"{folder}/images.h5", f"{folder}/pca"],
    ]
    for encoder in ("aae", "pca"):
        steps += [
            [
                *("extract", f"{folder}/{encoder}", f"{folder}/images.h5"),
                *(f"{folder}/{encoder}-{part}.h5", "--ids", f"{data}/{part}-concepts.tsv"),
            ]
            for part in ("train", "valid", "test")
        ]
    for name, options in {
        "linear": [],
        "knn": ["--method", "knn"],
        "union": ["--method", "knn", "--vote", "union", "--metric", "l2"],
        "fused": ["--method", "fused"],
        "constant": ["--method", "constant"],
    }.items():
        steps.append(
            [
                *("classify", f"{folder}/aae-train.h5", f"{data}/train-concepts.tsv"),
                *(f"{folder}/aae-valid.h5", f"{data}/valid-concepts.tsv", f"{folder}/{name}"),
                *options,
            ]
        )
    steps.append(
        [
            *("index", f"{folder}/aae-train.h5", f"{folder}/index"),
            *("--concepts", f"{data}/train-concepts.tsv"),
        ]
    )
    for step in steps:
        assert main(step) == 0, step
    return folder


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a stage and return its exit status, stdout and stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        capfd.readouterr()
        status = main([str(word) for word in words])
        out, err = capfd.readouterr()
        return status, out, err

    return run


@pytest.mark.parametrize("edition", ["2018", "2026"])
@pytest.mark.parametrize("detector", ["linear", "knn", "union", "fused", "constant"])
def test_every_detector_ends_in_a_valid_scored_run(
    work: Path, run: Run, tmp_path: Path, detector: str, edition: str
) -> None:
    truth, file = work / "data/test-concepts.tsv", tmp_path / "run.csv"
    words = ["--edition", edition]
    assert run("predict", work / detector, work / "aae-test.h5", file, *words)[0] == 0
    assert run("validate", file, truth, *words)[0] == 0
    status, out, _ = run("evaluate", file, truth, "--json", *words)
    assert status == 0
    score = json.loads(out)
    assert score["images"] == len(read_ids(truth))
    assert 0 < score["f1"] <= 1
    assert score["interval"][0] <= score["f1"] <= score["interval"][1]


def test_features_lie_in_the_order_of_the_list(work: Path) -> None:
    features = Features.load(work / "aae-test.h5")
    assert features.ids == read_ids(work / "data/test-concepts.tsv")
    assert features.vectors.shape == (len(features), 8)


def test_sheets_are_written_while_training(work: Path) -> None:
    sheets = {path.name for path in (work / "aae/sheets").iterdir()}
    assert {"reconstructions-0000002.png", "samples-0000004.png"} <= sheets


def test_a_run_file_is_never_short(work: Path, run: Run, tmp_path: Path) -> None:
    listed = [*read_ids(work / "data/test-concepts.tsv")[::-1], "an_image_without_features"]
    (tmp_path / "ids.txt").write_text("\n".join(listed))
    file = tmp_path / "run.txt"
    status, _, err = run(
        "predict", work / "linear", work / "aae-test.h5", file, "--ids", tmp_path / "ids.txt"
    )
    assert status == 0
    assert "an_image_without_features" in err
    written = read_concepts(file)
    assert written.ids == listed
    assert set(written.concepts[-1]) == set(
        json.loads((work / "linear/detector.json").read_text())["constant"]
    )


def test_an_indexed_image_finds_itself_unless_excluded(work: Path, run: Run) -> None:
    id_ = read_ids(work / "data/train-concepts.tsv")[3]
    image = work / f"data/images/{id_}.png"
    status, out, _ = run("query", work / "index", image, "-k", "3", "--json")
    assert status == 0
    (answer,) = json.loads(out)
    assert answer["hits"][0]["id"] == id_
    assert answer["hits"][0]["distance"] == pytest.approx(0, abs=1e-5)
    assert len(answer["hits"]) == 3
    table = read_concepts(work / "data/train-concepts.tsv")
    assert answer["hits"][0]["concepts"] == list(table.select([id_]).concepts[0])
    _, out, _ = run("query", work / "index", image, "-k", "3", "--json", "--exclude-self")
    (other,) = json.loads(out)
    assert other["hits"][:2] == answer["hits"][1:]
    assert len(other["hits"]) == 3


def test_ids_are_asked_about_as_their_images_are(work: Path, run: Run, tmp_path: Path) -> None:
    id_, other = read_ids(work / "data/train-concepts.tsv")[3:5]
    image = work / f"data/images/{id_}.png"
    words = ("query", work / "index", id_, image, other, "-k", "4", "--json")
    status, out, _ = run(*words, "--sheet", tmp_path / "found.png")
    assert status == 0
    by_id, by_image, second = json.loads(out)
    assert [hit["id"] for hit in by_id["hits"]] == [hit["id"] for hit in by_image["hits"]]
    assert (by_id["query"], second["query"]) == (id_, other)
    assert second["hits"][0]["id"] == other
    sheet = cv2.imread(str(tmp_path / "found.png"))
    assert sheet is not None
    assert len(np.unique(sheet)) > 50
    names = ("--names", work / "data/concept-names.tsv")
    _, table, _ = run("query", work / "index", other, "-k", "1", *names)
    first = read_concepts(work / "data/train-concepts.tsv").select([other]).concepts[0][0]
    assert first not in table
    assert read_names(work / "data/concept-names.tsv")[first] in table


def test_ids_need_no_torch(work: Path) -> None:
    id_ = read_ids(work / "data/train-concepts.tsv")[0]
    code = (
        "import sys; from pipelines.__main__ import main; "
        f"main(['query', {str(work / 'index')!r}, {id_!r}]); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False", done.stderr


def test_images_are_added_to_an_index_and_taken_out_again(
    work: Path, run: Run, tmp_path: Path
) -> None:
    index, image = tmp_path / "index", read_ids(work / "data/valid-concepts.tsv")[0]
    shutil.copytree(work / "index", index)
    more = (work / "aae-valid.h5", index, "--add", "--concepts", work / "data/valid-concepts.tsv")
    count = len(Features.load(work / "aae-train.h5"))
    for said in ("images, cosine, exact", "nothing to do"):
        status, _, err = run("index", *more)
        assert status == 0
        assert said in err
    _, out, _ = run("query", index, image, "-k", "1", "--json")
    assert json.loads(out)[0]["hits"][0]["id"] == image
    ids = work / "data/valid-concepts.tsv"
    for said in (f"{count} images", "nothing to do"):
        status, _, err = run("index", ids, index, "--remove")
        assert status == 0
        assert said in err
    status, _, err = run("query", index, image)
    assert status == 1
    assert "neither an image file nor the id of an indexed image" in err


def test_shards_find_what_one_index_finds(work: Path, run: Run, tmp_path: Path) -> None:
    features, concepts = work / "aae-train.h5", work / "data/train-concepts.tsv"
    words = ("index", features, tmp_path / "parts", "--concepts", concepts, "--shards", 3)
    assert run(*words)[0] == 0
    asked = read_ids(concepts)[:2]
    answers = [
        json.loads(run("query", folder, *asked, "--json", "--exclude-self")[1])
        for folder in (work / "index", tmp_path / "parts")
    ]
    for one, other in zip(*answers, strict=True):
        assert [hit["id"] for hit in one["hits"]] == [hit["id"] for hit in other["hits"]]


def test_a_detector_takes_an_index_of_its_training_images_only(
    work: Path, run: Run, tmp_path: Path
) -> None:
    data, folder = work / "data", tmp_path / "index"
    run("index", work / "aae-train.h5", folder, "--factory", "HNSW8", "--metric", "l2")
    parts = [work / "aae-train.h5", data / "train-concepts.tsv"]
    parts += [work / "aae-valid.h5", data / "valid-concepts.tsv"]
    words = ("--method", "knn", "--index", folder)
    assert run("classify", *parts, tmp_path / "own", *words)[0] == 0
    others = [parts[2], parts[3], parts[0], parts[1]]
    status, _, err = run("classify", *others, tmp_path / "other", *words)
    assert status == 1
    assert "--index" in err
    assert "index these features" in err


def test_training_on_a_crop_extracts_the_matching_centre(
    work: Path, run: Run, tmp_path: Path
) -> None:
    status, _, err = run(
        *("train", work / "aae.yaml", work / "data/images", tmp_path / "cropped"),
        *overrides(*SMALL, *SHORT, "images.size=72", "training.crop=64"),
    )
    assert status == 0, err
    image = work / "data/images/phantom_000000.png"
    assert run("extract", tmp_path / "cropped", image, tmp_path / "one.h5")[0] == 0
    assert Features.load(tmp_path / "one.h5").vectors.shape == (1, 8)


def test_the_chain_runs_in_colour_on_train_concepts_only(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert run("phantoms", data, "--count", 24, "--channels", 3)[0] == 0
    pixels = cv2.imread(str(data / "images/phantom_000001.png"), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    assert pixels.shape == (64, 64, 3)
    (data / "valid-concepts.tsv").unlink()
    (tmp_path / "compare.yaml").write_text(
        "encoders:\n"
        "  raw: {model: raw}\n"
        "  aae:\n"
        "    model: aae\n"
        "    arguments: {width: 4, latent_dim: 8}\n"
        "    training: {steps: 2, batch_size: 4}\n"
        "images: {channels: 3}\n"
    )
    out = tmp_path / "out"
    status, table, err = run("compare", tmp_path / "compare.yaml", data, out)
    assert status == 0, err
    assert "| aae | linear |" in table
    assert "held out" not in table
    rows = json.loads((out / "table.json").read_text())
    assert {(row["encoder"], row["detector"]) for row in rows} == {
        ("none", "constant"),
        *((name, kind) for name in ("raw", "aae") for kind in DETECTORS),
    }
    assert {"encoder", "detector", "f1", "interval", "rule", "threshold", "seed"} <= set(rows[0])
    assert (out / "queries.png").exists()
    assert (out / "aae-reconstructions.png").exists()
    status, _, err = run("compare", tmp_path / "compare.yaml", data, out)
    assert status == 0
    assert "already trained" in err
    draw_models = [ROOT / "benchmarks/model_sheets.py", out, data / "test-concepts.tsv", out]
    done = subprocess.run([sys.executable, *map(str, draw_models)], capture_output=True, text=True)
    last = json.loads(done.stdout.splitlines()[-1])
    assert last == {"benchmark": "model_sheets", "written": ["aae.png"]}
    together = cv2.imread(str(out / "aae.png"))
    assert together is not None
    assert together.shape[1] == 10 * 66 + 2


def test_classify_shows_what_each_rule_reaches_and_takes_the_best_or_the_one_asked_for(
    work: Path, run: Run, tmp_path: Path
) -> None:
    data = work / "data"
    command = ["classify", work / "aae-train.h5", data / "train-concepts.tsv"]
    command += [work / "aae-valid.h5", data / "valid-concepts.tsv"]
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
    assert run("predict", tmp_path / "top", work / "aae-test.h5", run_file)[0] == 0
    k = json.loads((tmp_path / "top/detector.json").read_text())["rule"]["k"]
    assert {len(concepts) for concepts in read_concepts(run_file).concepts} == {k}


def test_a_single_neighbour_is_copied(work: Path, run: Run, tmp_path: Path) -> None:
    data = work / "data"
    command = ["classify", work / "aae-train.h5", data / "train-concepts.tsv"]
    command += [work / "aae-valid.h5", data / "valid-concepts.tsv", tmp_path / "copy"]
    options = ["--method", "knn", "--vote", "union", "--neighbours", 1, "--rule", "threshold"]
    status, _, err = run(*command, *options)
    assert status == 0, err
    assert run("predict", tmp_path / "copy", work / "aae-train.h5", tmp_path / "run")[0] == 0
    named = read_concepts(tmp_path / "run")
    truth = read_concepts(data / "train-concepts.tsv").select(named.ids)
    assert [set(c) for c in named.concepts] == [set(c) for c in truth.concepts]


def test_a_linear_detector_can_learn_from_validation_in_the_end_and_have_few_weights(
    work: Path, run: Run, tmp_path: Path
) -> None:
    data = work / "data"
    command = ["classify", work / "aae-train.h5", data / "train-concepts.tsv"]
    command += [work / "aae-valid.h5", data / "valid-concepts.tsv"]
    options = ["--penalty", "l1", "--refit", "--jobs", 2, "--device", "cpu"]
    status, _, err = run(*command, tmp_path / "sparse", *options)
    assert status == 0, err
    assert run("predict", tmp_path / "sparse", work / "aae-test.h5", tmp_path / "run")[0] == 0
    status, _, err = run(*command, tmp_path / "knn", "--method", "knn", "--refit")
    assert status == 2
    assert "--refit" in err


def test_running_a_stage_again_does_nothing_and_other_settings_are_refused(
    work: Path, run: Run
) -> None:
    data = work / "data"
    same = ["extract", work / "aae", work / "images.h5", work / "aae-test.h5"]
    before = (work / "aae-test.h5").read_bytes()
    status, _, err = run(*same, "--ids", data / "test-concepts.tsv")
    assert status == 0
    assert "already made" in err
    status, _, err = run(*same, "--ids", data / "valid-concepts.tsv")
    assert status == 1
    assert "--overwrite" in err
    assert (work / "aae-test.h5").read_bytes() == before
    detect = ["classify", work / "aae-train.h5", data / "train-concepts.tsv"]
    detect += [work / "aae-valid.h5", data / "valid-concepts.tsv", work / "linear"]
    assert "already made" in run(*detect)[2]
    assert run(*detect, "--concepts", 5)[0] == 1
    train = ["train", work / "aae.yaml", work / "images.h5", work / "aae"]
    train += ["--ids", data / "train-concepts.tsv", *overrides(*SMALL, *SHORT)]
    assert "already trained" in run(*train, "--resume")[2]
    status, _, err = run(*train, *overrides("training.seed=1"))
    assert status == 1
    assert "--overwrite" in err


def test_named_images_are_drawn_in_their_order(work: Path, run: Run, tmp_path: Path) -> None:
    names = [f"phantom_00000{number}" for number in (5, 2, 7)]
    asked = [word for name in names for word in ("--image", name)]
    command = ["draw", work / "aae", work / "images.h5", tmp_path / "sheets", *asked]
    status, out, _ = run(*command)
    assert status == 0
    kinds = ["reconstructions", "samples", "interpolations", "arithmetic"]
    assert out.split() == [str(tmp_path / f"sheets/{kind}.png") for kind in kinds]
    sheet = cv2.imread(str(tmp_path / "sheets/arithmetic.png"), cv2.IMREAD_GRAYSCALE)
    assert sheet is not None
    with h5py.File(work / "images.h5") as file:
        ids = file["ids"].asstr()[:].tolist()
        pixels = [file["pixels"][ids.index(name), 0] for name in names]
    for place, image in enumerate(pixels):  # a, b, c, then a - b + c
        left = 2 + place * 66
        np.testing.assert_array_equal(sheet[2:66, left : left + 64], image)
    assert run(*command)[0] == 1, "the folder is not empty"
    command[3] = tmp_path / "again"
    assert run(*command)[0] == 0
    again = (tmp_path / "again/samples.png").read_bytes()
    assert again == (tmp_path / "sheets/samples.png").read_bytes()


def test_a_model_without_pictures_says_so(work: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "raw.yaml").write_text("model: raw\n")
    assert run("train", tmp_path / "raw.yaml", work / "images.h5", tmp_path / "raw")[0] == 0
    status, _, err = run("draw", tmp_path / "raw", work / "images.h5", tmp_path / "sheets")
    assert status == 1
    assert "the model raw has no pictures to show" in err
    assert not (tmp_path / "sheets").exists()


def test_encoders_of_a_comparison_have_images_and_detectors_of_their_own(
    run: Run, tmp_path: Path
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    assert run("phantoms", data, "--count", 40)[0] == 0
    (tmp_path / "words.yaml").write_text(
        "{model: bovw, arguments: {words: 4}, images: {size: 32, channels: 3}}"
    )
    (tmp_path / "compare.yaml").write_text(
        "encoders: {raw: {model: raw}, words: words.yaml}\n"
        "detectors:\n"
        "  few: {method: linear, concepts: 5, rule: threshold}\n"
        "  near: {method: knn, vote: union, metric: l2}\n"
        "rows: {words: [near]}\n"
        "images: {size: 16}\n"
        "published: {images: 6, f1: {words: {near: 0.25}}}\n"
    )
    command = ["compare", tmp_path / "compare.yaml", data, out, "--jobs", 2]
    command += ["--set", "encoders.words.arguments.words=8"]
    status, table, err = run(*command)
    assert status == 0, err
    rows = json.loads((out / "table.json").read_text())
    names = [(row["encoder"], row["detector"]) for row in rows]
    assert names == [("none", "constant"), ("raw", "few"), ("raw", "near"), ("words", "near")]
    assert [row["concepts"] for row in rows][1] == 5
    assert Features.load(out / "seed-0/raw/test.h5").vectors.shape == (6, 256)
    assert Features.load(out / "seed-0/words/test.h5").vectors.shape == (6, 9)  # and one of none
    assert table.splitlines()[0].endswith("| published F1 on test |")
    assert table.splitlines()[5].endswith("| 0.2500 |")
    assert (out / "table.tex").exists()
    assert (out / "table.csv").exists()
    before = [row["seconds"] for row in rows]
    assert run(*command)[0] == 0
    again = [row["seconds"] for row in json.loads((out / "table.json").read_text())]
    assert again == before, "what was not done again keeps its time"


def test_a_fitted_encoder_comes_with_its_sheets(work: Path) -> None:
    assert (work / "pca/sheets/reconstructions.png").exists()


CONFIGURATIONS = [
    path
    for path in sorted(ROOT.glob("configs/*.yaml"))
    if "model" in yaml.safe_load(path.read_text())
]
configurations = pytest.mark.parametrize("config", CONFIGURATIONS, ids=lambda path: path.stem)
# What others have trained would have to be fetched; `test_pretrained.py` makes one of its own.
trainable = pytest.mark.parametrize(
    "config",
    [path for path in CONFIGURATIONS if path.stem != "pretrained"],
    ids=lambda path: path.stem,
)


def test_every_model_has_a_configuration_of_its_name() -> None:
    assert set(MODELS) <= {path.stem for path in CONFIGURATIONS}


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(ROOT.glob("configs/*.yaml")) if path not in CONFIGURATIONS],
    ids=lambda path: path.stem,
)
def test_every_comparison_is_of_known_settings(path: Path) -> None:
    chosen = read_comparison(path)
    assert all(chosen.form_of(name).size >= 16 for name in chosen.encoders)


@configurations
def test_every_configuration_is_of_known_settings_and_says_where_they_come_from(
    config: Path,
) -> None:
    settings = check_settings(Configuration, read_yaml(config), "")
    check_arguments(settings.model, settings.arguments or {})
    check_settings(TrainingSettings, settings.training, "training")
    check_settings(ImageSettings, settings.images, "images")
    assert config.read_text().startswith("# ")


@pytest.fixture(scope="module")
def two_hundred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As few images as the configurations are meant for."""
    folder = tmp_path_factory.mktemp("few")
    assert main(["phantoms", f"{folder}/data", "--count", "200"]) == 0
    return folder / "data/images"


@pytest.mark.slow
@trainable
def test_every_configuration_trains_on_two_hundred_images_in_its_full_size(
    two_hundred: Path, run: Run, tmp_path: Path, config: Path
) -> None:
    short = overrides("training.steps=2", "training.batch_size=2")
    status, _, err = run("train", config, two_hundred, tmp_path / "encoder", *short)
    assert status == 0, err
    assert (tmp_path / "encoder/encoder.safetensors").exists()


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
    "draw an unknown image": (1, "draw {work}/aae {work}/images.h5 {new} --image nobody"),
    "draw images and ids": (2, "draw {work}/aae {work}/images.h5 {new} --image a --ids {valid}"),
    "draw into a folder with files": (1, "draw {work}/aae {work}/images.h5 {work}/index"),
    "draw with a detector": (1, "draw {work}/linear {work}/images.h5 {new}"),
    "split nothing": (1, "split {work}/none {new}"),
    "phantoms of no size": (2, "phantoms {new} --size 4"),
    "an unknown stage": (2, "learn"),
    "an unknown option": (2, "split {train} {new} --share 3"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_gets_one_line_and_leaves_nothing(
    work: Path, run: Run, tmp_path: Path, case: str
) -> None:
    expected, words = WRONG[case]
    (tmp_path / "text.txt").write_text("not an image\n")
    raw = "encoders: {raw: {model: raw}}\n"
    (tmp_path / "compare.yaml").write_text(raw)
    (tmp_path / "detectors.yaml").write_text(raw + "detectors: [oracle]\n")
    (tmp_path / "rows.yaml").write_text(raw + "rows: {pca: [linear]}\n")
    here = set(tmp_path.iterdir())
    filled = words.format(
        work=work,
        data=work / "data",
        train=work / "data/train-concepts.tsv",
        valid=work / "data/valid-concepts.tsv",
        aae=work / "aae.yaml",
        text=tmp_path / "text.txt",
        compare=tmp_path / "compare.yaml",
        detectors=tmp_path / "detectors.yaml",
        rows=tmp_path / "rows.yaml",
        new=tmp_path / "new",
    )
    status, out, err = run(*filled.split())
    assert status == expected, err
    assert out == ""
    message = [line for line in err.splitlines() if not line.startswith("warning: ")]
    assert len(message) == 1, err
    assert message[0].startswith("replearn")
    assert set(tmp_path.iterdir()) == here


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_explains_itself_with_an_example(run: Run, stage: str) -> None:
    status, out, _ = run(stage, "--help")
    assert status == 0
    (example,) = [line for line in out.splitlines() if "Example: " in line]
    # On one line, so that it can be copied.
    assert f"Example: replearn {stage} " in example
    assert out.count("\n\n", out.index(example), out.index(example) + len(example) + 2) == 1


def test_evaluating_imports_nothing_heavy(work: Path) -> None:
    code = (
        "import sys; from pipelines.__main__ import main; main(['evaluate', '--help']); "
        "heavy = {'torch', 'sklearn', 'faiss', 'cv2', 'h5py', 'matplotlib'} & set(sys.modules); "
        "sys.exit(bool(heavy))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_a_damaged_artefact_is_named(work: Path, run: Run, tmp_path: Path) -> None:
    features = tmp_path / "features.h5"
    features.write_bytes((work / "aae-test.h5").read_bytes()[:2000])
    shutil.copytree(work / "linear", tmp_path / "linear")
    (tmp_path / "linear/detector.safetensors").write_bytes(b"\0" * 100)
    shutil.copytree(work / "index", tmp_path / "index")
    (tmp_path / "index/index.faiss").write_bytes(b"\0" * 100)
    image = work / "data/images/phantom_000000.png"
    for words, name in (
        (("predict", work / "linear", features, tmp_path / "run"), "features.h5"),
        (("predict", tmp_path / "linear", work / "aae-test.h5", tmp_path / "run"), "safetensors"),
        (("query", tmp_path / "index", image, "--encoder", work / "aae"), "index.faiss"),
    ):
        status, _, err = run(*words)
        assert status == 1
        assert name in err
        assert len(err.splitlines()) == 1


def test_colour_and_grey_are_not_confused(work: Path, run: Run, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "red.png"), np.full((40, 30, 3), (0, 0, 255), np.uint8))
    status, out, _ = run("query", work / "index", tmp_path / "red.png", "--json")
    assert status == 0
    assert len(json.loads(out)[0]["hits"]) == 10


def test_overwriting_never_touches_a_folder_with_other_files(
    work: Path, run: Run, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    shutil.copytree(work / "data", own)
    before = sorted(own.rglob("*"))
    encoder = ("train", work / "pca.yaml", own / "images", own, "--overwrite")
    features = ("extract", work / "pca", work / "images.h5", own, "--overwrite")
    index = ("index", work / "aae-train.h5", own / "images", "--overwrite")
    for words in (encoder, features, index):
        status, _, err = run(*words)
        assert status == 1
        assert "choose another place" in err
        assert sorted(own.rglob("*")) == before


def test_an_encoder_stays_until_the_one_that_replaces_it_is_finished(
    work: Path, run: Run, tmp_path: Path
) -> None:
    shutil.copytree(work / "aae", tmp_path / "aae")
    train = ["train", work / "aae.yaml", work / "images.h5", tmp_path / "aae", "--overwrite"]
    train += overrides(*SMALL, *SHORT)
    assert run(*train, *overrides("training.learning_rate=1e30"))[0] == 1
    kept = tmp_path / "aae.replaced"
    assert (kept / "encoder.json").read_bytes() == (work / "aae/encoder.json").read_bytes()
    assert run(*train, *overrides("training.seed=5"))[0] == 0
    assert not kept.exists()


def test_a_list_of_other_images_is_not_answered_with_the_constant(
    work: Path, run: Run, tmp_path: Path
) -> None:
    other = work / "data/valid-concepts.tsv"
    words = ["predict", work / "linear", work / "aae-test.h5", tmp_path / "run", "--ids", other]
    status, _, err = run(*words)
    assert status == 1
    assert "none of the" in err
    assert not (tmp_path / "run").exists()


def test_what_nobody_foresaw_is_one_line_too(
    work: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    shutil.copytree(work / "aae", tmp_path / "aae")
    facts = json.loads((tmp_path / "aae/encoder.json").read_text())
    (tmp_path / "aae/encoder.json").write_text(json.dumps(facts | {"size": "x"}))
    status, _, err = run("extract", tmp_path / "aae", work / "images.h5", tmp_path / "new.h5")
    assert status == 1
    assert len(err.splitlines()) == 1
