"""Data folders of phantoms: every image is in one list, with the concepts that it shows."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from replearn.comparison.data_folder import find_data_folder
from replearn.concepts.table import read_concepts
from replearn.errors import DataError, UsageError
from replearn.phantoms.concepts import CONCEPTS
from replearn.phantoms.data_folder import write_data_folder
from replearn.phantoms.rendering import render


def test_a_folder_has_each_image_in_one_list_with_its_concepts(tmp_path: Path) -> None:
    assert write_data_folder(tmp_path / "data", count=20, seed=3, size=16, channels=3)
    data = find_data_folder(tmp_path / "data")
    assert data.names == CONCEPTS
    tables = {part: read_concepts(path) for part, path in data.parts.items()}
    assert {part: len(table) for part, table in tables.items()} == {
        "train": 14,
        "valid": 3,
        "test": 3,
    }
    ids = [id_ for table in tables.values() for id_ in table.ids]
    assert sorted(ids) == sorted(path.stem for path in data.images.iterdir())
    phantom = render(14, 3, size=16, channels=3)
    assert tables["valid"].concepts[0] == phantom.concepts
    pixels = cv2.imread(str(data.images / f"{tables['valid'].ids[0]}.png"), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(pixels, phantom.pixels.transpose(1, 2, 0))


def test_the_same_folder_is_left_alone_and_another_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert write_data_folder(folder, count=10, size=16)
    assert not write_data_folder(folder, count=10, size=16)
    with pytest.raises(DataError, match="--overwrite"):
        write_data_folder(folder, count=11, size=16)
    assert write_data_folder(folder, count=11, size=16, overwrite=True)
    assert len(list((folder / "images").iterdir())) == 11


def test_numbers_out_of_range_write_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--count 9"):
        write_data_folder(tmp_path / "data", count=9)
    assert list(tmp_path.iterdir()) == []
