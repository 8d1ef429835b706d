"""A library in somebody's program: its functions print nothing, its import changes nothing."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from replearn.artefacts.outputs import Kind, already_made
from replearn.concepts.table import read_concepts, read_ids
from replearn.detection.fit_detector import fit_detector, make_detector
from replearn.detection.prediction import predict_run
from replearn.detection.settings import DetectorSettings, Scoring
from replearn.detection.task import load_task
from replearn.encoders.configuration import Configuration
from replearn.encoders.encoder import load_encoder
from replearn.encoders.extraction import extract
from replearn.encoders.training.run import train
from replearn.errors import ReplearnWarning
from replearn.imageclef import edition, evaluate_run
from replearn.images.image_set import ImageSet
from replearn.images.opening import open_images
from replearn.images.preparation import prepare
from replearn.neighbors.index_folder import create_index
from replearn.neighbors.storage import load_index
from replearn.phantoms.data_folder import write_data_folder
from tests.test_layering import MODULES, imports

FORM: dict[str, Any] = {"size": 32, "channels": 1, "fit": "stretch"}
ROOT = Path(__file__).parents[1]
AAE = Configuration(
    model="aae",
    arguments={"width": 4, "latent_dim": 8, "critic_width": 16},
    training={"steps": 2, "batch_size": 8, "sheet_every": 1, "checkpoint_every": 1},
)

# Imports all that the library imports of others, then the library; says what that changed.
IMPORT = """
import importlib, json, logging, os, sys, warnings
import cv2
from replearn.errors import UsageError

def state():
    loggers = {
        name: (logger.level, len(logger.handlers), logger.propagate, logger.disabled)
        for name, logger in logging.root.manager.loggerDict.items()
        if isinstance(logger, logging.Logger) and name.split(".")[0] != "replearn"
    }
    root = (logging.root.level, len(logging.root.handlers))
    return {
        "filters": list(map(str, warnings.filters)),
        "shown by": str(warnings.showwarning),
        "OpenCV": cv2.utils.logging.getLogLevel(),
        "environment": dict(os.environ),
        "loggers": loggers,
        "root": root,
    }

others, own = json.load(sys.stdin)
for name in others:
    try:
        importlib.import_module(name)
    except ImportError:  # a name inside a module, or what is not installed
        pass
before = state()
for name in own:
    try:
        importlib.import_module(name)
    except (ImportError, UsageError):  # what is not installed
        pass
after = state()
print(json.dumps([name for name in before if after[name] != before[name]]))
"""


def test_no_step_of_the_chain_prints(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data, features = tmp_path / "data", {}
    write_data_folder(data, count=60, size=32)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 2**16, (32, 32)).astype("u2"))
    whole = io.BytesIO()
    picture.save(whole, "TIFF")
    # OpenCV would report this one on stderr, and Pillow warn of that one.
    (data / "images" / "cut.tiff").write_bytes(whole.getvalue()[:1000])
    (data / "images" / "header.tiff").write_bytes(whole.getvalue()[:100])
    with pytest.warns(ReplearnWarning, match="2 of 62 images left out: cut"):
        open_images(data / "images", **FORM)
    with pytest.warns(ReplearnWarning, match="2 of 62 images left out: cut"):
        prepare(data / "images", tmp_path / "images.h5", size=32, jobs=2)
    images = ImageSet.load(tmp_path / "images.h5")
    train(AAE, images, tmp_path / "aae")
    encoder = load_encoder(tmp_path / "aae")
    for part in ("train", "valid", "test"):
        wanted = read_ids(data / f"{part}-concepts.tsv")
        chosen = open_images(tmp_path / "images.h5", **FORM, ids=wanted)
        features[part] = extract(encoder, chosen, tmp_path / f"{part}.h5")
    pairs = [(features[part], read_concepts(data / f"{part}-concepts.tsv")) for part in features]
    fit_detector(pairs[0], pairs[1])
    files = [(tmp_path / f"{part}.h5", data / f"{part}-concepts.tsv") for part in features]
    task = load_task(files[0], files[1], Scoring("match", None))
    make_detector(tmp_path / "detector", task, DetectorSettings())
    create_index(tmp_path / "index", features["train"], pairs[0][1])
    load_index(tmp_path / "index").search(features["test"].vectors, 3)
    predict_run(tmp_path / "detector", [files[2][0]], tmp_path / "run.txt", edition=2018)
    evaluate_run(tmp_path / "run.txt", pairs[2][1], edition(2018))
    assert already_made(tmp_path / "run.txt", Kind("a run", ""), "a:1", "a:1", overwrite=False)
    assert capfd.readouterr() == ("", "")


def test_importing_the_library_changes_nothing_for_others() -> None:
    # The page is the exception: it belongs to the process of `serve` alone.
    own = sorted(set(MODULES) - {"replearn.retrieval.page"})
    eager = set().union(*(imports(module).eager for module in own))
    others = sorted(name for name in eager if not name.startswith("replearn"))
    assert {"cv2", "torch", "sklearn"} <= {name.split(".")[0] for name in others}
    done = subprocess.run(
        [sys.executable, "-c", IMPORT],
        input=json.dumps([others, own]),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},  # not what this process's own imports may have set
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == []
    assert done.stderr == ""
