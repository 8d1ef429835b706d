"""The page about Python: its code runs from top to bottom, on a folder laid out as it says."""

import re
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

import replearn
from replearn.phantoms.data_folder import write_data_folder

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/python.md").read_text(encoding="utf-8")
LONG, SHORT = '"steps": 2000', '"steps": 2'  # what takes minutes, and what a test waits for


def code_blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_code_of_the_page_runs_in_order(tmp_path: Path) -> None:
    write_data_folder(tmp_path / "mydata", count=48)
    image = next((tmp_path / "mydata/images").iterdir())
    (tmp_path / "new.png").write_bytes(image.read_bytes())
    known: dict[str, Any] = {}
    assert sum(block.count(LONG) for block in code_blocks()) == 1
    with chdir(tmp_path):
        for block in code_blocks():
            exec(compile(block.replace(LONG, SHORT), "docs/python.md", "exec"), known)
        assert len(known["search"].query("new.png", k=5)) == 5
        assert known["named"].shape == (len(known["valid"]), known["Y"].shape[1])


@pytest.mark.parametrize("name", [n for n in replearn.__all__ if n.endswith("Rule")])
def test_every_rule_is_in_the_table(name: str) -> None:
    assert f"| `{name}` |" in PAGE
