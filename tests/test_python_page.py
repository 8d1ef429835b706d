"""The page about Python and the README: their code runs, on a folder laid out as they say."""

import re
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

import replearn
from replearn.phantoms.data_folder import write_data_folder

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/python.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
LONG, SHORT = '"steps": 2000', '"steps": 2'  # what takes minutes, and what a test waits for


def run_code(text: str, folder: Path) -> dict[str, Any]:
    """Run the Python of a page in order, in a folder with phantoms; return what it defines."""
    write_data_folder(folder / "mydata", count=48)
    image = next((folder / "mydata/images").iterdir())
    (folder / "new.png").write_bytes(image.read_bytes())
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert sum(block.count(LONG) for block in blocks) >= 1
    known: dict[str, Any] = {}
    with chdir(folder):
        for block in blocks:
            exec(compile(block.replace(LONG, SHORT), "page", "exec"), known)
    return known


def test_the_code_of_the_page_runs_in_order(tmp_path: Path) -> None:
    known = run_code(PAGE, tmp_path)
    with chdir(tmp_path):
        assert len(known["search"].query("new.png", k=5)) == 5
    assert {n.id for n in known["search"].query(tmp_path / "new.png", k=5)} <= set(
        known["features"].ids
    )
    assert known["neighbour"].id in known["concepts"].ids  # the script's search knows no test image
    assert known["named"].shape == (len(known["valid"]), known["Y"].shape[1])


def test_the_code_of_the_readme_runs(tmp_path: Path) -> None:
    known = run_code(README, tmp_path)
    found = replearn.ImageSearch(known["index"], known["encoder"]).query(tmp_path / "new.png", k=3)
    assert found[0].distance < 1e-4  # the image itself
    assert len(known["detector"].concepts(known["features"])) == len(known["features"])


@pytest.mark.parametrize("name", [n for n in replearn.__all__ if n.endswith("Rule")])
def test_every_rule_is_in_the_table(name: str) -> None:
    assert f"| `{name}` |" in PAGE
