"""Ids: compared in one Unicode form, in natural order, and told from the header above them."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replearn.errors import DataError, ReplearnWarning
from replearn.ids import IdList, IdMap, is_header, is_lexical_only, natural_key, rows_of
from replearn.matching import ids_meant

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Lésion") for form in ("NFC", "NFD"))
NUMBERED = [f"image_{n}" for n in range(1, 40)]
HASHES = ["9e107d9d372b", "e4d909c290d0", "d41d8cd98f00", "c4ca4238a0b9"]


def test_an_id_is_found_in_any_unicode_form_and_given_back_as_it_came() -> None:
    assert COMPOSED != DECOMPOSED
    kept = IdMap([(DECOMPOSED, 1), ("a", 2)])
    assert (kept[COMPOSED], kept[DECOMPOSED], kept.get("b")) == (1, 1, None)
    assert COMPOSED in kept
    assert list(kept.items()) == [(DECOMPOSED, 1), ("a", 2)]
    assert rows_of(["a", COMPOSED])[DECOMPOSED] == 1


def test_two_ids_that_look_the_same_are_refused() -> None:
    with pytest.raises(DataError, match="in two Unicode forms"):
        rows_of([COMPOSED, DECOMPOSED])


def test_natural_order_goes_by_the_numbers_in_an_id() -> None:
    ids = ["b", "a_10", "a_2", "a_02", "a", "a_2_b", "A_3"]
    assert sorted(ids, key=natural_key) == ["A_3", "a", "a_02", "a_2", "a_2_b", "a_10", "b"]
    assert is_lexical_only(sorted(NUMBERED))
    assert not is_lexical_only(NUMBERED)
    assert not is_lexical_only(NUMBERED[::-1])
    assert not is_lexical_only([f"image_{n:02d}" for n in range(40)])


@given(st.lists(st.text("a_019")))
def test_natural_order_is_an_order_of_all_ids(ids: list[str]) -> None:
    backwards = ids[::-1]
    assert sorted(sorted(ids), key=natural_key) == sorted(backwards, key=natural_key)


@pytest.mark.parametrize(
    ("first", "others", "missing"),
    [
        ("image_name", NUMBERED, 0),
        ("Image Index", NUMBERED, 0),
        ("file", NUMBERED, 15),  # a header all the same, where most others are there
        ("image 2024 test ids", NUMBERED, 0),
        ("path", ["cat", "dog"], 0),
        ("file", HASHES, 0),
        ("file", HASHES, 1),
    ],
)
def test_a_first_line_that_names_nothing_where_the_others_do_is_a_header(
    first: str, others: list[str], missing: int, tmp_path: Path
) -> None:
    known = others[missing:]
    assert is_header(first, others, {*known})
    told = f"list.csv: its first line, '{first}', names no image while the others do; it is taken"
    with pytest.warns(ReplearnWarning, match=told):
        assert ids_meant(IdList(tmp_path / "list.csv", [first, *others]), known, "x") == others


@pytest.mark.parametrize(
    ("first", "others", "known"),
    [
        ("image_77", NUMBERED, NUMBERED),  # it looks like the others: its image is missing
        ("image_name", NUMBERED, ["other"]),  # so do all others
        ("image_name", NUMBERED, NUMBERED[30:]),
        (HASHES[0], HASHES[1:], HASHES[1:]),
        ("cat", ["dog", "cow", "ape"], ["dog", "cow"]),
        ("image_name", NUMBERED, ["image_name", *NUMBERED]),
        (COMPOSED, ["a", "b"], [DECOMPOSED, "a", "b"]),
        ("alone", [], ["other"]),
    ],
)
def test_an_image_is_never_taken_for_a_header(
    first: str, others: list[str], known: list[str], tmp_path: Path
) -> None:
    listed = IdList(tmp_path, [first, *others])
    assert ids_meant(listed, known, "x") == [first, *others]


def test_a_header_by_its_words_is_an_image_where_there_is_one_of_this_name(tmp_path: Path) -> None:
    listed = IdList(tmp_path, ["a", "b"], header="image")
    assert ids_meant(listed, ["a", "b"], "x") == ["a", "b"]
    assert ids_meant(listed, ["a", "b", "image"], "x") == ["image", "a", "b"]


def test_ids_that_a_program_asks_for_are_never_headers() -> None:
    assert ids_meant(["name", *NUMBERED], NUMBERED, "x") == ["name", *NUMBERED]
