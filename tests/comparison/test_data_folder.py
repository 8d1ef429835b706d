"""A data folder: its lists are found by their names, in the spelling of ours or the organisers'."""

from pathlib import Path

import pytest

from replearn.comparison.data_folder import find_data_folder
from replearn.errors import DataError


def fill(folder: Path, *names: str) -> Path:
    """Return the folder with images/ and lists of these names, a line of two columns in each."""
    (folder / "images").mkdir()
    for name in names:
        (folder / name).write_text("C1\tchest\n")
    return folder


@pytest.mark.parametrize("sign", "-_")
def test_lists_are_found_by_their_names(sign: str, tmp_path: Path) -> None:
    names = [f"{part}{sign}concepts.csv" for part in ("train", "valid", "test")]
    found = find_data_folder(fill(tmp_path, *names, "groups.tsv", f"concept{sign}names.tsv"))
    assert [path.name for path in found.parts.values()] == names
    assert list(found.parts) == ["train", "valid", "test"]
    assert found.groups == tmp_path / "groups.tsv"
    assert found.names == {"C1": "chest"}


@pytest.mark.parametrize(
    ("lists", "parts", "scored"),
    [
        ([], ["train"], "valid"),
        (["test-images.txt"], ["train", "test"], "valid"),
        (["test-concepts.tsv"], ["train", "test"], "test"),
        (["test-images.txt", "test-concepts.tsv"], ["train", "test"], "test"),
    ],
)
def test_the_table_is_about_test_images_where_their_truth_is_known(
    lists: list[str], parts: list[str], scored: str, tmp_path: Path
) -> None:
    found = find_data_folder(fill(tmp_path, "train-concepts.tsv", *lists))
    assert list(found.parts) == parts
    assert found.scored == scored


def test_what_is_missing_or_there_twice_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{tmp_path}: not a data folder; it needs images/ and"):
        find_data_folder(fill(tmp_path))
    for name in ("train-concepts.tsv", "train_concepts.csv"):
        (tmp_path / name).write_text("a\tC1\n")
    with pytest.raises(DataError, match=r"both train-concepts.tsv and train_concepts.csv; keep"):
        find_data_folder(tmp_path)


def test_one_list_of_both_parts_and_the_mapping_of_2026_are_found(tmp_path: Path) -> None:
    (tmp_path / "dev_concept").mkdir()
    folder = fill(tmp_path / "dev_concept", "concepts.csv")
    (tmp_path / "cui_mapping.csv").write_text('CUI,Canonical name\nC1,"Chest, front"\n')
    found = find_data_folder(folder)
    assert (found.train.name, found.valid, found.by_ids) == ("concepts.csv", None, True)
    assert found.valid_given  # so that groups are kept apart
    assert found.names["C1"] == "Chest, front"
    (folder / "train-concepts.csv").write_text("a,C1\n")
    assert not find_data_folder(folder).by_ids
