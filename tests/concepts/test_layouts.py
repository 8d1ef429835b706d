"""What a look at a concept file finds, in any of the layouts of ImageCLEF and ROCO."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replearn.concepts.layouts import read_entries
from replearn.concepts.table import read_concepts, read_names
from replearn.errors import DataError


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"a\tC1,C2\nb\tC3\n", "TAB after the id, comma between concepts, no header"),
        (b"a\tC1;C2\n", "TAB after the id, `;` between concepts, no header"),
        (b"a|C1;C2\nb|", "`|` after the id, `;` between concepts, no header, no last line end"),
        (b"ID\tcuis\na\tC1\n", "TAB after the id, `;` between concepts, header `ID` `cuis`"),
        (
            b"\xef\xbb\xbfID,CUIs\r\na,C1;C2\r\n",
            "comma after the id, `;` between concepts, header `ID` `CUIs`, CRLF line ends, "
            "byte-order mark",
        ),
        (b'"ID","CUIs"\r"a","C1"\r', "comma after the id, `;` between concepts, header `ID` "
         "`CUIs`, CR line ends"),
        (b"a\nb\n", "ids alone, no header"),
        (b"ID\na\n", "ids alone, header `ID`"),
        (b"a\t\tC1\tC2\nb\t\n", "a column for each concept as in ROCO, no header"),
    ],
)  # fmt: skip
def test_sniffing_says_what_it_found(content: bytes, found: str, tmp_path: Path) -> None:
    path = tmp_path / "concepts"
    path.write_bytes(content)
    assert str(read_entries(path)[0]) == found


def test_a_field_is_told_from_an_id_alone(tmp_path: Path) -> None:
    path = tmp_path / "concepts"
    path.write_text("a,\nb\nc,C1\n")
    assert [entry.field for entry in read_entries(path)[1]] == ["", None, "C1"]


def test_a_comma_parts_concepts_only_where_no_semicolon_does(tmp_path: Path) -> None:
    path = tmp_path / "concepts"
    path.write_text("a\tX ray, chest\nb\tCT;axial\n")
    assert read_concepts(path).concepts == [("X ray, chest",), ("CT", "axial")]


cuis = st.lists(st.integers(0, 99).map("C{:07d}".format), unique=True, max_size=5)
roco = st.dictionaries(st.integers(0, 99999).map("ROCO_{:05d}".format), cuis, min_size=1)


def test_roco_files_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "cuis.txt"

    @given(roco)
    def check(images: dict[str, list[str]]) -> None:
        # ID, TAB, an empty column, one concept a column; without concepts the ID and the TAB.
        rows = ("\t".join([id_, "", *named]) + "\n" for id_, named in images.items())
        path.write_text("".join(rows))
        table = read_concepts(path)
        assert dict(zip(table.ids, map(list, table.concepts), strict=True)) == images

    check()


@pytest.mark.parametrize("content", ["a\t\tC1\nb\tC2\tC3\n", "a\tC1\tC2\n", "a,,C1\n"])
def test_other_columns_are_not_taken_for_those_of_roco(content: str, tmp_path: Path) -> None:
    path = tmp_path / "cuis.txt"
    path.write_text(content)
    with pytest.raises(DataError, match="3 columns where an id and its concepts are expected"):
        read_concepts(path)
    with pytest.raises(DataError, match="3 columns where two are expected"):
        read_names(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "this is not text but a binary file"),
        (b"PK\3\4\x14\0\6\0", "this is not text but a binary file"),
        (
            b"PK\3\4\x14\0\6\0[Content_Types].xml\0\0xl/workbook.xml",
            "an Excel file, not text; save",
        ),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", "this is an Excel file"),
        (bytes(range(1, 256)) * 9, "this is not text but a binary file"),
        ("ID,CUIs\n".encode("utf-16"), "this is not UTF-8 text but UTF-16"),
        ("a\tMüller\n".encode("latin-1"), "line 1: not UTF-8 (byte 0xfc)"),
    ],
)
def test_what_is_no_text_is_told_from_text_with_a_wrong_byte(
    content: bytes, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "concepts.xlsx"
    path.write_bytes(content)
    with pytest.raises(DataError) as refusal:
        read_concepts(path)
    assert words in str(refusal.value)
