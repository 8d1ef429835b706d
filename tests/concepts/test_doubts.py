"""What a label file leaves open is refused in one line, and the option that it names settles it."""

from typing import Any

import pytest

from replearn.concepts.reading import Reading
from replearn.concepts.table import read_concepts, read_ids, read_with_layout
from replearn.errors import DataError, UsageError
from tests.concepts.conftest import Write


def refusal(write: Write, text: str, **options: Any) -> str:
    path = write(text)
    with pytest.raises(DataError) as caught:
        read_concepts(path, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert len(message.splitlines()) == 1
    return message.removeprefix(f"{path}: ")


ALONE = ["healthy", "scab", "rust", "complex"]
PLANTS = [*ALONE, "scab complex", "rust complex", "scab rust", "scab rust complex"]

SETTLED: dict[str, tuple[Any, ...]] = {
    "commas in names or between them": (
        'image,labels\n1.png,"Edema, left"\n2.png,Cyst\n',
        "column `labels`: does ',' stand between concepts in 'Edema, left'? give --separator ','",
        {"separator": ","}, [("Edema", "left"), ("Cyst",)],
        {"separator": ";"}, [("Edema, left",), ("Cyst",)],
    ),
    "semicolons and bars": (
        "1\tA;B|C\n2\tA\n",
        "does ';' stand between concepts in 'A;B|C'? give --separator ';' if it does",
        {"separator": ";"}, [("A", "B|C"), ("A",)],
        {"separator": "|"}, [("A;B", "C"), ("A",)],
    ),
    "spaces": (
        "image,labels\n" + "".join(f"{n}.jpg,{words}\n" for n, words in enumerate(PLANTS)),
        "does space stand between concepts in 'rust complex'? give --separator space",
        {"separator": " "}, [tuple(words.split()) for words in PLANTS],
        {"separator": ";"}, [(words,) for words in PLANTS],
    ),
    "numbers of classes": (
        "Id,Target\n1,16 0\n2,5\n",
        "does space stand between concepts in '16 0'?",
        {"separator": " "}, [("16", "0"), ("5",)],
        {"separator": ";"}, [("16 0",), ("5",)],
    ),
    "a class or a state": (
        "image,label\n1.png,0\n2.png,1\n",
        "`label` holds only 0 and 1: are these the concepts (--layout lists), or do they say",
        {"layout": "lists"}, [("0",), ("1",)],
        {"layout": "columns"}, [(), ("label",)],
    ),
    "which column": (
        "id,label,class_name\n1,0,Edema\n2,3,Cyst\n",
        "which column holds the concepts: label, class_name? give --columns 'id,NAME'",
        {"columns": ["id", "class_name"]}, [("Edema",), ("Cyst",)],
        {"columns": ["1", "2"]}, [("0",), ("3",)],
    ),
    "a caption": (
        'ID,Caption\n1,"CT, axial"\n2,Radiograph\n',
        "which column holds the concepts: Caption? give --columns 'ID,NAME'",
        {"columns": ["ID", "Caption"], "separator": ";"}, [("CT, axial",), ("Radiograph",)],
        {"columns": ["ID", "Caption"], "separator": ","}, [("CT", "axial"), ("Radiograph",)],
    ),
    "one concept a row, or a mistake": (
        "ID,CUIs\na,C1\nb,C3\na,C2\n",
        "line 4: the id 'a' stands already in line 2; list each image once; --layout rows joins",
        {"layout": "rows"}, [("C1", "C2"), ("C3",)],
        None, None,
    ),
    "rows with several concepts": (
        "image_id,label\na,C1;C4\nb,C3\na,C2\n",
        "line 4: the id 'a' stands already in line 2; is 'C1;C4' one concept? If so, give --layout",
        {"layout": "rows"}, [("C1;C4", "C2"), ("C3",)],
        {"layout": "rows", "separator": ";"}, [("C1", "C4", "C2"), ("C3",)],
    ),
    "readers who disagree": (
        "image_id,rad_id,Edema,Cyst\na,R8,0,1\na,R9,1,0\nb,R9,0,0\n",
        "line 3: the id 'a' stands already in line 2, with other concepts; --layout columns takes",
        {"layout": "columns"}, [("Cyst", "Edema"), ()],
        None, None,
    ),
    "one concept a cell": (
        "a;C1;C2\nb;C3\n",
        "line 1: 3 columns where an id and its concepts are expected; is it the right file? If so, "
        "give --layout cells",
        {"layout": "cells"}, [("C1", "C2"), ("C3",)],
        None, None,
    ),
    "columns without names": (
        "1.png,frontal,Edema\n2.png,lateral,Cyst\n",
        "line 1: 3 columns where an id and its concepts are expected",
        {"columns": ["1", "3"]}, [("Edema",), ("Cyst",)],
        {"columns": ["1", "2", "3"]}, [("frontal", "Edema"), ("lateral", "Cyst")],
    ),
    "a mistake among states": (
        "file,Edema,Cyst\n" + "".join(f"{n},1,0\n" for n in range(12)) + "12,x,1\n",
        "line 14: 'x' in `Edema`, where 1, 0, -1 or nothing stands elsewhere; correct it, or name",
        {"columns": ["file", "Cyst"]}, [()] * 12 + [("Cyst",)],
        None, None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SETTLED)
def test_the_option_that_the_refusal_names_settles_it(name: str, write: Write) -> None:
    text, words, one, read, other, read_otherwise = SETTLED[name]
    assert words in refusal(write, text)
    assert read_concepts(write(text), **one).concepts == read
    if other is not None:
        assert read_concepts(write(text), **other).concepts == read_otherwise


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (
            "1,yes,no\n2,no,no\n3,no,yes\n",
            "Edema and Cyst hold 'yes', 'no': are these the concepts",
        ),
        ("1,0,3\n2,1,0\n3,2,4\n", "Edema and Cyst hold '0', '3', ...: are these the concepts"),
    ],
)
def test_answers_are_not_taken_for_concepts_unasked(cells: str, words: str, write: Write) -> None:
    text, columns = f"image,Edema,Cyst\n{cells}", ["image", "Edema", "Cyst"]
    assert words in refusal(write, text, columns=columns)
    assert "--layout cells" in refusal(write, text, columns=columns)
    found = read_concepts(write(text), layout="cells", columns=columns).concepts
    assert found == [tuple(dict.fromkeys(row.split(",")[1:])) for row in cells.splitlines()]


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("a\tC1\n", {"columns": ["image"]}, "no column 'image' for --columns; it has no header"),
        ("id,x\na,C1\n", {"columns": ["y"]}, "no column 'y' for --columns; it has id, x"),
        ("id,x\na,C1\n", {"columns": ["id", "3"]}, "no column '3' for --columns"),
        ("a\tC1\n", {"layout": "columns"}, "no column of 1, 0, -1 and blanks with a name above"),
        ("id,x\na,C1\n", {"layout": "columns"}, "no column of 1, 0, -1 and blanks"),
        ("id,x,y\na,1,C1\n", {"layout": "columns", "columns": ["id", "y"]}, "'C1' in `y`, where"),
        ("id,x,x\na,1,0\n", {}, "two columns are called 'x'; rename one"),
        ("id,x,y\na,b,c\n", {"layout": "rows"}, "which column holds the concepts: x, y"),
        ("id,x,y\na,b,c\n", {"layout": "lists", "columns": ["id", "x", "y"]}, "takes one column"),
        ("id,x,y\na,b\n", {}, "line 2: 2 columns of 3; is the file complete?"),
        ("id,x\na,b,c\n", {}, "line 2: 3 columns where the header has 2; put a field that holds"),
        ("label,x,y\na,b,c\nd,e,f\n", {}, "which column names the images? give --columns NAME"),
        ("id,labels\na,\"['x']\"\nb,y\n", {}, "\"['x']\" is a list in text, 'y' is none"),
        ('id,labels\na,"[0, 1]"\nb,"[1, 1]"\n', {}, "'[0, 1]' is a vector of 0 and 1"),
        ('{"a": ["C1"]}\n', {}, "this is JSON, not a table"),
        ('{"id": "a", "cuis": "C1"}\n{"id": "b"}\n', {}, "this is JSON, not a table"),
        ('[\n {"id": "a"}\n]\n', {}, "this is JSON, not a table"),
        (
            "path y\nx/a.png 0\nx/b.png 1\n",
            {},
            "line 2: a blank after the name of the image in 'x/a.png 0'; put a TAB or a comma",
        ),
        ("1 a.jpg no rsna\n2 b.jpg yes actmed\n", {}, "put a TAB or a comma between the cells"),
        ("# mine\nimage,labels\na,x\nb,y\n", {}, "line 1: '# mine' stands above the names of the"),
        (
            "ImageID,LabelName,Confidence\na,/m/1,1\na,/m/2,0\n",
            {},
            "line 3: `Confidence` says that the image does not show the concept of this row",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(
    text: str, options: dict[str, Any], words: str, write: Write
) -> None:
    assert words in refusal(write, text, **options)


def test_damaged_compressed_text_is_refused(write: Write) -> None:
    with pytest.raises(DataError, match="not readable as gzip"):
        read_concepts(write(b"\x1f\x8b\x08\x00broken"))


def test_an_explicit_layout_changes_nothing_where_there_is_no_doubt(write: Write) -> None:
    lists, stated = write("id,cuis\na,C1;C2\n", "a.csv"), write("id,C1,C2\na,1,1\n", "b.csv")
    for path, layout in ((lists, "lists"), (stated, "columns")):
        assert read_concepts(path, layout=layout) == read_concepts(path)  # type: ignore[arg-type]
        assert read_concepts(path).concepts == [("C1", "C2")]


@pytest.mark.parametrize(
    ("text", "found", "concepts"),
    [
        (
            "photo,finding seen\np1,Edema\np2,Cyst\np3,Edema\n",
            "`photo`",
            ["Edema", "Cyst", "Edema"],
        ),
        ("slide\tX1\ts2\tX\n", None, None),
        ("picture,grade of it\na.png,2\nb.png,0\n", "`picture`", ["2", "0"]),
        ("what,name\nEdema,a.png\nCyst,b.png\n", "`what`", ["Edema", "Cyst"]),
        ("label,file\nEdema,a.png\nCyst,b.png\n", "`label`", ["Edema", "Cyst"]),
        (",image,label\n0,a,Edema\n1,b,Cyst\n", "`image`", ["Edema", "Cyst"]),
        ("Unnamed: 0,image,label\n1,a,Edema\n2,b,Cyst\n", "`image`", ["Edema", "Cyst"]),
        ("a,Edema\nb2,Cyst\nc3,Edema\n", "no header", ["Edema", "Cyst", "Edema"]),
        ("a,Edema\nb2,Cyst\nc3,Edema\nd4,Cyst\n", "no header", ["Edema", "Cyst", "Edema", "Cyst"]),
        ("img,class\nclass,Edema\n", "header `img`", ["Edema"]),
        ("i1,class\ni2,class\ni3,Edema\n", "no header", ["class", "class", "Edema"]),
    ],
)
def test_headers_of_any_name_are_told_from_images(
    text: str, found: str | None, concepts: list[str] | None, write: Write
) -> None:
    if found is None or concepts is None:
        with pytest.raises(DataError):
            read_concepts(write(text))
        return
    layout, table = read_with_layout(write(text))
    assert found in str(layout)
    assert [concept for (concept,) in table.concepts] == concepts


@pytest.mark.parametrize(
    "mark", ["nan", "NaN", "NA", "N/A", "<NA>", "None", "null", "NULL", "#N/A", " nan "]
)
def test_marks_of_missing_values_are_no_concepts_and_are_told(mark: str, write: Write) -> None:
    for text in (
        f"image,labels\n1.png,{mark}\n2.png,Edema|{mark}\n",
        f"image,labels\n1.png,\"['{mark}']\"\n2.png,\"['Edema', {mark}]\"\n",
        f"image,label\n1.png,{mark}\n2.png,Edema\n2.png,{mark}\n",
    ):
        layout, table = read_with_layout(write(text))
        assert table.concepts == [(), ("Edema",)]
        assert f"2 x `{mark.strip()}` is no concept" in str(layout)
    states = f"image,Edema,Cyst\n1.png,{mark},0\n2.png,1,{mark}\n"
    assert read_concepts(write(states)).concepts == [(), ("Edema",)]


@pytest.mark.parametrize(
    ("states", "shown"),
    [
        (("1", "0"), (True, False)),
        (("1.0", "0.0"), (True, False)),
        (("1.0", ""), (True, False)),
        (("True", "False"), (True, False)),
        (("TRUE", "FALSE"), (True, False)),
        (("1e0", "0e0"), (True, False)),
        (("", "1"), (False, True)),
        (('"1,0"', '"0,0"'), (True, False)),
    ],
)
def test_states_are_read_however_they_are_written(
    states: tuple[str, str], shown: tuple[bool, bool], write: Write
) -> None:
    path = write(f"image,Edema\na,{states[0]}\nb,{states[1]}\n")
    assert read_concepts(path).concepts == [("Edema",) if yes else () for yes in shown]


def test_ids_are_read_where_concepts_are_in_doubt(write: Write) -> None:
    for text in (
        "image,label\na,0\nb,1\n",
        'image,labels\na,"x, y"\nb,z\n',
        "image,x,y\na,1,k\nb,-1,l\n",
    ):
        assert read_ids(write(text)) == ["a", "b"]
    with pytest.raises(
        DataError, match="line 3: the id 'a' stands already in line 1; list each id"
    ):
        read_ids(write("a\nb\na\n"))


@pytest.mark.parametrize(
    "options",
    [
        {"layout": "table"},
        {"uncertain": "unknown"},
        {"separator": ""},
        {"columns": ("id", " ")},
    ],
)
def test_values_that_cannot_be_are_wrong_usage(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Reading(**options)


def test_options_name_columns_and_separators_as_a_shell_can() -> None:
    reading = Reading.of_options("rows", "space", '"a, b",Labels', "absent")
    assert reading == Reading("rows", " ", ("a, b", "Labels"), "absent")
    assert Reading.of_options(None, "\\t", None, None) == Reading(separator="\t")
    assert Reading.of_options(None, ",", None, None) == Reading(separator=",")
    with pytest.raises(UsageError, match="--columns"):
        Reading.of_options(None, None, "", None)
