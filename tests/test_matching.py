"""Names of images, matched to ids whatever extension, folders or Unicode form they have."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replearn.errors import DataError, ReplearnWarning
from replearn.ids import IdList
from replearn.matching import match_list, match_names


def matched(names: list[str], ids: list[str]) -> dict[str, str]:
    return match_names(names, ids, "list.csv")


def test_a_name_that_is_an_id_means_that_id_alone() -> None:
    assert matched(["a.png", "b"], ["b", "a", "a.png", "c"]) == {"a.png": "a.png", "b": "b"}


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["00000001_000.png", "2.PNG"], ["00000001_000", "2"]),
        (["00000001_000"], ["00000001_000.png"]),
        (["scan.1.dcm", "scan.2.dcm"], ["scan.1", "scan.2"]),
        (["p1/s1/a.jpg", "p2/s1/a.jpg"], ["p1/s1/a", "p2/s1/a"]),
        (["CheXpert/train/p1/a.jpg", "CheXpert/train/p2/a.jpg"], ["train/p1/a", "train/p2/a"]),
        (["CheXpert/train/p1/a.jpg", "CheXpert/train/p2/a.jpg"], ["p1/a", "p2/a"]),
        (["1.png", "2.png"], ["images_001/1", "images_002/2"]),
        (["old/p1/1.png", "old/p2/1.png"], ["new/p1/1", "new/p2/1"]),
        (["/data/x/1.png", "/data/x/2.png"], ["1", "2"]),
        (["x\\1.png", "x\\2.png"], ["1", "2"]),
        (["./1.png"], ["1"]),
        ([unicodedata.normalize("NFC", "Lésion")], [unicodedata.normalize("NFD", "Lésion")]),
        ([unicodedata.normalize("NFD", "Lésion.png")], [unicodedata.normalize("NFC", "Lésion")]),
    ],
)
def test_names_mean_the_ids_without_extension_and_first_folders(
    names: list[str], ids: list[str]
) -> None:
    assert matched(names, [*ids, "another", "x/another"]) == dict(zip(names, ids, strict=True))


def test_names_are_all_read_in_the_first_way_that_finds_any() -> None:
    assert matched(["1.png", "x/2.png", "3"], ["1", "2"]) == {"1.png": "1"}
    assert matched(["y/1.png", "z/y/1.png"], ["y/1"]) == {"y/1.png": "y/1"}


@pytest.mark.parametrize("names", [["b", "c.png"], ["x/b.png"], [], ["/"], [".png"]])
def test_names_that_mean_no_image_are_left_out(names: list[str]) -> None:
    assert matched(names, ["a", "x/a"]) == {}
    assert matched(names, []) == {}


@pytest.mark.parametrize(
    ("names", "ids", "words"),
    [
        (["a.png", "a.jpg"], ["a"], "the names 'a.png' and 'a.jpg' mean the same image, 'a'"),
        (["a", "a.png"], ["a"], "the names 'a' and 'a.png' mean the same image, 'a'"),
        (["p1/a.png", "p2/a.png"], ["a"], "prepare the images with --ids-from path"),
        (["a.png"], ["x/a", "y/a"], "the name 'a.png' means the images '[xy]/a' and '[xy]/a'"),
    ],
)
def test_names_that_leave_a_choice_are_refused(
    names: list[str], ids: list[str], words: str
) -> None:
    with pytest.raises(DataError, match=rf"^list.csv: .*{words}"):
        matched(names, ids)


def test_a_header_is_told_above_names_that_are_no_ids(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Lésion") for form in ("NFC", "NFD"))
    names = ["x/1.png", f"x/{composed}.png", "x/3.png"]
    listed = IdList(tmp_path / "list.csv", ["image in the archive", *names])
    with pytest.warns(ReplearnWarning, match="list.csv: its first line, .* is taken for a header"):
        found, meant = match_list(listed, ["1", decomposed, "3", "4"], "elsewhere")
    assert (found, list(meant.values())) == (names, ["1", decomposed, "3"])


_texts = st.text(st.characters(codec="utf-8", exclude_characters="/\\"), min_size=1, max_size=5)


@given(st.lists(_texts, unique=True), st.lists(_texts, unique=True))
def test_what_is_matched_is_what_is_in_both_where_ids_are_given(
    names: list[str], ids: list[str]
) -> None:
    both = {name: name for name in names if name in ids}
    try:
        found = matched(names, ids)
    except DataError:  # as 'a' and 'a.png'
        return
    assert both.items() <= found.items()
    assert list(found) == [name for name in names if name in found]
    assert set(found.values()) <= set(ids)
    assert len(set(found.values())) == len(found)
