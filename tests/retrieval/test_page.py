"""The search page in a real browser; skipped where gradio, playwright or Chromium is missing."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from PIL import Image

from pipelines.__main__ import main
from replearn.detection.detector import load_detector
from replearn.retrieval.explorer import Explorer
from replearn.retrieval.image_search import ImageSearch

pytest.importorskip("gradio", reason="gradio is missing: make setup EXTRAS=cpu,app")
pytestmark = pytest.mark.slow


@contextmanager
def served(indexed: Path, temporary: Path, *words: str) -> Iterator[str]:
    """Serve a page that leaves nothing behind when it is stopped; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "pipelines", "serve", f"{indexed}/index", "--port", f"{port}"]
    environment = os.environ | {"TMPDIR": f"{temporary}", "REPLEARN_PASSWORD": ""}
    server = subprocess.Popen([*command, *words], env=environment)
    address, end = f"http://127.0.0.1:{port}", time.monotonic() + 120
    try:
        while not is_up(address):
            assert server.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait(60)
    assert not list(temporary.glob("replearn-*"))


def is_up(address: str) -> bool:
    try:
        return bool(httpx.get(address).is_success)
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def address(indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    words = ["--detector", f"{indexed}/linear", "--features", f"{indexed}/train.h5"]
    words += ["--names", f"{indexed}/data/concept-names.tsv", "--max-megabytes", "1"]
    with served(indexed, tmp_path_factory.mktemp("temporary"), *words) as found:
        yield found


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
    page.locator("#message", has_text=until).wait_for(timeout=60000)
    return str(page.locator("#message").inner_text())


def ids_on(page: Any, place: str = "#hits") -> list[str]:
    return list(page.locator(f"{place} b").all_inner_texts())


def test_an_upload_finds_what_the_command_finds_and_hits_lead_on(
    page: Any, indexed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = indexed / "data/images/phantom_000055.png"
    assert main(["query", f"{indexed}/index", f"{path}", "-k", "12", "--json"]) == 0
    expected = [hit["id"] for hit in json.loads(capsys.readouterr().out)[0]["hits"]]
    ask(page, path)
    assert ids_on(page) == expected
    assert page.locator("#detected tr").count() > 0
    page.locator("#hits button").nth(1).focus()
    page.keyboard.press("Enter")
    page.locator("#message", has_text=expected[1]).wait_for()
    assert expected[1] not in ids_on(page)


def test_a_concept_shows_its_images_and_they_lead_to_a_search(page: Any) -> None:
    page.get_by_role("tab", name="Concepts").click()
    page.locator("#concept input").click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator("#of-concept button").first.wait_for()
    chosen = ids_on(page, "#of-concept")[0]
    page.locator("#of-concept button").first.click()
    page.locator("#message", has_text=chosen).wait_for()


def test_the_way_between_images_follows_a_search(page: Any) -> None:
    page.locator("#examples button").first.click()
    page.locator("#message", has_text="nearest to").wait_for()
    page.get_by_role("tab", name="Between images").click()
    page.locator("#interpolation", has_text="decoded").wait_for()
    assert page.locator("#interpolation img").count() == 5


def test_a_bad_file_and_a_large_one_are_refused_in_words(page: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image at all")
    assert "bad.png cannot be read" in ask(page, tmp_path / "bad.png", "cannot be read")
    Image.new("1", (20_000, 6_000)).save(tmp_path / "wide.png")  # a few kB of file
    assert "more than 100,000,000 pixels" in ask(page, tmp_path / "wide.png", "wide.png")
    noise = np.random.default_rng(0).integers(0, 255, (900, 900, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "large.png"), noise)
    page.reload()
    page.wait_for_selector("#upload input[type=file]", state="attached")
    page.set_input_files("#upload input[type=file]", str(tmp_path / "large.png"))
    page.get_by_text("maximum", exact=False).first.wait_for()
    assert "nearest" not in page.locator("#message").inner_text()


def test_users_do_not_see_what_others_asked(browser: Any, address: str, indexed: Path) -> None:
    first, second = (browser.new_page() for _ in range(2))
    for opened, number in ((first, 55), (second, 56)):
        opened.goto(address)
        opened.wait_for_selector("#upload input[type=file]", state="attached")
        ask(opened, indexed / f"data/images/phantom_{number:06d}.png")
    # The same bytes from both: one must not take the file away from the other.
    for opened in (first, second):
        ask(opened, indexed / "data/images/phantom_000057.png", "phantom_000057")
    ask(first, indexed / "data/images/phantom_000055.png", "phantom_000055")
    assert "phantom_000057" in second.locator("#message").inner_text()
    assert "phantom_000055" in first.locator("#message").inner_text()
    first.get_by_role("tab", name="Between images").click()
    first.locator("#interpolation", has_text="phantom_000055").wait_for()
    for opened in (first, second):
        opened.close()


def test_without_the_password_nothing_is_told(indexed: Path, tmp_path: Path) -> None:
    words = ["--user", "ann", "--password", "secret"]
    with (
        served(indexed, tmp_path, *words) as address,
        httpx.Client(base_url=address, follow_redirects=True, timeout=60) as visitor,
    ):
        assert visitor.get("/config").status_code == 401
        wrong = visitor.post("/login", data={"username": "ann", "password": "wrong"})
        assert wrong.status_code == 400
        assert visitor.get("/config").status_code == 401
        visitor.post("/login", data={"username": "ann", "password": "secret"})
        assert visitor.get("/config").is_success


def test_handlers_return_what_the_explorer_finds(indexed: Path, tmp_path: Path) -> None:
    from replearn.retrieval.page import Handlers

    explorer = Explorer(ImageSearch.open(indexed / "index"), load_detector(indexed / "linear"))
    handlers, id_ = Handlers(explorer), explorer.ids[5]
    path = indexed / f"data/images/{id_}.png"
    query, message, image, concepts, cards, _ = handlers.search_file(f"{path}", 3, "cosine")
    assert (query.id, query.indexed) == (id_, False)
    assert f"The 3 images nearest to <b>{path.name}</b>" in message
    assert "data:image/png" in image
    assert "<table" in concepts
    found = [hit.id for hit in explorer.nearest(query, 3, "cosine")]
    assert found[0] == id_
    assert all(f'data-id="{hit}"' in cards for hit in found)
    concept = explorer.search.concepts_of(id_)[0]
    assert "Images that show it" in handlers.show_concept(concept)
    assert handlers.interpolate(query, explorer.ids[6], 50).count("<img") == 5
    assert "uploaded too long ago" in handlers.search_file(f"{tmp_path}/gone.png", 3, "cosine")[1]


@pytest.mark.parametrize("path", ["http://example.com/image.png", "/etc/passwd"])
def test_what_was_not_uploaded_is_neither_fetched_nor_read(path: str, address: str) -> None:
    with httpx.Client(base_url=address, timeout=60) as visitor:
        handlers = visitor.get("/config").json()["dependencies"]
        number = next(one["id"] for one in handlers if one["api_name"] == "search_file")
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        body = {"fn_index": number, "session_hash": "visitor", "data": [file, 3, "cosine"]}
        assert visitor.post("/gradio_api/queue/join", json=body).is_success
        told = visitor.get("/gradio_api/queue/data", params={"session_hash": "visitor"}).text
    assert '"success":false' in told
    assert ("is not fetched" in told) == path.startswith("http")


def test_nothing_is_against_the_rules_of_accessibility(
    page: Any, indexed: Path, violations: Callable[[Any], list[tuple[str, str]]]
) -> None:
    ask(page, indexed / "data/images/phantom_000055.png")
    for tab in ("Search", "Concepts", "Between images"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(500)
        assert violations(page) == []
