"""The packages that the sections use, and how to bring them to a machine without a network."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from benchmarks import markdown


@dataclass(frozen=True)
class Package:
    """A package that a section uses.

    Attributes:
        names: under which it is distributed; one of them is enough, and the first one is named.
        without: what is left out if it is missing; empty if nothing runs.
        single: it is installed without what it lists as needed.
    """

    names: tuple[str, ...]
    without: str = ""
    single: bool = False

    def here(self) -> str:
        """Return which of them is installed, with its version; empty if none is."""
        for name in self.names:
            try:
                return f"{name} {version(name)}"
            except PackageNotFoundError:
                continue
        return ""


PACKAGES = (
    *(
        Package(names)
        for names in (
            ("torch",),
            ("h5py",),
            ("imagecodecs",),
            ("joblib",),
            ("numpy",),
            ("opencv-python-headless", "opencv-python"),
            ("pillow",),
            ("pydantic",),
            ("PyYAML",),
            ("safetensors",),
            ("scikit-learn",),
            ("scipy",),
            ("tensorboard",),
            ("tifffile",),
            ("tqdm",),
            ("typer",),
        )
    ),
    Package(("faiss-gpu", "faiss-gpu-cu12", "faiss-cpu"), "search: FAISS; encoders"),
    Package(("pythae",), "training: pythae", single=True),
    Package(("transformers",), "embeddings: pretrained"),
)


def missing() -> list[str]:
    """Return the packages without which nothing runs, and that are not here."""
    return [package.names[0] for package in PACKAGES if not (package.without or package.here())]


def needs() -> str:
    """Return a table of what is here and what is not, and how to bring it."""
    rows = [
        [package.names[0], package.here() or "**missing**", package.without or "everything"]
        for package in PACKAGES
    ]
    table = markdown.table(["package", "here", "left out without it"], rows, words=3)
    return f"{table}\n" + "\n".join(_how_to_bring())


def _how_to_bring() -> Iterator[str]:
    wanted = [package for package in PACKAGES if package.without or not package.here()]
    yield "`compile` also needs a C compiler and Python.h (the system's package python3-dev)."
    yield "FAISS is faiss-gpu (135 MB, and the libraries of CUDA 12 that it needs) or, smaller and"
    yield "for the processor alone, faiss-cpu; never both, as they install the same module."
    yield "On a machine with a network and the same Python, or with `--only-binary :all:`,"
    yield "`--python-version` and `--platform manylinux_2_28_x86_64` for another one:"
    yield ""
    for package in wanted:
        alone = "--no-deps " * package.single
        name = "pythae==0.1.2" if package.names[0] == "pythae" else package.names[0]
        yield f"    python -m pip download {alone}-d wheels {name}"
    yield ""
    yield "On the machine with the GPU, where these wheels and the repository are:"
    yield ""
    for package in wanted:
        alone = "--no-deps " * package.single
        yield (
            f"    python -m pip install --no-index --find-links wheels {alone}{package.names[0]}"
        )
