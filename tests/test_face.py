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
from replearn.artefacts.files import write_bytes
from replearn.neighbors.folder import create_index
from replearn.phantoms.data_folder import write_data_folder

NAMES = {
    *("ImageSet", "open_images", "prepare"),
    *("ConceptTable", "read_concepts", "Features"),
    *("MODELS", "list_models", "Encoder", "train", "load_encoder", "extract"),
    *("MultiLabelLogisticRegression", "Detector", "DetectorSettings"),
    *("fit_detector", "load_detector"),
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
    assert set(dir(replearn)) == NAMES | {"__version__"}


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
def test_every_name_has_an_example_and_the_example_runs(name: str, known: dict[str, Any]) -> None:
    found = examples(name, known)
    assert found
    for test in found:
        said: list[str] = []
        doctest.DocTestRunner(verbose=False).run(test, out=said.append)
        assert not said, "".join(said)


@pytest.mark.parametrize("name", sorted(NAMES - {"list_models"}))
def test_every_function_says_what_it_raises(name: str) -> None:
    thing = getattr(replearn, name)
    if inspect.isfunction(thing):
        assert "Raises:\n" in (inspect.getdoc(thing) or "")
