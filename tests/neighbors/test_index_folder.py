"""Index folders: created once, changed by adding and removing images, refused otherwise."""

import logging
import re
from pathlib import Path

import numpy as np
import pytest

from replearn.artefacts.identity import identify
from replearn.concepts.table import ConceptTable
from replearn.errors import DataError, ReplearnWarning
from replearn.features import Features
from replearn.neighbors.index_folder import (
    IndexSettings,
    add_images,
    create_index,
    read_concepts_of,
    remove_images,
)
from replearn.neighbors.storage import load_index

SOURCE = Path("features.h5")


def features_of(count: int, start: int = 0, encoder: str = "encoder:1") -> Features:
    vectors = np.random.default_rng(start).normal(size=(count, 4)).astype(np.float32)
    ids = [f"image-{number}" for number in range(start, start + count)]
    return Features(
        ids, vectors, f"features:{start}", encoder=encoder, hints={"encoder_path": "encoder"}
    )


def test_an_index_is_created_once_and_then_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    features, folder = features_of(30), tmp_path / "index"
    assert create_index(folder, features) is not None
    before = (folder / "index.json").stat().st_mtime_ns
    assert create_index(folder, features) is None
    assert "nothing to do" in caplog.text
    assert (folder / "index.json").stat().st_mtime_ns == before
    assert load_index(folder).search(features.vectors[[5]], 1).rows.item() == 5


def test_an_index_with_other_settings_replaces_one_only_if_told_to(tmp_path: Path) -> None:
    features, by_l2 = features_of(30), IndexSettings("l2")
    create_index(tmp_path / "index", features)
    with pytest.raises(DataError, match="--overwrite"):
        create_index(tmp_path / "index", features, None, by_l2)
    create_index(tmp_path / "index", features, None, by_l2, overwrite=True)
    assert load_index(tmp_path / "index").metric == "l2"


def test_settings_that_were_not_given_are_no_part_of_the_identity(tmp_path: Path) -> None:
    facts = {"features": "features:0", "metric": "cosine", "factory": "Flat", "concepts": None}
    for name, settings, more in (
        ("plain", IndexSettings(jobs=2), {}),
        ("shards", IndexSettings(shards=3), {"shards": 3}),
        ("graph", IndexSettings(factory="HNSW8"), {"factory": "HNSW8", "recall": 0.95}),
    ):
        index = create_index(tmp_path / name, features_of(30), None, settings)
        assert index is not None
        assert index.identity == identify("index", **(facts | more))
        assert load_index(tmp_path / name).identity == index.identity


def test_hints_are_relative_to_the_index_and_left_out_without_a_source(tmp_path: Path) -> None:
    features = features_of(9)
    source = tmp_path / "runs" / "features.h5"
    create_index(tmp_path / "deep" / "index", features, source=source)
    hints = load_index(tmp_path / "deep" / "index").hints
    assert hints == {"encoder_path": "../../runs/encoder"}
    create_index(tmp_path / "index", features)
    assert load_index(tmp_path / "index").hints == {}


def test_images_are_added_and_removed_once(tmp_path: Path) -> None:
    folder, more = tmp_path / "index", features_of(5, start=30)
    create_index(folder, features_of(30))
    assert add_images(folder, more) is not None
    assert add_images(folder, more) is None
    assert load_index(folder).search(more.vectors, 1).rows.ravel().tolist() == [*range(30, 35)]
    assert remove_images(folder, more.ids) is not None
    assert remove_images(folder, more.ids) is None
    assert load_index(folder).ids == features_of(30).ids


def test_images_of_another_encoder_are_refused_and_change_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    create_index(folder, features_of(30))
    before = (folder / "index.json").read_bytes()
    with pytest.raises(DataError, match=re.escape(f"the encoder of {SOURCE} and of {folder}")):
        add_images(folder, features_of(5, 30, "encoder:2"), source=SOURCE)
    assert (folder / "index.json").read_bytes() == before


def test_images_without_a_line_have_no_concepts_and_what_has_no_counterpart_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "concepts.tsv"
    path.write_text("image-1\tC1;C2\nelsewhere\tC3\n")
    with pytest.warns(ReplearnWarning, match=r"2 of 3 images of features\.h5 have no line in it"):
        table = read_concepts_of(features_of(3), SOURCE, path)
    index = create_index(tmp_path / "index", features_of(3), table)
    assert index is not None
    expected = ConceptTable(["image-0", "image-1", "image-2"], [(), ("C1", "C2"), ()])
    assert index.concepts == expected
    assert caplog.messages[-1].endswith("; 1 images with concepts have no features")
    path.write_text("elsewhere\tC3\n")
    with pytest.raises(DataError, match="has a line for none of the 3 images of features"):
        read_concepts_of(features_of(3), SOURCE, path)
