"""Tables of any concepts, written in the layouts of others, come back as they were."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from replearn.concepts.fields import is_missing, items_of
from replearn.concepts.table import ConceptTable, read_concepts, read_ids, write_concepts
from replearn.errors import DataError

# Names as people write them: letters, digits, spaces and what may part or quote others.
_letters = st.sampled_from("abcé XY12,;|'\"[](){}/+&:.-_\\\t\n")
names = (
    st.text(_letters, min_size=1, max_size=12)
    .map(str.strip)
    .filter(lambda name: bool(name) and not is_missing(name))
)
plain_names = (
    st.text("abcé XY12,()/+&:.-_", min_size=1, max_size=12)
    .map(str.strip)
    .filter(lambda name: bool(name) and not is_missing(name) and any(map(str.isalpha, name)))
)
ids = st.integers(0, 99999).map("image_{:05d}.png".format)


def tables(concepts: st.SearchStrategy[str], least: int = 0) -> st.SearchStrategy[ConceptTable]:
    """Tables of at most eight images with at most four of these concepts each."""
    rows = st.lists(concepts, unique=True, min_size=least, max_size=4).map(tuple)
    return st.dictionaries(ids, rows, min_size=1, max_size=8).map(
        lambda table: ConceptTable(list(table), list(table.values()))
    )


def csv_text(rows: Iterable[Sequence[object]], delimiter: str = ",") -> str:
    """Return rows as Python's writer and pandas write them."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return out.getvalue()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables") / "labels.csv"


@given(table=tables(names))
def test_what_is_written_is_read_whatever_the_concepts_are_called(
    table: ConceptTable, path: Path
) -> None:
    path.write_text(write_concepts(table), encoding="utf-8")
    assert read_concepts(path) == table
    assert read_ids(path) == table.ids


@given(first=st.text("iIDdmageCt_ 1", min_size=1, max_size=8).map(str.strip).filter(bool))
def test_the_first_image_is_never_taken_for_a_header(first: str, path: Path) -> None:
    table = ConceptTable([first, "b2", "c3", "d4"], [("words",), ("C1",), (), ("C1",)])
    path.write_text(write_concepts(table), encoding="utf-8")
    assert read_concepts(path) == table


@pytest.mark.parametrize("id_", ["a\tb", "a\nb", " a", '"a"', ""])
def test_an_id_that_no_line_can_hold_is_refused(id_: str) -> None:
    with pytest.raises(DataError, match="cannot stand in a list"):
        write_concepts(ConceptTable([id_], [("C1",)]))


def test_plain_codes_are_written_as_ever() -> None:
    table = ConceptTable(["a1", "b2", "c3"], [("C1", "C2"), (), ("Pleural effusion",)])
    assert write_concepts(table) == "a1\tC1;C2\nb2\t\nc3\tPleural effusion\n"
    awkward = ConceptTable(["a1"], [("aortic, elongated", "x;y")])
    assert write_concepts(awkward) == 'ID\tconcepts\na1\t["aortic, elongated", "x;y"]\n'


@given(table=tables(names), style=st.sampled_from([repr, json.dumps]))
def test_lists_in_text_are_read_as_python_and_json_write_them(
    table: ConceptTable, style: object, path: Path
) -> None:
    assume(any(table.concepts))
    assert callable(style)
    rows = [(id_, style(list(named))) for id_, named in zip(table.ids, table.concepts, strict=True)]
    path.write_text(csv_text([("ImageID", "Labels"), *rows]), encoding="utf-8")
    assert read_concepts(path) == table


@given(words=st.lists(st.text("abé XY'12", min_size=1, max_size=9), max_size=40))
def test_arrays_in_text_are_read_as_numpy_prints_them(words: list[str]) -> None:
    printed = str(np.array(words, dtype=str)) if words else "[]"
    assert items_of(printed) == tuple(word.strip() for word in words)


@given(names=st.lists(names, max_size=5, unique=True))
def test_sets_and_tuples_in_text_are_read_too(names: list[str]) -> None:
    for collection in (set(names), tuple(names)):
        found = items_of(repr(collection))
        assert found is not None
        assert sorted(found) == sorted(names)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("[Edema, ground glass]", ("Edema", "ground glass")),
        ("[3, 0]", ("3", "0")),
        ("[3 0]", ("3", "0")),
        ("[]", ()),
        ("", None),
        ("[['a'], ['b']]", None),
        ("{'a': 1}", None),
        ("(left) effusion (right)", None),
        ("['a'", None),
        ("[a (b)]", None),
    ],
)
def test_only_lists_of_words_are_lists(text: str, items: tuple[str, ...] | None) -> None:
    assert items_of(text) == items


@given(table=tables(plain_names, least=1))
def test_a_row_for_each_concept_is_joined(table: ConceptTable, path: Path) -> None:
    rows = [
        (id_, concept, 0.5)
        for id_, named in zip(table.ids, table.concepts, strict=True)
        for concept in named
    ]
    path.write_text(csv_text([("image_id", "class_name", "x_min"), *rows]), encoding="utf-8")
    assert read_concepts(path, layout="rows") == table
    if len(rows) > len(table):  # so that an image has two
        assert read_concepts(path) == table
    assert read_ids(path) == table.ids


@given(table=tables(plain_names), no=st.sampled_from(["0", "0.0", ""]), semicolon=st.booleans())
def test_columns_of_states_say_the_same(
    table: ConceptTable, no: str, semicolon: bool, path: Path
) -> None:
    named = sorted({concept for concepts in table.concepts for concept in concepts})
    assume(named)
    assume(not any(name.lower() in ("id", "uid", "name", "path", "key", "file") for name in named))
    header = ["Path", "Sex", *named]
    rows = [
        [id_, "F", *("1.0" if name in concepts else no for name in named)]
        for id_, concepts in zip(table.ids, table.concepts, strict=True)
    ]
    path.write_text(csv_text([header, *rows], ";" if semicolon else ","), encoding="utf-8")
    found = read_concepts(path, layout="columns")
    assert found.ids == table.ids
    assert list(map(set, found.concepts)) == list(map(set, table.concepts))


@given(
    table=tables(st.text("abcé XY", min_size=1, max_size=9).map(str.strip).filter(bool)),
    separator=st.sampled_from(";|"),
)
def test_fields_are_parted_by_the_separator_that_any_of_them_has(
    table: ConceptTable, separator: str, path: Path
) -> None:
    assume(any(len(concepts) > 1 for concepts in table.concepts))
    assume(not any(is_missing(c) for concepts in table.concepts for c in concepts))
    rows = [(i, separator.join(named)) for i, named in zip(table.ids, table.concepts, strict=True)]
    path.write_text(csv_text([("Image Index", "Finding Labels"), *rows]), encoding="utf-8")
    assert read_concepts(path) == table


@given(text=st.text("aé1,;|\t\n\r\"'[]{} .", max_size=60))
def test_any_text_is_read_or_refused_in_one_line(text: str, path: Path) -> None:
    path.write_bytes(text.encode())
    for read in (read_concepts, read_ids):
        message, images = f"{path}: ", 1
        try:
            images = len(read(path))
        except DataError as refusal:
            message = str(refusal)
        assert message.startswith(f"{path}: ")
        assert len(message.splitlines()) == 1
        assert images > 0
