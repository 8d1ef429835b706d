"""Concept files of every layout, what is made of them, and the command that divides them."""

from collections import Counter
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.__main__ import main
from replearn.concepts.layouts import read_entries
from replearn.concepts.split import split
from replearn.concepts.table import (
    ConceptTable,
    read_concepts,
    read_ids,
    read_names,
    write_concepts,
)
from replearn.concepts.vocabulary import multi_hot, vocabulary
from replearn.errors import DataError, UsageError

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a text, byte by byte as given, into a file and return its path."""

    def write(text: str | bytes, name: str = "concepts.txt") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


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


def test_the_vocabulary_is_by_frequency_then_by_name() -> None:
    table = ConceptTable(list("abc"), [("C3", "C2"), ("C2", "C1", "C9"), ("C9",)])
    assert vocabulary(table) == ["C2", "C9", "C1", "C3"]
    assert vocabulary(table, 3) == ["C2", "C9", "C1"]


@given(tables, st.integers(0, 8))
def test_multi_hot_is_the_membership_of_the_sets(table: ConceptTable, top: int) -> None:
    words = vocabulary(table, top)
    matrix = multi_hot(table, words)
    assert matrix.shape == (len(table), len(words))
    assert matrix.dtype == np.dtype(np.float32)
    assert matrix.has_canonical_format
    rows = [[float(word in concepts) for word in words] for concepts in map(set, table.concepts)]
    np.testing.assert_array_equal(matrix.toarray(), np.reshape(rows, matrix.shape))


def test_counts_and_select_follow_the_rows() -> None:
    table = ConceptTable(list("abc"), [("C1",), (), ("C1", "C2")])
    assert table.counts.tolist() == [1, 0, 2]
    assert table.select(["c", "a"]) == ConceptTable(["c", "a"], [("C1", "C2"), ("C1",)])
    assert table.select(["c", "a"]).digest != table.select(["a", "c"]).digest


# ---- split


def numbered(count: int) -> ConceptTable:
    return ConceptTable([f"i{n}" for n in range(count)], [(f"C{n % 7}",) for n in range(count)])


@st.composite
def grouped(draw: st.DrawFn) -> tuple[ConceptTable, dict[str, str]]:
    """Draw a table and the groups, of at most 5, of the images that have one."""
    sizes = draw(st.lists(st.integers(1, 5), min_size=20, max_size=30))
    names = [f"g{number}" for number, size in enumerate(sizes) for _ in range(size)]
    draw(st.randoms(use_true_random=False)).shuffle(names)
    table = numbered(len(names))
    alone = {f"g{number}" for number, size in enumerate(sizes) if size == 1 and number}
    return table, {i: n for i, n in zip(table.ids, names, strict=True) if n not in alone}


@given(grouped(), st.sampled_from([0.1, 0.2, 0.3]), st.sampled_from([0, 0.15]), st.integers(0, 9))
def test_parts_are_disjoint_complete_whole_groups_and_of_the_size_asked_for(
    images: tuple[ConceptTable, dict[str, str]], valid: float, test: float, seed: int
) -> None:
    table, groups = images
    parts = split(table, valid=valid, test=test, seed=seed, groups=groups)
    assert list(parts) == ["train", "valid", "test"][: 3 if test else 2]
    assert sorted(id_ for part in parts.values() for id_ in part.ids) == sorted(table.ids)
    for part in parts.values():
        assert part == table.select([id_ for id_ in table.ids if id_ in part.ids])
    homes = {(groups[id_], name) for name in parts for id_ in parts[name].ids if id_ in groups}
    assert len(homes) == len(set(groups.values()))
    largest = max(Counter(groups.values()).values())
    for name, share in {"valid": valid, "test": test}.items():
        asked = round(share * len(table))
        assert asked <= len(parts.get(name, ())) < asked + largest


def test_a_split_depends_on_the_seed_and_not_on_the_order_of_the_file() -> None:
    table = numbered(50)
    parts = split(table, valid=0.2, test=0.1, seed=3)
    assert [len(part) for part in parts.values()] == [35, 10, 5]
    assert split(table, valid=0.2, test=0.1, seed=3) == parts
    assert split(table, valid=0.2, test=0.1, seed=4) != parts
    turned = split(table.select(table.ids[::-1]), valid=0.2, test=0.1, seed=3)
    assert [set(part.ids) for part in turned.values()] == [set(p.ids) for p in parts.values()]


@pytest.mark.parametrize(
    ("count", "valid", "test", "groups", "words"),
    [
        (3, 0.1, 0, None, "the valid part of 3 images in 3 groups would be empty"),
        (9, 0.3, 0.05, None, "the test part of 9 images"),
        (4, 0.2, 0, dict.fromkeys(["i0", "i1", "i2", "i3"], "g"), "the train part"),
        (4, 0.5, 0, {"i0.jpg": "g"}, r"no group is given for any .* \['i0'\]"),
        (4, 0.5, 0, {}, "no group is given"),
    ],
)
def test_a_part_that_would_be_empty_or_without_its_groups_is_refused(
    count: int, valid: float, test: float, groups: dict[str, str] | None, words: str
) -> None:
    with pytest.raises(DataError, match=words):
        split(numbered(count), valid=valid, test=test, groups=groups)


@pytest.mark.parametrize(
    ("valid", "test", "seed"),
    [(-0.1, 0, 0), (0.1, -0.1, 0), (0.9, 0.1, 0), (1, 0, 0), (float("nan"), 0, 0), (0.5, 0, -1)],
)
def test_shares_and_seeds_out_of_range_are_wrong_usage(
    valid: float, test: float, seed: int
) -> None:
    with pytest.raises(UsageError, match="give shares of 0 to 1, together below 1"):
        split(numbered(9), valid=valid, test=test, seed=seed)


# ---- the command


@pytest.fixture
def listed(write: Write) -> Path:
    return write("ID,CUIs\n" + "".join(f"i{n},C1;C{n}\n" for n in range(20)))


def test_the_command_writes_the_parts_once(
    listed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["split", str(listed), str(tmp_path / "lists"), "--valid", "0.2", "--test", "0.1"]
    assert main(arguments) == 0
    written = {path.name: path.read_bytes() for path in (tmp_path / "lists").iterdir()}
    assert sorted(written) == [f"{p}-concepts.tsv" for p in ("test", "train", "valid")]
    parts = split(read_concepts(listed), valid=0.2, test=0.1)
    assert written == {f"{p}-concepts.tsv": write_concepts(t).encode() for p, t in parts.items()}
    assert "train 14, valid 4, test 2 images" in capsys.readouterr().err

    assert main(arguments) == 0
    assert capsys.readouterr().err.count("already made") == 3

    assert main([*arguments, "--seed", "1"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "train-concepts.tsv: holds" in line
    assert "--overwrite" in line
    assert {path.name: path.read_bytes() for path in (tmp_path / "lists").iterdir()} == written

    assert main([*arguments, "--seed", "1", "--overwrite"]) == 0
    assert (tmp_path / "lists" / "train-concepts.tsv").read_bytes() != written["train-concepts.tsv"]


def test_the_command_keeps_groups_together(listed: Path, tmp_path: Path, write: Write) -> None:
    groups = write("".join(f"i{n},p{n // 5}\n" for n in range(20)), "groups.csv")
    arguments = [str(listed), str(tmp_path / "lists"), "--valid", "0.2", "--groups", str(groups)]
    assert main(["split", *arguments]) == 0
    numbers = [int(i[1:]) // 5 for i in read_ids(tmp_path / "lists" / "valid-concepts.tsv")]
    assert numbers == numbers[:1] * 5


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["nothing.csv", "lists"], 1, "nothing.csv: No such file"),
        (["concepts.txt", "lists", "--groups", "nothing.tsv"], 1, "nothing.tsv: No such file"),
        (["concepts.txt", "lists", "--valid", "0.001"], 1, "the valid part of 20 images"),
        (["concepts.txt", "lists", "--valid", "0.9", "--test", "0.1"], 2, "together below 1"),
        (["concepts.txt", "lists", "--valid=-0.1"], 2, "shares of 0 to 1"),
        (["concepts.txt", "lists", "--valid", "nan"], 2, "shares of 0 to 1"),
        (["concepts.txt", "lists", "--valid", "much"], 2, "--valid"),
        (["concepts.txt"], 2, "DIR"),
    ],
)
def test_the_command_fails_in_one_line(
    arguments: list[str],
    status: int,
    words: str,
    listed: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(listed.parent)
    assert main(["split", *arguments]) == status
    output = capsys.readouterr()
    assert output.out == ""
    [line] = output.err.splitlines()
    assert words in line
    assert not Path("lists").exists()


def test_a_list_of_another_split_is_not_left_beside_the_new_ones(tmp_path: Path) -> None:
    (tmp_path / "all.tsv").write_text("".join(f"image{i}\tC1\n" for i in range(20)))
    words = ["split", str(tmp_path / "all.tsv"), str(tmp_path / "lists")]
    assert main([*words, "--test", "0.2"]) == 0
    assert main(words) == 1
    assert main([*words, "--overwrite"]) == 0
    assert not (tmp_path / "lists/test-concepts.tsv").exists()
