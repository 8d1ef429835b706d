"""What replearn needs: ranges here, the tested versions in constraints.txt."""

from pathlib import Path

from setuptools import find_packages, setup

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
    name="replearn",
    version="0.1.0",
    description="Representations of unlabelled medical images, and concept detection with them",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=find_packages(include=["replearn", "replearn.*", "pipelines"]),
    package_data={
        "replearn": ["py.typed"],
        "replearn.report": ["page.html"],
        "replearn.retrieval": ["page.css"],
    },
    entry_points={"console_scripts": ["replearn = pipelines.__main__:main"]},
    install_requires=[
        "h5py>=3.10",
        "Jinja2>=3.1",
        "joblib>=1.3",
        "matplotlib>=3.8",
        "numpy>=2.0",
        "opencv-python-headless>=4.10",
        "pillow>=11.0",
        "pydantic>=2.7",
        "PyYAML>=6.0",
        "safetensors>=0.5",
        "scikit-learn>=1.6",
        "scipy>=1.14",
        "tensorboard>=2.17",
        "threadpoolctl>=3.1",
        "torch>=2.6",
        "tqdm>=4.66",
        "typer>=0.28",
    ],
    # Both FAISS packages install the same module: take one of the two, never both.
    extras_require={
        "cpu": ["faiss-cpu>=1.10"],
        "gpu": ["faiss-gpu>=1.14.3"],
        "dicom": ["pydicom>=3.0"],
        "parquet": ["pyarrow>=18.0"],
        "pretrained": ["transformers>=4.56"],
        "ray": ["ray>=2.40"],
        "milvus": ["pymilvus>=2.6", "milvus-lite>=2.5"],
        "app": ["gradio>=6.0"],
        "umap": ["umap-learn>=0.5.7"],
        # Beside Chromium itself, what the tests of pages in a browser need.
        "browser": ["axe-playwright-python>=0.1.4", "playwright>=1.50"],
        "dev": DEVELOPMENT,
    },
)
