"""Files about an encoder, loaded for its report: metrics, sheets, features and concepts."""

import json
import re
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from replearn.artefacts.hints import folder_of
from replearn.artefacts.identity import check_same
from replearn.comparison.facts import has_facts, read_facts
from replearn.concepts.reading import AS_FOUND, Reading
from replearn.concepts.table import read_names, read_with_layout
from replearn.console import warn
from replearn.errors import DataError
from replearn.features import Features
from replearn.images.native_messages import listen
from replearn.images.opencv import imdecode
from replearn.matching import match_names
from replearn.report.embeddings import EmbeddedImages
from replearn.report.encoder import Sheet
from replearn.report.pictures import finder_in


def read_metrics(run: Path) -> list[dict[str, float]]:
    """Read the lines of `metrics.jsonl` in an encoder's folder; none if there is no such file.

    Raises:
        DataError: a line is not JSON.
    """
    path = run / "metrics.jsonl"
    if not path.exists():
        return []
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        raise DataError(f"{path}: not readable ({error}); train again or remove it") from None


def read_sheets(run: Path) -> dict[str, Sheet]:
    """Read the last sheet of each kind in an encoder's folder.

    Raises:
        DataError: a sheet is not a PNG file.
    """
    sheets = {}
    for path in sorted((run / "sheets").glob("*.png")):
        kind, step = re.fullmatch(r"(.+?)(?:-(\d+))?", path.stem).groups()  # type: ignore[union-attr]
        pixels, _ = listen(partial(imdecode, path.read_bytes(), cv2.IMREAD_COLOR_RGB))
        if pixels is None:
            raise DataError(f"{path}: not readable as PNG; remove it")
        sheets[kind] = Sheet(np.asarray(pixels, np.uint8), int(step or 0))
    return sheets


def load_images(
    run: Path,
    identity: str,
    *,
    features: Path | None,
    images: Path | None,
    labels: tuple[Path, Reading] | None,
    names: Path | None,
) -> EmbeddedImages | None:
    """Load images with their embeddings, None if there are no features of the encoder.

    Args:
        run: the encoder's folder.
        identity: of the encoder.
        features: of the encoder; if None, those of most images beside its folder.
        images: source of the images; if None, the one that the features state.
        labels: concept file of the images, and what is said of its layout; if None, the lists of
            the comparison that the encoder belongs to.
        names: of the concepts; if None, those of the same comparison.

    Raises:
        DataError: a file is not readable, or the features are of another encoder.
    """
    path = features or _largest_features(run, identity)
    if path is None:
        return None
    loaded = Features.load(path)
    source = images or _stated_source(path, loaded)
    if source is not None and not source.exists():
        warn(f"{source}: the images are not there; give their place with --images")
    named = _concept_names(run, labels, names)
    meant = match_names([*named], loaded.ids, labels[0] if labels else run)
    known = {id_: named[name] for name, id_ in meant.items()}
    check_same(loaded.encoder, identity, f"{path}: features of {run}")
    return EmbeddedImages(loaded, path.name, known, finder_in(source, loaded.ids))


def _largest_features(run: Path, identity: str) -> Path | None:
    """Return the features of most images among those of this encoder beside its folder."""
    sizes = {}
    for path in sorted(run.parent.glob("*.h5")):
        try:
            features = Features.load(path)
        except DataError:
            continue  # an image set, or another HDF5 file
        if features.encoder == identity:
            sizes[path] = len(features)
    return max(sizes, key=lambda path: sizes[path], default=None)


def _stated_source(path: Path, features: Features) -> Path | None:
    hint = features.hints.get("images_path")
    return folder_of(path) / hint if hint else None


def _concept_names(
    run: Path, labels: tuple[Path, Reading] | None, names: Path | None
) -> dict[str, tuple[str, ...]]:
    """Return the names of the concepts of each image, as far as they are known."""
    comparison = run.resolve().parent.parent.parent
    facts = read_facts(comparison) if has_facts(comparison) else None
    known_names = facts.names if facts else {}
    name_of = read_names(names) if names else known_names
    lists = [comparison / path for path in facts.parts.values()] if facts else []
    files = [labels] if labels else [(path, AS_FOUND) for path in lists if path.exists()]
    return {
        id_: tuple(name_of.get(c, c) for c in of_image)
        for table in (read_with_layout(*file)[1] for file in files)
        for id_, of_image in zip(table.ids, table.concepts, strict=True)
    }
