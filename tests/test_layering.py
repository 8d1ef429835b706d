"""Imports go one way, and heavy libraries stay where they are needed: read from the source."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from pipelines.__main__ import PARTS
from pipelines.__main__ import STAGES as KNOWN

ROOT = Path(__file__).parent.parent
# `__main__` is of the command: it calls the stages.
LIBRARY = sorted(path for path in (ROOT / "replearn").rglob("*.py") if path.name != "__main__.py")
SHARED = ROOT / "pipelines/options.py"  # what several stages ask for
STAGES = sorted(set((ROOT / "pipelines").glob("*.py")) - {SHARED})

# Every package, and every module that is no package's, with what it may import of the others;
# whatever stands lower may import what stands higher.  What is not listed fails.
SMALL = {"arrays", "errors", "console", "interrupts", "memory", "ids", "matching"}
ALLOWED: dict[str, set[str]] = {
    "arrays": set(),
    "errors": set(),
    "console": {"errors"},
    "ids": {"errors", "console"},
    "memory": set(),
    "interrupts": set(),
    "matching": {"errors", "ids"},
    "lazy_names": set(),
    "device_memory": set(),
    "artefacts": SMALL,
    "phantoms": SMALL | {"artefacts"},
    "metrics": SMALL,
    "parquet": SMALL,
    "settings": SMALL,
    "images": SMALL | {"artefacts", "parquet"},
    "concepts": SMALL | {"artefacts", "parquet"},
    "vector_tables": SMALL | {"concepts", "parquet"},
    "vector_files": SMALL | {"artefacts", "concepts", "vector_tables"},
    "features": SMALL | {"artefacts", "vector_files"},
    "encoders": SMALL | {"images", "features", "artefacts", "settings", "device_memory"},
    "neighbors": SMALL | {"concepts", "features", "artefacts", "device_memory"},
    "imageclef": SMALL | {"concepts", "artefacts", "metrics", "lazy_names"},
    "detection": SMALL
    | {
        "neighbors",
        "concepts",
        "features",
        "images",
        "artefacts",
        "metrics",
        "settings",
        "imageclef",
        "device_memory",
    },
    "retrieval": SMALL
    | {"detection", "neighbors", "encoders", "images", "concepts", "features", "artefacts"},
}
ALLOWED["diagnostics"] = set(ALLOWED) - {"retrieval", "phantoms", "imageclef"}
ALLOWED["comparison"] = set(ALLOWED) - {"comparison", "report", "phantoms", "diagnostics"}
ALLOWED["report"] = set(ALLOWED) - {"report", "phantoms"}
# Inside encoders: a package may import itself and what stands above it.
ENCODERS = ["networks", "losses", "patches", "backbones", "models", "training"]

# Who imports torch outside encoders, and only when it is asked for.
TORCH = {
    "replearn.device_memory",
    "replearn.neighbors.torch_engine",
    "replearn.detection.logistic.loss_torch",
    "replearn.diagnostics.dirac_gan",  # the losses themselves
}
# Who needs no torch until a command asks for it: from comparison on, everything may.
TORCHLESS = set(ALLOWED) - {"encoders", "comparison", "report"}
# What runs without the extras: all that these stages take are features, labels and run files.
LIGHT = (
    *("classify", "convert", "ensemble", "evaluate", "merge", "predict", "split", "validate"),
    "vocabulary",
)
# Settings of encoders, which comparisons check without waiting for torch.
TORCHLESS_ENCODERS = {"replearn.encoders", "replearn.encoders.configuration"}


class Imports(NamedTuple):
    """The modules that one imports: when it is imported itself, or when a function runs."""

    eager: set[str]
    lazy: set[str]


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in LIBRARY}
PATHS = MODULES | {name_of(path): path for path in [*STAGES, SHARED]}


@cache
def imports(module: str) -> Imports:
    """Return what a module imports, with the packages that this runs; types alone count as lazy."""
    tree = ast.parse(PATHS[module].read_text(encoding="utf-8"))
    found = Imports(set(), set())

    def visit(node: ast.AST, lazy: bool) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lazy = True
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            lazy = True
        names: set[str] = set()
        if isinstance(node, ast.Import):
            names = {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            shared = node.level == 1 and node.module == SHARED.stem
            assert shared or not node.level, f"{module}: a relative import hides where it leads"
            assert node.module
            source = f"pipelines.{SHARED.stem}" if shared else node.module
            inside = {f"{source}.{alias.name}" for alias in node.names}
            own = source.startswith(("replearn", "pipelines"))
            names = {source} | {n for n in inside if n in MODULES or not own}
        for name in names:
            (found.lazy if lazy else found.eager).add(name)
        for child in ast.iter_child_nodes(node):
            visit(child, lazy)

    visit(tree, False)
    return found


def reached(module: str) -> set[str]:
    """Return everything that importing a module imports, packages on the way included."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in PATHS:
            parents = [".".join(name.split(".")[:n]) for n in range(1, name.count(".") + 1)]
            waiting += [*imports(name).eager, *parents]
    return seen


def room(module: str) -> str:
    """Return the package of the library that a module belongs to, or itself if it has none."""
    return module.split(".")[1]


def library_imports(module: str) -> set[str]:
    every = imports(module).eager | imports(module).lazy
    return {name for name in every if name.startswith("replearn.")}


def roots(modules: set[str]) -> set[str]:
    return {name.split(".")[0] for name in modules}


def test_every_package_is_listed_and_nothing_else() -> None:
    assert {room(module) for module in MODULES if "." in module} == set(ALLOWED)


