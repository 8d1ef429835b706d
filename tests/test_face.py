"""The public face: what it offers, what it costs, and that every example in it runs."""

import doctest
import inspect
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import replearn
from pipelines.__main__ import main
from replearn.artefacts.files import write_bytes
from replearn.encoders.configuration import Configuration
from replearn.errors import DataError, UsageError
from replearn.neighbors.index_folder import create_index
from replearn.phantoms.data_folder import write_data_folder

NAMES = {
    *("ImageSet", "Selection", "open_images", "prepare"),
    *("ConceptTable", "read_concepts", "Features"),
    *("MODELS", "list_models", "Encoder", "train", "load_encoder", "extract"),
    *("MultiLabelLogisticRegression", "MultiLabelStratifiedGroupKFold"),
    *("Detector", "DetectorSettings", "ConceptScores", "EnsembleSettings", "fit_ensemble"),
    "join_scores",
    *("Scoring", "Resources", "fit_detector", "load_detector"),
    *("fit_zero_shot", "prompt_vectors"),
    *("ThresholdRule", "ConceptThresholdsRule", "TopKRule", "ExpectedF1Rule", "BestRule"),
    *("Index", "build_index", "load_index", "ImageSearch"),
    *("imageclef", "metrics"),
}
HEAVY = {"torch", "sklearn", "scipy", "numpy", "h5py", "faiss", "cv2", "pydantic", "yaml", "tqdm"}
# Scores and tables, which have nothing to see.
WITHOUT_TORCH = NAMES - {"MODELS", "list_models", "Encoder", "train", "load_encoder", "extract"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the examples, in which each of their artefacts has been made once."""
    folder = tmp_path_factory.mktemp("home")
    with chdir(folder):
        write_data_folder(Path("mydata"), count=48)
        write_bytes(Path("new.png"), next(Path("mydata/images").iterdir()).read_bytes())
        replearn.prepare("mydata/images", "runs/images.h5", size=32)
        images = replearn.open_images("mydata/images")
        encoder = replearn.train("aae", images, "runs/aae", training={"steps": 2})
        features = replearn.extract(encoder, images, "runs/features.h5")
        concepts = replearn.read_concepts("mydata/train-concepts.tsv")
        create_index(Path("runs/index"), features, concepts)
        chosen_on = replearn.read_concepts("mydata/valid-concepts.tsv")
        replearn.fit_detector((features, concepts), (features, chosen_on)).save("runs/detector")
    return folder


@pytest.fixture
def known(home: Path) -> Iterator[dict[str, Any]]:
    """Yield what the examples may use without a word, in their folder."""
    with chdir(home):
        features = replearn.Features.load("runs/features.h5")
        concepts = replearn.read_concepts("mydata/train-concepts.tsv")
        yield {
            "np": np,
            "replearn": replearn,
            "images": replearn.open_images("mydata/images"),
            "encoder": replearn.load_encoder("runs/aae"),
            "features": features,
            "concepts": concepts,
            "chosen_on": replearn.read_concepts("mydata/valid-concepts.tsv"),
            "detector": replearn.load_detector("runs/detector"),
            "index": replearn.build_index(features, concepts=concepts),
        }


def modules_after(code: str) -> set[str]:
    """Return which heavy packages a new interpreter has imported after this code."""
    ask = f"{code}\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    return HEAVY & set(done.stdout.split())


def test_the_face_offers_these_names_and_no_other() -> None:
    assert set(replearn.__all__) == NAMES
    assert list(replearn.__all__) == sorted(replearn.__all__, key=lambda n: (not n.isupper(), n))
    assert set(dir(replearn)) == NAMES
    assert set(dir(replearn.imageclef)) == set(replearn.imageclef.__all__)


def test_a_name_that_is_not_offered_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'classify'"):
        _ = replearn.classify


def test_importing_it_imports_nothing_else() -> None:
    assert modules_after("import replearn") == set()


def test_names_that_see_no_image_do_not_wait_for_torch() -> None:
    use = "\n".join(f"replearn.{name}" for name in sorted(WITHOUT_TORCH))
    assert "torch" not in modules_after(f"import replearn\n{use}")


def examples(name: str, known: dict[str, Any]) -> list[doctest.DocTest]:
    thing = getattr(replearn, name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    module = thing if isinstance(thing, ModuleType) else False
    found = finder.find(thing, name, module=module, globs=known)
    return [test for test in found if test.examples]


@pytest.mark.parametrize("name", sorted(NAMES - {"MODELS"}))  # list_models has its example
def test_every_name_has_an_example_that_runs_and_prints_nothing_else(
    name: str, known: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    found = examples(name, known)
    assert found
    capfd.readouterr()
    for test in found:
        said: list[str] = []
        doctest.DocTestRunner(verbose=False).run(test, out=said.append)
        assert not said, "".join(said)
    assert capfd.readouterr() == ("", "")


def test_every_function_but_the_list_of_models_says_what_it_raises() -> None:
    functions = [name for name in NAMES if inspect.isfunction(getattr(replearn, name))]
    silent = [
        n for n in functions if "Raises:\n" not in (inspect.getdoc(getattr(replearn, n)) or "")
    ]
    assert silent == ["list_models"]


def test_train_takes_names_files_and_configurations_with_settings_on_top(
    known: dict[str, Any], tmp_path: Path
) -> None:
    images = known["images"]
    (tmp_path / "mine.yaml").write_text("model: pca\narguments: {latent_dim: 4}\n")
    by_path = replearn.train(tmp_path / "mine.yaml", images, tmp_path / "path")
    by_text = replearn.train(f"{tmp_path}/mine.yaml", images, f"{tmp_path}/text")
    config = Configuration(model="pca", arguments={"latent_dim": 8})
    single: dict[str, Any] = {"arguments.latent_dim": 4, "training.seed": 0}
    by_config = replearn.train(config, images, tmp_path / "config", **single)
    by_name = replearn.train("pca", images, tmp_path / "name", arguments={"latent_dim": 4})
    made = [by_path, by_text, by_config, by_name]
    assert len({encoder.description.identity for encoder in made}) == 1
    assert config.arguments == {"latent_dim": 8}


def test_train_does_as_the_command_does(known: dict[str, Any], tmp_path: Path) -> None:
    words = ["train", "aae", "runs/images.h5", f"{tmp_path}/there", "--set", "training.steps=2"]
    assert main(words) == 0
    images = replearn.ImageSet.load("runs/images.h5")
    here = replearn.train("aae", images, tmp_path / "here", training={"steps": 2})
    there = replearn.load_encoder(tmp_path / "there")
    assert here.description == there.description
    assert here.folder == tmp_path / "here"


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("aea", {}, "aea: no such file, and no settings of this name; known: aae"),
        ("aae", {"steps": 2}, "steps: no such setting; known: model, arguments, training, images"),
        ("aae", {"training": {"step": 2}}, "training.step: no such setting; known: steps"),
        ("aae", {"arguments.layer.x": 2}, "arguments.layer.x: layer holds a value, not settings"),
        ("aae", {"images.sise": 32}, "images.sise: no such setting; known: size"),
        (
            "aae",
            {"images.size": 32},
            "mydata/images: size 64, channels 1, fit stretch, where the configuration asks for "
            "size 32, channels 1, fit stretch",
        ),
        ("demo", {}, "model: missing"),  # settings of a comparison
    ],
)
def test_what_train_does_not_know_is_refused_in_one_line(
    known: dict[str, Any], tmp_path: Path, name: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises((DataError, UsageError)) as caught:
        replearn.train(name, known["images"], tmp_path / "new", **settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()
