"""Data folders of phantoms: every image is in one list, with the concepts that it shows."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from replearn.comparison.data_folder import find_data_folder
from replearn.concepts.table import read_concepts
from replearn.errors import DataError, UsageError
from replearn.phantoms.concepts import CONCEPTS
from replearn.phantoms.data_folder import factor_table, write_data_folder
from replearn.phantoms.planning import plan
from replearn.phantoms.rendering import factors, paint, render


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


def test_factors_are_those_that_the_whole_picture_is_drawn_with() -> None:
    for index in range(30):
        planned = plan(index, 0)
        canvas = paint(planned, 64)
        found = factors(index)
        assert (found.modality, found.region) == planned.scene.names[:2]
        drawn = {"turn": found.turn, "exposure": found.exposure, "noise": found.noise}
        assert drawn == canvas.drawn
        assert abs(found.turn) <= planned.scene.turn
        assert 0 <= found.exposure <= 1
        assert 0 <= found.noise <= 1


def test_a_table_of_factors_has_a_line_for_each_image() -> None:
    head, *lines = factor_table(12, 3).splitlines()
    assert head.split("\t") == ["id", "modality", "region", "view", "turn", "exposure", "noise"]
    assert [line.split("\t")[0] for line in lines] == [f"phantom_{n:06d}" for n in range(12)]
    assert {len(line.split("\t")) for line in lines} == {7}


def test_noisier_and_brighter_images_are_so_in_their_pixels() -> None:
    """Of chest films and of fans: what is noted as more is seen as more."""
    shown = [render(index, size=64).pixels.astype(float) for index in range(300)]
    known = [factors(index) for index in range(300)]
    for modality in ("Plain x-ray", "Ultrasonography"):
        rows = [n for n, found in enumerate(known) if found.modality == modality]
        brightness = [np.percentile(shown[n], 75) for n in rows]
        exposure = [known[n].exposure for n in rows]
        assert np.corrcoef(brightness, exposure)[0, 1] > 0.1
