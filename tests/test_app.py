"""The search page in a real browser; skipped where gradio, playwright or Chromium is missing."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipelines.__main__ import main

pytest.importorskip("gradio", reason="gradio is missing: make setup EXTRAS=cpu,app")
playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is missing: pip install playwright"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing: apt install chromium"),
]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index of phantoms, its encoder, features and a detector."""
    folder = tmp_path_factory.mktemp("app")
    data = folder / "data"
    (folder / "aae.yaml").write_text(
        "model: aae\narguments: {width: 4, latent_dim: 8, critic_width: 16}\n"
        "training: {steps: 3, batch_size: 8}\nimages: {size: 32}\n"
    )
    truth = f"{data}/train-concepts.tsv"
    features = f"{folder}/train.h5"
    for words in (
        ["phantoms", f"{data}", "--count", "60"],
        ["prepare", f"{data}/images", f"{folder}/images.h5", "--size", "32"],
        ["train", f"{folder}/aae.yaml", f"{folder}/images.h5", f"{folder}/aae"],
        ["extract", f"{folder}/aae", f"{folder}/images.h5", features, "--ids", truth],
        ["classify", features, truth, features, truth, f"{folder}/linear"],
        ["index", features, f"{folder}/index", "--concepts", truth],
    ):
        assert main(words) == 0, words
    return folder


@pytest.fixture(scope="module")
def address(work: Path) -> Iterator[str]:
    """A page that is served, and leaves nothing behind when it is stopped."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["serve", f"{work}/index", "--detector", f"{work}/linear", "--port", f"{port}"]
    words += ["--features", f"{work}/train.h5", "--names", f"{work}/data/concept-names.tsv"]
    words += ["--max-megabytes", "1"]
    temporary = work / "temporary"
    temporary.mkdir()
    environment = os.environ | {"TMPDIR": f"{temporary}"}
    server = subprocess.Popen([sys.executable, "-m", "pipelines", *words], env=environment)
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait(20)
    assert not list(temporary.glob("replearn-*"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(params=[(1280, "light"), (390, "dark")], ids=["desktop", "phone"])
def page(request: pytest.FixtureRequest, browser: Any, address: str) -> Iterator[Any]:
    """The page at desktop and at phone width; it asks no other machine for anything."""
    width, scheme = request.param
    opened = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    elsewhere: list[str] = []
    own = (address, address.replace("http", "ws", 1), "data:", "blob:")
    opened.on("request", lambda r: None if r.url.startswith(own) else elsewhere.append(r.url))
    opened.goto(address)
    opened.wait_for_selector("#upload input[type=file]", state="attached", timeout=60000)
    yield opened
    assert elsewhere == []
    assert opened.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    opened.close()


def ask(page: Any, path: Path, until: str = "nearest to") -> str:
    if page.locator("#upload button[aria-label='Clear']").count():
        page.locator("#upload button[aria-label='Clear']").click()
    page.set_input_files("#upload input[type=file]", str(path))
    page.locator("#said", has_text=until).wait_for(timeout=60000)
    return str(page.locator("#said").inner_text())


def ids_on(page: Any, place: str = "#hits") -> list[str]:
    return list(page.locator(f"{place} b").all_inner_texts())


def test_an_upload_finds_what_the_command_finds_and_hits_lead_on(
    page: Any, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = work / "data/images/phantom_000055.png"
    assert main(["query", f"{work}/index", f"{path}", "-k", "12", "--json"]) == 0
    expected = [hit["id"] for hit in json.loads(capsys.readouterr().out)[0]["hits"]]
    ask(page, path)
    assert ids_on(page) == expected
    assert page.locator("#detected tr").count() > 0
    page.locator("#hits button").nth(1).focus()
    page.keyboard.press("Enter")
    page.locator("#said", has_text=expected[1]).wait_for()
    assert expected[1] not in ids_on(page)


def test_a_concept_shows_its_images_and_they_lead_to_a_search(page: Any) -> None:
    page.get_by_role("tab", name="Concepts").click()
    page.locator("#concept input").click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator("#of-concept button").first.wait_for()
    chosen = ids_on(page, "#of-concept")[0]
    page.locator("#of-concept button").first.click()
    page.locator("#said", has_text=chosen).wait_for()


def test_the_way_between_images_follows_a_search(page: Any) -> None:
    page.locator("#examples button").first.click()
    page.locator("#said", has_text="nearest to").wait_for()
    page.get_by_role("tab", name="Between images").click()
    page.locator("#way", has_text="decoded").wait_for()
    assert page.locator("#way img").count() == 5


def test_a_bad_file_and_a_large_one_are_refused_in_words(page: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image at all")
    assert "bad.png cannot be read" in ask(page, tmp_path / "bad.png", "cannot be read")
    noise = np.random.default_rng(0).integers(0, 255, (900, 900, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "large.png"), noise)
    page.reload()
    page.wait_for_selector("#upload input[type=file]", state="attached")
    page.set_input_files("#upload input[type=file]", str(tmp_path / "large.png"))
    page.get_by_text("maximum", exact=False).first.wait_for()
    assert "nearest" not in page.locator("#said").inner_text()


def test_users_do_not_see_what_others_asked(browser: Any, address: str, work: Path) -> None:
    first, second = (browser.new_page() for _ in range(2))
    for opened, number in ((first, 55), (second, 56)):
        opened.goto(address)
        opened.wait_for_selector("#upload input[type=file]", state="attached")
        ask(opened, work / f"data/images/phantom_{number:06d}.png")
    # The same bytes from both: one must not take the file away from the other.
    for opened in (first, second):
        ask(opened, work / "data/images/phantom_000057.png", "phantom_000057")
    ask(first, work / "data/images/phantom_000055.png", "phantom_000055")
    assert "phantom_000057" in second.locator("#said").inner_text()
    assert "phantom_000055" in first.locator("#said").inner_text()
    first.get_by_role("tab", name="Between images").click()
    first.locator("#way", has_text="phantom_000055").wait_for()
    for opened in (first, second):
        opened.close()


def test_nothing_is_against_the_rules_of_accessibility(page: Any, work: Path) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python"
    )
    ask(page, work / "data/images/phantom_000055.png")
    for tab in ("Search", "Concepts", "Between images"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(500)
        found = axe.Axe().run(page).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
