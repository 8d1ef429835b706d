"""The walk through a new model in CONTRIBUTING.md, done word for word in a copy of the code."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def code_blocks() -> list[str]:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the code to which the model was added: one file, one line, its import."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("replearn", "pipelines"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "tests/encoders/models").mkdir(parents=True)
    contract = "tests/encoders/models/test_models.py"
    shutil.copy(ROOT / contract, folder / contract)
    model, lines = code_blocks()
    (folder / "replearn/encoders/models/wae.py").write_text(model)
    imported, entry = lines.splitlines()
    models = folder / "replearn/encoders/models/__init__.py"
    text = models.read_text()
    last_import = "from replearn.encoders.models.vae import VAE\n"
    last_entry = '    "vae": VAE,\n'
    assert text.count(last_import) == text.count(last_entry) == 1
    text = text.replace(last_import, f"{last_import}{imported}\n")
    models.write_text(text.replace(last_entry, f"{last_entry}{entry}\n"))
    return folder


def python(copy: Path, *arguments: object) -> str:
    """Run Python on the copy and return what it said."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_contract_tests_cover_the_new_model_without_a_new_test(copy: Path) -> None:
    chosen = ("-k", "wae", "-m", "not slow", "-p", "no:cacheprovider", "-c", os.devnull)
    said = python(copy, "-m", "pytest", "-q", *chosen, "tests/encoders/models/test_models.py")
    passed = re.search(r"(\d+) passed", said)
    assert passed
    assert int(passed[1]) > 15
    assert "failed" not in said


def test_the_command_trains_the_new_model(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "wae.yaml").write_text("model: wae\narguments: {width: 4, latent_dim: 8}\n")
    command = ("-m", "pipelines")
    python(copy, *command, "phantoms", tmp_path / "data", "--count", 12)
    few = ("--set", "training.steps=2", "--set", "images.size=32")
    images, encoder = tmp_path / "data/images", tmp_path / "wae"
    said = python(copy, *command, "train", tmp_path / "wae.yaml", images, encoder, *few)
    assert "wae trained on 12 images" in said
    assert (encoder / "sheets/interpolations-0000002.png").exists()


def test_the_new_model_is_typed_and_formatted_as_the_rest(copy: Path) -> None:
    model = copy / "replearn/encoders/models/wae.py"
    config = f"--config={ROOT / 'pyproject.toml'}"
    python(copy, "-m", "ruff", "check", "--no-cache", config, model)
    python(copy, "-m", "ruff", "format", "--check", "--no-cache", config, model)
