"""Tests work on tiny arrays, for which a second thread is all waiting."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# Before torch is imported, here and in the commands that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes says more about what else the machine does than about the code.
# The same examples each time: what passed once lands; `make test-all` looks for new ones.
settings.register_profile("same examples", deadline=None, derandomize=True)
settings.register_profile("new examples", deadline=None)
settings.load_profile("same examples")


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
    from pipelines.__main__ import main  # after what is set above

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
