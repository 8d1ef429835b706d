"""Tests work on tiny arrays, for which a second thread is all waiting."""

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from pipelines.__main__ import main  # which imports no torch before a stage begins

# Before torch is imported, here and in the commands that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes says more about what else the machine does than about the code.
# The same examples each time: what passed once lands; `make test-all` looks for new ones.
settings.register_profile("same examples", deadline=None, derandomize=True)
settings.register_profile("new examples", deadline=None)
settings.load_profile("same examples")


_AAE = """
model: aae
arguments: {width: 4, latent_dim: 8, critic_width: 16}
training: {steps: 4, batch_size: 8, sheet_every: 2}
"""
_PARTS = "aae-train.h5 data/train-concepts.tsv aae-valid.h5 data/valid-concepts.tsv"
_CHAIN = [
    "phantoms data --count 48",
    "prepare data/images images.h5",
    "train aae.yaml images.h5 aae --ids data/train-concepts.tsv",
    "train pca.yaml images.h5 pca",
    *(
        f"extract {encoder} images.h5 {encoder}-{part}.h5 --ids data/{part}-concepts.tsv"
        for encoder in ("aae", "pca")
        for part in ("train", "valid", "test")
    ),
    f"classify {_PARTS} linear",
    f"classify {_PARTS} knn --method knn",
    f"classify {_PARTS} union --method knn --vote union --metric l2",
    f"classify {_PARTS} fused --method fused",
    f"classify {_PARTS} constant --method constant",
    "index aae-train.h5 index --concepts data/train-concepts.tsv",
]


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the chain has run once, on 48 phantoms; no test changes it."""
    folder = tmp_path_factory.mktemp("chain")
    (folder / "aae.yaml").write_text(_AAE)
    (folder / "pca.yaml").write_text("model: pca\narguments: {latent_dim: 8}\n")
    with chdir(folder):
        for step in _CHAIN:
            assert main(step.split()) == 0, step
    return folder


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a stage and return its exit status, stdout and stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        capfd.readouterr()
        status = main([str(word) for word in words])
        out, err = capfd.readouterr()
        return status, out, err

    return run


@pytest.fixture
def lines(tmp_path: Path) -> Callable[..., Path]:
    """Write lines into a file of this name and return its path."""

    def write(name: str, *content: str) -> Path:
        path = tmp_path / name
        path.write_bytes("".join(f"{line}\n" for line in content).encode())
        return path

    return write


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with phantoms, their encoder `aae`, features, a detector and two indexes."""
    folder = tmp_path_factory.mktemp("indexed")
    data = folder / "data"
    (folder / "aae.yaml").write_text(
        "model: aae\narguments: {width: 4, latent_dim: 8, critic_width: 16}\n"
        "training: {steps: 3, batch_size: 8}\nimages: {size: 32}\n"
    )
    train, valid = (
        [f"{folder}/{part}.h5", f"{data}/{part}-concepts.tsv"] for part in ("train", "valid")
    )
    for words in (
        ["phantoms", f"{data}", "--count", "60"],
        ["prepare", f"{data}/images", f"{folder}/images.h5", "--size", "32"],
        ["train", f"{folder}/aae.yaml", f"{folder}/images.h5", f"{folder}/aae"],
        *(
            ["extract", f"{folder}/aae", f"{folder}/images.h5", features, "--ids", truth]
            for features, truth in (train, valid)
        ),
        ["classify", *train, *valid, f"{folder}/linear"],
        ["index", train[0], f"{folder}/index", "--concepts", train[1]],
        ["index", train[0], f"{folder}/plain", "--metric", "l2"],
    ):
        assert main(words) == 0, words
    return folder


@pytest.fixture(scope="session")
def networks() -> dict[str, Any]:
    """The libraries of pretrained networks, by name; skips where one is missing.

    The wheels of torchvision hold operators for one build of torch.  With another, it cannot be
    imported until the operators have names; the tests need none of them.
    """
    needed = ("transformers", "timm", "open_clip")
    for name in needed:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is missing: make setup EXTRAS=cpu,pretrained")
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        _name_operators()
    return {name: importlib.import_module(name) for name in needed}


def _name_operators() -> None:
    torch = importlib.import_module("torch")
    _KEPT.append(torch.library.Library("torchvision", "DEF"))
    for name in ("nms", "qnms"):
        _KEPT[0].define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    importlib.import_module("torchvision")


_KEPT: list[Any] = []  # the names go with the library that defines them
_REMEDY = "is missing: make setup EXTRAS=cpu,app,browser"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, such as Debian's; skips where it is missing."""
    name = "playwright.sync_api"
    playwright = pytest.importorskip(name, reason=f"playwright {_REMEDY}")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("Chromium is missing: apt install chromium")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def violations() -> Callable[[Any], list[tuple[str, str]]]:
    """Return which rules of accessibility a page breaks, each with an element, as axe sees it."""
    name = "axe_playwright_python.sync_playwright"
    axe = pytest.importorskip(name, reason=f"axe {_REMEDY}").Axe()  # it brings its own script

    def found_on(page: Any) -> list[tuple[str, str]]:
        found = axe.run(page).response["violations"]
        return [(one["id"], one["nodes"][0]["html"]) for one in found]

    return found_on
