"""Packages and dependencies: ranges here, the tested versions in constraints.txt.

What else is known of the project stands in pyproject.toml, its version in `replearn/__init__.py`.
"""

from setuptools import find_packages, setup

# Whatever reads and writes features, labels and run files needs no more than this.
BASE = [
    "h5py>=3.10",
    "joblib>=1.3",
    "numpy>=2.0",
    "pydantic>=2.7",
    "PyYAML>=6.0",
    "safetensors>=0.5",  # in which detectors are written; it needs no torch
    "scikit-learn>=1.6",  # which brings threadpoolctl
    "scipy>=1.14",
    "tqdm>=4.66",
    "typer>=0.28",
]
# Whatever sees images, trains, searches or draws; pipelines/__main__.py names what is missing.
IMAGES = [
    "imagecodecs>=2025.3.30",  # with tifffile: what OpenCV and Pillow misread or do not know
    "Jinja2>=3.1",
    "matplotlib>=3.8",
    "opencv-python-headless>=4.10",
    "pillow>=11.0",
    "tensorboard>=2.17",
    "tifffile>=2025.5.10",
    "torch>=2.6",
]
DEVELOPMENT = [
    "httpx>=0.27",  # for the benchmark of the page
    "hypothesis>=6.100",
    "mypy>=2.0",
    "pyarrow>=18.0",
    "pytest>=8.0",
    "pytest-xdist>=3.5",
    "ruff>=0.15",
    "scipy-stubs>=1.17",
    "types-PyYAML>=6.0",
    "types-tqdm>=4.66",
]

setup(
    packages=[
        *find_packages(include=["replearn", "replearn.*"]),
        "replearn.pipelines",
        "replearn.configs",
    ],
    # They lie at the top of the repository, where they are found first, and are installed inside.
    package_dir={"replearn.pipelines": "pipelines", "replearn.configs": "configs"},
    package_data={
        "replearn": ["py.typed"],
        "replearn.configs": ["*.yaml"],
        "replearn.report": ["page.html"],
        "replearn.retrieval": ["page.css"],
    },
    install_requires=BASE,
    # Both FAISS packages install the same module: take one of the two, never both.
    extras_require={
        "cpu": [*IMAGES, "faiss-cpu>=1.10"],
        "gpu": [*IMAGES, "faiss-gpu>=1.14.3"],
        "dicom": ["imagecodecs>=2025.3.30", "pydicom>=3.0"],
        "parquet": ["pyarrow>=18.0"],
        # torchvision comes with them; sentencepiece reads the tokenizers of SigLIP's kin.
        "pretrained": [
            "open_clip_torch>=3.2",
            "sentencepiece>=0.2",
            "timm>=1.0.20",
            "transformers>=4.56",
        ],
        "ray": ["ray>=2.40"],
        "milvus": ["pymilvus>=2.6", "milvus-lite>=2.5"],
        "app": ["gradio>=6.0"],
        "diagnose": ["gudhi>=3.10"],  # the Geometry Score
        "umap": ["umap-learn>=0.5.7"],
        # Beside Chromium itself, what the tests of pages in a browser need.
        "browser": ["axe-playwright-python>=0.1.4", "playwright>=1.50"],
        "dev": DEVELOPMENT,
    },
)
