"""Reports in a real browser; skipped where playwright or Chromium is missing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replearn.encoders.encoder import Description
from replearn.features import Features
from replearn.report import encoder
from replearn.report.embeddings import EmbeddedImages
from replearn.report.encoder import Sheet
from replearn.report.page import to_html

pytestmark = pytest.mark.slow


def written(path: Path) -> Path:
    """Write the report of an encoder with all of its panels."""
    generator = np.random.default_rng(0)
    ids = [f"image-{number}-of-a-long-name" for number in range(40)]
    pixels = generator.integers(0, 255, (40, 1, 16, 16), dtype=np.uint8)
    pictures = dict(zip(ids, pixels, strict=True))
    shown = EmbeddedImages(
        Features(ids, generator.normal(size=(40, 8)).astype(np.float32), "features:1"),
        "test.h5",
        {id_: ("Plain x-ray", "Chest")[: 1 + n % 2] for n, id_ in enumerate(ids)},
        lambda wanted: {id_: pictures[id_] for id_ in wanted},
    )
    lines = [
        {"step": step, "critic/real": 1 / step, "critic/order": 0.8, "critic/gradient": 1.0}
        | {"codes/mean": 0.1, "codes/deviation": 1.0}
        for step in (1, 2)
    ]
    kinds = ("reconstructions", "samples", "interpolations", "arithmetic")
    sheets = {kind: Sheet(np.zeros((134, 662, 3), np.uint8), 2) for kind in kinds}
    description = Description("aae", {}, 64, 1, "stretch", None, "aae:1", {})
    path.write_text(
        to_html(encoder.build_page(description, lines, sheets, shown)), encoding="utf-8"
    )
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_report_fits_is_accessible_and_asks_for_nothing(
    width: int,
    scheme: str,
    tmp_path: Path,
    browser: Any,
    violations: Callable[[Any], list[tuple[str, str]]],
) -> None:
    path = written(tmp_path / "report.html")
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url))
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert violations(page) == []
    assert {url for url in asked if not url.startswith("data:")} == {path.as_uri()}
    page.close()
