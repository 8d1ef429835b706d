"""Concept files of every layout, and tables of them."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replearn.concepts.layouts import read_entries
from replearn.concepts.table import (
    ConceptTable,
    read_concepts,
    read_ids,
    read_names,
    write_concepts,
)
from replearn.errors import DataError

Write = Callable[..., Path]


# ---- layouts: header, delimiter, separator and a typical id of each year

LAYOUTS = [
    pytest.param("", "\t", ",", "1471-2342-11-10-5", id="2017"),
    pytest.param("", "\t", ";", "1471-2342-11-10-5", id="2018"),
    pytest.param("", "\t", ";", "ROCO_CLEF_07350", id="2019"),
    pytest.param("image,tags", ",", ";", "ROCO_CLEF_07350", id="2019 repacked"),
    pytest.param("", "\t", ";", "ROCO2_CLEF_26437", id="2020"),
    pytest.param("", "|", ";", "synpic12345", id="2021"),
    pytest.param("ID\tcuis", "\t", ";", "ImageCLEFmedCaption_2022_train_000001", id="2022"),
    pytest.param("ID|cuis", "|", ";", "ImageCLEFmedical_Caption_2023_train_000001", id="2023"),
    pytest.param("ID,CUIs", ",", ";", "ImageCLEFmedical_Caption_2024_valid_000001", id="2024"),
    pytest.param(
        "ImageCLEFmedical 2025 ID,Cuis",
        ",",
        ";",
        "ImageCLEFmedical_Caption_2025_train_0",
        id="2025",
    ),
    pytest.param("ID,CUIs", ",", ";", "ImageCLEFmedical_Caption_2026_synth_valid_0", id="2026"),
]


@pytest.mark.parametrize(("header", "delimiter", "separator", "id_"), LAYOUTS)
def test_every_layout_is_read_with_any_line_ends(
    header: str, delimiter: str, separator: str, id_: str, write: Write
) -> None:
    ids = [id_, f"{id_}b", f"{id_}c", f"{id_}d"]
    concepts = [("C0000001", "C0000002"), ("C0000001",), (), ()]
    rows = [f"{i}{delimiter}{separator.join(c)}" for i, c in zip(ids, concepts, strict=True)]
    lines = [header] * bool(header) + rows[:3] + ids[3:]
    for mark, ending, last in product(["", "\ufeff"], ["\n", "\r\n", "\r", "\n\n"], [0, 1]):
        path = write(mark + ending.join(lines) + ending * last)
        assert read_concepts(path) == ConceptTable(ids, concepts), (mark, ending, last)
        assert read_ids(path) == ids


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("a\nb\n", ["a", "b"]),
        ("ID\na\n", ["a"]),
        ("ImageCLEFmedical 2025 ID\na\n", ["a"]),
        ("\n\nID,CUIs\na,C1\n", ["a"]),
        ('"ID","CUIs"\n"a","C1"\n', ["a"]),
        ('"ID"\n"a"\n', ["a"]),
        ("COVID_1\nID_2\n", ["COVID_1", "ID_2"]),
        ("COVID_1,C1\nVIDEO,C2\n", ["COVID_1", "VIDEO"]),
        ("a\nID\n", ["a", "ID"]),
        ("image 1\n image 2 \n", ["image 1", "image 2"]),
        ('"slice 1, axial"\n"slice 2, axial"\n', ["slice 1, axial", "slice 2, axial"]),
        ("slice 1, axial\tC1\nslice 2, axial\t\n", ["slice 1, axial", "slice 2, axial"]),
        ("1|2,3\tC1\n", ["1|2,3"]),
        ('6" film\tC1\n', ['6" film']),
        ("a,C1\nb,C1|C2\nc,C1\t\n", ["a", "b", "c"]),
        ("a\nb\tC1,C2\n", ["a", "b"]),
        ("ü\u2028x\x0cy\tC1\n", ["ü\u2028x\x0cy"]),
    ],
)
def test_ids_are_told_from_headers_and_delimiters(text: str, ids: list[str], write: Write) -> None:
    assert read_ids(write(text)) == ids


def test_concepts_lose_outer_spaces_repetitions_and_empty_ones(write: Write) -> None:
    path = write("a\t C1 ; C2;;C1;\nb\tX ray, chest;\n")
    assert read_concepts(path).concepts == [("C1", "C2"), ("X ray, chest",)]


def test_fields_come_as_they_stand_in_the_file(write: Write) -> None:
    path = write("\nID\tCUIs\n a \t C1;C2; \nb\n")
    assert read_entries(path)[1] == [(3, "a", " C1;C2; "), (4, "b", None)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no image is listed"),
        (b"ID,CUIs\n", "no image is listed"),
        (b"\n \t\n", "no image is listed"),
        (b"a\tC1\nb\na\tC2\n", "line 3: the id 'a' stands already in line 1"),
        (b"a\tC1\tC2\n", "line 1: 3 columns"),
        (b"ID,CUIs\na,C1,C2\n", "line 2: 3 columns"),
        (b"a\tC1\n\tC2\n", "line 2: no id in 'C2'"),
        (b'a,C1\n""\n', "line 2: no id"),
        (b"a,C1\nb\tC2\n", "line 2: a TAB in the id"),
        (b'a,"C1\nb,C2\n', "line 1: not readable .* quote"),
        (b'a,"' + b"C" * 200_000 + b'"\n', "line 1: not readable .*limit"),
        (b"a\tC1\nb\tC\xe9\n", r"line 2: not UTF-8 \(byte 0xe9\)"),
        ("a\tC1\n".encode("utf-16"), "not UTF-8 text but UTF-16"),
        (b"PK\0\0", "not text but a binary file"),
    ],
)
def test_a_file_that_is_no_concept_file_is_refused_in_one_line(
    content: bytes, words: str, write: Write
) -> None:
    path = write(content)
    for reader in (read_concepts, read_ids):
        with pytest.raises(DataError, match=words) as refusal:
            reader(path)
        assert str(refusal.value).startswith(f"{path}: ")
        assert len(str(refusal.value).splitlines()) == 1


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing: No such file"):
        read_ids(tmp_path / "nothing")
    with pytest.raises(DataError, match=r": Is a directory; give a list"):
        read_concepts(tmp_path)


cuis = st.integers(0, 40).map("C{:07d}".format)
ids_of_images = st.text(
    st.characters(codec="utf-8", exclude_characters="\t\n\r\0\ufeff"), min_size=1
)
tables = st.dictionaries(
    ids_of_images.map(lambda id_: f"i{id_}i"),
    st.lists(cuis, unique=True, max_size=6).map(tuple),
    min_size=1,
    max_size=30,
).map(lambda table: ConceptTable(list(table), list(table.values())))


def test_writing_then_reading_is_the_identity(tmp_path: Path) -> None:
    path = tmp_path / "concepts.tsv"

    @given(tables)
    def check(table: ConceptTable) -> None:
        path.write_bytes(write_concepts(table).encode())
        assert read_concepts(path) == table
        assert read_concepts(path).digest == table.digest

    check()


# ---- names and groups


@pytest.mark.parametrize("text", ["C1\tX-ray, chest\nC2\tCT\n", 'C1,"X-ray, chest"\nC2,CT\n'])
def test_names_are_read_from_two_columns_of_any_layout(text: str, write: Write) -> None:
    assert read_names(write(text)) == {"C1": "X-ray, chest", "C2": "CT"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\tp1\nb\n", "line 2: nothing beside 'b'"),
        ("a\tp1\nb\t\n", "line 2: nothing beside 'b'"),
        ("a p1\n", "line 1: nothing beside 'a p1'"),
        ("a\tp1\na\tp2\n", "line 2: 'a' is 'p2' here and 'p1' above"),
    ],
)
def test_names_that_are_missing_or_contradict_are_refused(
    text: str, words: str, write: Write
) -> None:
    with pytest.raises(DataError, match=words):
        read_names(write(text))


# ---- vocabulary and matrix


def test_counts_and_select_follow_the_rows() -> None:
    table = ConceptTable(list("abc"), [("C1",), (), ("C1", "C2")])
    assert table.counts.tolist() == [1, 0, 2]
    assert table.select(["c", "a"]) == ConceptTable(["c", "a"], [("C1", "C2"), ("C1",)])
    assert table.select(["c", "a"]).digest != table.select(["a", "c"]).digest
    named = ConceptTable(["x/c.png", "x/b.png"], table.concepts[:0:-1])  # as a list has them
    assert named.select(["b", "c"]) == table.select(["b", "c"])
    with pytest.raises(DataError, match="d: no concepts of 1 of these images"):
        table.select(["a", "d"])
