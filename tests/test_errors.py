"""Texts and lists in messages: cut where they are long, and left alone where they are not."""

import pytest

from replearn.errors import brief, quoted, shortened, some_of


@pytest.mark.parametrize("mark", ["…", "..."])
def test_a_text_is_cut_to_the_length_with_its_mark(mark: str) -> None:
    assert shortened("x" * 10, 10, mark) == "x" * 10
    cut = shortened("x" * 11, 10, mark)
    assert len(cut) == 10
    assert cut == "x" * (10 - len(mark)) + mark


def test_a_quoted_text_keeps_to_one_line() -> None:
    assert quoted("a\nb") == r"'a\nb'"
    assert quoted("x" * 61) == repr("x" * 57 + "...")


def test_a_list_names_its_first_items_and_says_that_there_are_more() -> None:
    assert some_of(["a", "b", "c"]) == "a, b, c"
    assert some_of(["a", "b", "c", "d"]) == "a, b, c, ..."
    assert some_of([1, 2, 3], 2, lambda item: f"<{item}>") == "<1>, <2>, ..."


def test_an_error_is_told_in_its_first_line_or_by_its_kind() -> None:
    assert brief(OSError("disk  full\nat 0x7f")) == "disk full"
    assert brief(KeyError()) == "KeyError"
