"""Imports go one way: the design's directions, read from the source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIBRARY = sorted((ROOT / "replearn").rglob("*.py"))
STAGES = sorted((ROOT / "pipelines").glob("*.py"))

# Below this line nothing trains a network, and nothing needs torch.
TORCHLESS = {
    "allocation",
    "archives",
    "artefacts",
    "calibration",
    "comparison",
    "comparison_settings",
    "configuration",
    "concepts",
    "data_folder",
    "decisions",
    "engines",
    "faiss_engine",
    "fusion",
    "index_files",
    "milvus_engine",
    "recall",
    "index_shards",
    "decoding",
    "detectors",
    "dicom",
    "diskrows",
    "errors",
    "expected_f1",
    "features",
    "hdf5",
    "images",
    "imageclef",
    "jpeg",
    "label_thresholds",
    "layouts",
    "logistic",
    "logistic_loss",
    "making",
    "quasi_newton",
    "standardised",
    "metrics",
    "neighbors",
    "parquet",
    "phantoms",
    "planning",
    "preparing",
    "probing",
    "ranking",
    "rates",
    "rules",
    "scorers",
    "settings",
    "skeleton",
    "sources",
    "text_files",
    "together",
    "vocabularies",
    "stores",
    "supply",
    "tables",
    "tally",
    "tuning",
    "voting",
    "workers",
}
TRAINING = {
    "adversarial",
    "encoders",
    "extraction",
    "models",
    "networks",
    "objective",
    "pictures",
    "priors",
    "sheets",
    "checkpoints",
    "acceleration",
    "feeding",
    "processes",
    "trainer",
    "training",
    "training_settings",
    "watching",
}


def imports(path: Path) -> set[str]:
    """Return the full names of all modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def part(path: Path) -> str:
    """Return the part of the library that a file belongs to: `models`, `images`, ..."""
    return path.relative_to(ROOT / "replearn").with_suffix("").parts[0]


def parts(names: set[str]) -> set[str]:
    """Return the parts of the library among imported names."""
    return {name.split(".")[1] for name in names if name.startswith("replearn.")}


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_library_knows_no_stage_and_no_command_line(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)}
    assert not roots & {"pipelines", "typer", "argparse"}


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: str(p.relative_to(ROOT)))
def test_what_detects_and_scores_needs_no_torch_and_no_training(path: Path) -> None:
    if part(path) in TORCHLESS:
        names = imports(path)
        assert "torch" not in {name.split(".")[0] for name in names}
        assert not parts(names) & TRAINING


def test_who_uses_what_is_fitted_does_not_wait_for_scikit_learn() -> None:
    modules = "replearn.retrieval.explorer, replearn.encoders.encoder"
    uses = f"import sys, {modules}; sys.exit('sklearn' in sys.modules)"
    subprocess.run([sys.executable, "-c", uses], check=True)


@pytest.mark.parametrize("folder", ["models", "networks"])
def test_models_see_no_optimiser_device_or_file(folder: str) -> None:
    for path in (ROOT / "replearn" / folder).glob("*.py"):
        names = imports(path)
        assert not parts(names) & {
            "checkpoints",
            "feeding",
            "trainer",
            "training",
            "training_settings",
            "watching",
            "encoders",
            "sheets",
            "artefacts",
            "hdf5",
        }, path
        assert not {name for name in names if name.startswith("torch.optim")}, path
        assert "pathlib" not in names, path


def test_networks_know_no_losses_and_no_models() -> None:
    for path in (ROOT / "replearn" / "networks").glob("*.py"):
        assert not parts(imports(path)) & {"models", "objective", "adversarial", "priors"}, path


def test_only_the_trainer_makes_optimisers() -> None:
    users = {path.name for path in LIBRARY if "torch.optim" in path.read_text(encoding="utf-8")}
    assert users == {"trainer.py"}


@pytest.mark.parametrize("path", STAGES, ids=lambda p: p.name)
def test_a_stage_imports_no_other_stage(path: Path) -> None:
    others = {name for name in imports(path) if name.startswith("pipelines.")}
    assert not others or path.name == "compare.py"


def test_every_stage_has_a_line_in_the_overview() -> None:
    from pipelines.__main__ import STAGES as KNOWN

    assert set(KNOWN) == {path.stem for path in STAGES if not path.stem.startswith("__")}