def test_the_table_has_no_circle() -> None:
    order = list(ALLOWED)
    for number, package in enumerate(order):
        assert ALLOWED[package] <= set(order[:number]), package


@pytest.mark.parametrize("module", [module for module in MODULES if "." in module])
def test_a_package_imports_only_what_it_may(module: str) -> None:
    own = room(module)
    others = {room(name) for name in library_imports(module)} - {own}
    assert others <= ALLOWED[own]


@pytest.mark.parametrize("module", MODULES)
def test_the_library_knows_no_stage_and_no_command_line(module: str) -> None:
    every = imports(module).eager | imports(module).lazy
    assert not roots(every) & {"pipelines", "typer", "argparse"}
    assert not {name for name in every if name.startswith("replearn.pipelines")}


@pytest.mark.parametrize("module", [module for module in MODULES if "." in module])
def test_only_encoders_import_torch(module: str) -> None:
    every = imports(module).eager | imports(module).lazy
    if room(module) != "encoders":
        by_name = re.findall(r"import_module\(.torch", MODULES[module].read_text(encoding="utf-8"))
        assert module in TORCH or not (by_name or "torch" in roots(every))


@pytest.mark.parametrize("module", [module for module in MODULES if "." in module])
def test_what_needs_no_torch_does_not_wait_for_it(module: str) -> None:
    if module in TORCHLESS_ENCODERS or (room(module) in TORCHLESS and module not in TORCH):
        assert "torch" not in roots(reached(module))


@pytest.mark.parametrize("stage", LIGHT)
def test_what_is_on_features_and_labels_needs_only_the_base(stage: str) -> None:
    # The face of this package imports its modules when they are asked for.
    later = {module for module in MODULES if module.startswith("replearn.imageclef.")}
    found = set().union(*map(reached, {f"pipelines.{stage}", *later}))
    assert "numpy" in roots(found)
    assert not roots(found) & set(PARTS)


def test_who_uses_what_is_fitted_does_not_wait_for_scikit_learn() -> None:
    modules = "replearn.retrieval.explorer, replearn.encoders.encoder"
    uses = f"import sys, {modules}; sys.exit('sklearn' in sys.modules)"
    subprocess.run([sys.executable, "-c", uses], check=True)


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_importing_a_package_imports_none_of_its_modules(path: Path) -> None:
    # The registry of models is the exception: whoever imports it wants them all.
    if path.name == "__init__.py" and name_of(path) != "replearn.encoders.models":
        found = {name for name in imports(name_of(path)).eager if name.startswith("replearn")}
        assert not {name for name in found if not name.startswith("replearn.lazy_names")}


def inside_encoders(package: str) -> list[str]:
    return [module for module in MODULES if module.startswith(f"replearn.encoders.{package}")]


# What a model may know of encoders beside what its package may: no file, no device, no optimiser.
FOR_MODELS = {
    *("contract", "grids", "networks", "losses", "patches", "backbones", "models", "preprocessing"),
}
FILES = {"pathlib", "os", "io", "shutil", "tempfile", "h5py", "safetensors"}


@pytest.mark.parametrize("package", ENCODERS)
def test_networks_losses_models_and_training_know_only_those_before_them(package: str) -> None:
    later = {f"replearn.encoders.{name}" for name in ENCODERS[ENCODERS.index(package) + 1 :]}
    for module in inside_encoders(package):
        found = {".".join(name.split(".")[:3]) for name in library_imports(module)}
        assert not found & later, module


@pytest.mark.parametrize("package", ["networks", "losses", "patches", "models"])
def test_models_see_no_file_no_device_and_no_optimiser(package: str) -> None:
    for module in inside_encoders(package):
        names = imports(module).eager | imports(module).lazy
        assert not roots(names) & FILES, module
        assert not {name for name in names if name.startswith("torch.optim")}, module
        assert {room(name) for name in library_imports(module)} <= SMALL | {
            "encoders",
            "settings",
        }, module
        of_encoders = {
            name.split(".")[2] for name in library_imports(module) if name.count(".") > 1
        }
        assert of_encoders <= FOR_MODELS | SMALL, module
        text = MODULES[module].read_text(encoding="utf-8")
        assert not re.findall(r"cuda\b|torch\.device|\.to\(device|\bopen\(", text), module


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"replearn.console"}))
def test_the_library_shows_nothing_but_through_the_console(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    names = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.expr)}
    assert not names & {"print", "sys.stdout", "sys.stderr", "logging.basicConfig"}
    assert "tqdm" not in roots(imports(module).eager | imports(module).lazy)


def test_only_the_trainer_makes_optimisers() -> None:
    users = {
        module
        for module in MODULES
        if {n for n in imports(module).eager | imports(module).lazy if n.startswith("torch.optim")}
        or "torch.optim" in MODULES[module].read_text(encoding="utf-8")
    }
    assert users == {"replearn.encoders.training.trainer"}


def test_files_are_locked_in_one_place() -> None:
    users = {
        module for module in MODULES if "fcntl" in imports(module).eager | imports(module).lazy
    }
    assert users == {"replearn.artefacts.locks"}


@pytest.mark.parametrize("path", STAGES, ids=lambda p: p.name)
def test_a_stage_imports_no_other_stage(path: Path) -> None:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            own = node.level and node.module != SHARED.stem
            names.add("pipelines" if own else str(node.module))
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    assert "pipelines" not in roots(names)


def test_every_stage_has_a_line_in_the_overview() -> None:
    assert set(KNOWN) == {path.stem for path in STAGES if not path.stem.startswith("__")}
