"""Run files of the editions: the organisers' worked examples, one fault at a time, and the CLI.

The numbers in `EXAMPLES` and in the test of the secondary score come from runs of the organisers'
own evaluators on these files.
"""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.__main__ import main
from replearn.concepts import ConceptTable
from replearn.errors import DataError, UsageError
from replearn.imageclef import (
    EDITIONS,
    edition,
    evaluate_run,
    read_run,
    validate_run,
    write_run,
)

Lines = Callable[..., Path]


@pytest.fixture
def lines(tmp_path: Path) -> Lines:
    """Write lines into a file of this name and return its path."""

    def write(name: str, *content: str) -> Path:
        path = tmp_path / name
        path.write_bytes("".join(f"{line}\n" for line in content).encode())
        return path

    return write


def many(count: int) -> str:
    return ";".join(f"C{number}" for number in range(1, count + 1))


# Rows as `id|concepts`, several after spaces: truth, run, F1 in 2018 and in 2026 (None: refused),
# whether 2026's pre-check lets the run pass.
EXAMPLES = [
    ("a|C1;C2", "a|C2;C3", 0.5, 0.5, True),
    ("a|C1;C2;C3 b|C4", "a|C1 b|C4", 0.75, 0.75, True),
    ("a|C1;C2 b|C4", "a| b|C4", 0.5, 0.5, True),
    ("a| b|C4", "a|C1 b|C4", 1.0, 0.5, True),
    ("a| b|C4", "a| b|C5", 0.0, 0.5, True),
    ("a|C1;C2", "a|C1;C2;", 0.8, 0.8, False),
    ("a|C1;C2", "a|C1;_C2", 0.5, 1.0, True),
    ("a|C1;C2", "a|c1;c2", 1.0, 1.0, False),
    ("a|C1;C2", "a|C1;C1", None, None, False),
    ("a|C1", f"a|{many(100)}", 2 / 101, 2 / 101, True),
    ("a|C1", f"a|{many(101)}", 2 / 102, None, False),
    ("a|C1", f"a|{many(1286)}", 2 / 1287, None, False),
    ("a|C1", f"a|{many(1287)}", None, None, False),
    ("a|C1 b|C2", "b|C2 a|C1", 1.0, 1.0, False),
    ("a|C1", "a|C1;C9999999", 2 / 3, 2 / 3, True),
    ("a| b|C1", "b|C1 a", 1.0, 0.5, False),
    ("a|C1;C2;", "a|C1;C2", 0.8, 0.8, True),
    ("a|C1;C2;", "a|C1;C2;", 1.0, 1.0, False),
    ("a|c1;C2", "a|C1;c2", 1.0, 1.0, False),
    ("a|C1 b|C2", "a|C1;; b|C2", None, None, False),
]


def rows(text: str, year: int) -> list[str]:
    delimiter = edition(year).delimiters[0]
    return [row.replace("_", " ").replace("|", delimiter) for row in text.split()]


def run_lines(text: str, year: int) -> list[str]:
    header = edition(year).header
    return ([header] if header else []) + rows(text, year)


@pytest.mark.parametrize(("truth", "run", "f1_2018", "f1_2026", "passes"), EXAMPLES)
@pytest.mark.parametrize("layout", [2018, 2026])
@pytest.mark.parametrize("year", [2018, 2026])
def test_scores_are_those_of_the_official_evaluators(
    truth: str,
    run: str,
    f1_2018: float | None,
    f1_2026: float | None,
    passes: bool,
    layout: int,
    year: int,
    lines: Lines,
) -> None:
    expected = {2018: f1_2018, 2026: f1_2026}[year]
    truth_file = lines("truth", *run_lines(truth, layout))
    run_file = lines("run", *run_lines(run, year))
    if expected is None:
        with pytest.raises(DataError, match=f"{run_file}: line "):
            evaluate_run(run_file, truth_file, edition(year))
    else:
        score = evaluate_run(run_file, truth_file, edition(year))
        assert score.f1 == pytest.approx(expected, abs=1e-12)
        assert score.interval[0] <= score.f1 + 1e-12
        assert score.f1 - 1e-12 <= score.interval[1]
    ids = [row.split("|")[0] for row in truth.split()]
    errors = validate_run(run_file, ids, edition(year)).errors
    assert bool(errors) == (not passes if year == 2026 else expected is None)


def test_an_id_alone_scores_nothing_in_2026_where_an_empty_field_would(lines: Lines) -> None:
    truth = ConceptTable(["a"], [()])
    alone, empty = lines("alone", "a"), lines("empty", "a,")
    assert evaluate_run(alone, truth, edition(2026)).f1 == 0.0
    assert evaluate_run(empty, truth, edition(2026)).f1 == 1.0


def test_a_truth_without_any_concept_is_refused_in_2018(lines: Lines) -> None:
    run = lines("run", "a\tC1")
    with pytest.raises(DataError, match="run: no image counts"):
        evaluate_run(run, ConceptTable(["a"], [()]), edition(2018))


def test_images_counts_all_and_scored_those_in_the_mean(lines: Lines) -> None:
    truth = ConceptTable(["a", "b"], [(), ("C1",)])
    score = evaluate_run(lines("run", "a\tC1", "b\tC1"), truth, edition(2018))
    assert (score.f1, score.images, score.scored) == (1.0, 2, 1)
    assert math.isnan(score.per_image["a"])
    assert score.per_image["b"] == 1.0


def test_a_comma_between_true_concepts_is_read_as_in_2017(lines: Lines) -> None:
    truth = lines("truth", "a\tC1,C2", "b\tC3")
    assert evaluate_run(lines("run", "a\tC1;C2", "b\tC3"), truth, edition(2018)).f1 == 1.0


def test_2026_drops_ids_that_hold_the_letters_of_a_header_and_says_so(lines: Lines) -> None:
    truth = lines("truth", "ID,CUIs", "COVID_1,C1", "b,C2")
    run = lines("run", "ID,CUIs", "COVID_1,C9", "b,C2")
    score = evaluate_run(run, truth, edition(2026))
    assert (score.f1, score.images) == (1.0, 1)
    [warning] = validate_run(run, ["COVID_1", "b"], edition(2026)).warnings
    assert warning.line == 2
    assert "drops such images" in warning.text


# ---- the secondary score

TRUE = ["a,C0040405;C0817096;C0032227", "b,C0041618;C0040053", "c,C0018787"]
MANUAL = ["a,C0040405;C0817096", "b,C0041618", "c,"]


@pytest.mark.parametrize(
    ("run", "f1", "secondary"),
    [
        (["a,C0040405;C0032227", "b,C1306645;C0040053", "c,C1306645"], 1.3 / 3, 1 / 3),
        (["a,C0040405;C0817096;C9", "b,C0041618", "c,C0018787"], 7 / 9, 1.0),
    ],
)
def test_the_secondary_score_is_that_of_the_official_evaluator(
    run: list[str], f1: float, secondary: float, lines: Lines
) -> None:
    manual = lines("manual", "ID,CUIs", *MANUAL)
    score = evaluate_run(lines("run", *run), lines("truth", *TRUE), edition(2026), manual)
    assert score.f1 == pytest.approx(f1, abs=1e-12)
    assert score.f1_secondary == pytest.approx(secondary, abs=1e-12)
    # An image that only the manual truth has stays in the denominator and scores nothing.
    more = lines("more", *MANUAL, "d,")
    score = evaluate_run(lines("run", *run), lines("truth", *TRUE), edition(2026), more)
    assert score.f1_secondary == pytest.approx(secondary * 2 / 3, abs=1e-12)


def test_a_manual_truth_that_lacks_an_image_or_every_concept_is_refused(lines: Lines) -> None:
    run, truth = lines("run", *TRUE), lines("truth", *TRUE)
    short, other = lines("short", *MANUAL[:2]), lines("other", "a,C1", "b,", "c,")
    with pytest.raises(DataError, match="short: lacks 1 of the run's images: 'c'"):
        evaluate_run(run, truth, edition(2026), short)
    with pytest.raises(DataError, match="other: no image has one of the 15 concepts"):
        evaluate_run(run, truth, edition(2026), other)
    with pytest.raises(UsageError, match="2018 has no secondary score"):
        evaluate_run(lines("run", "a\tC1"), lines("truth", "a\tC1"), edition(2018), short)


# ---- faults: what to put into a valid file of the images a, b, c, d, and what must be said of it

VALID = {
    2018: ["a\tC1;C2", "b\t", "c\tC3", "d\tC1"],
    2026: ["ID,CUIs", "a,C1;C2", "b,", "c,C3", "d,C1"],
}
FAULTS: list[tuple[int, int, list[str], int | None, str]] = [
    # edition, line to replace, by what, line and words of the fault
    (2018, 1, ["ID\tCUIs", "a\tC1"], 1, "has no header"),
    (2018, 1, ["\ufeffa\tC1"], 1, "byte-order mark"),
    (2018, 1, ["a"], 1, "crashes"),
    (2018, 2, ["b\tC1\tC2"], 2, "3 columns"),
    (2018, 2, ["", "b\tC1"], 2, "blank line"),
    (2018, 2, ["  ", "b\tC1"], 2, "blank line"),
    (2018, 2, ["b\tC1", "x\tC1"], 3, "'x' is not one of the 4 images"),
    (2018, 3, ["c.jpg\tC1", "c\tC1"], 3, "leave out the extension"),
    (2018, 3, [" c\tC1", "c\tC1"], 3, "remove the spaces"),
    (2018, 4, ["d\tC1", "a\tC1"], 5, "'a' stands already in line 1"),
    (2018, 2, ["b\tC1;C2;C1"], 2, "repeated for 'b': 'C1'"),
    (2018, 2, [f"b\t{many(1287)}"], 2, "1287 concepts for 'b'; at most 1286"),
    (2018, 4, [], None, "1 of 4 images missing: 'd'"),
    (2026, 1, ["ID,cuis"], 1, "header must be exactly ID,CUIs, found 'ID,cuis'"),
    (2026, 1, ['"ID,CUIs"'], 1, "header must be exactly"),
    (2026, 1, ["ID,CUIs,"], 1, "header must be exactly"),
    (2026, 1, [], 1, "header must be exactly ID,CUIs, found 'a,C1;C2'"),
    (2026, 1, ["\ufeffID,CUIs"], 1, "byte-order mark"),
    (2026, 3, ["b"], 3, "exactly 2 columns are expected, found 1"),
    (2026, 3, ["b,C1,C2"], 3, "exactly 2 columns are expected, found 3"),
    (2026, 3, ["b,C1", ""], 4, "blank line"),
    (2026, 5, ["d,C1", " "], 6, "blank line"),
    (2026, 3, ["b, C1"], 3, "spaces around ' C1'"),
    (2026, 5, ["d,C1", "a,C1"], 6, "'a' stands already in line 2"),
    (2026, 5, ["d,C1", "x,C1"], 6, "'x' is not one of the 4 images"),
    (2026, 3, ["b,C1;;C2"], 3, "empty concept in 'C1;;C2'"),
    (2026, 3, ["b,C1;"], 3, "empty concept"),
    (2026, 3, ["b,c1"], 3, "not a CUI, C and digits: 'c1'"),
    (2026, 3, ["b,C1;C2x"], 3, "not a CUI, C and digits: 'C2x'"),
    (2026, 3, ["b,C1; C1"], 3, "repeated for 'b': 'C1'"),
    (2026, 3, [f"b,{many(101)}"], 3, "101 concepts for 'b'; at most 100"),
    (2026, 5, [], None, "1 of 4 images missing: 'd'"),
    (2026, 3, ["c,C3", "b,"], 3, "'b' is expected here, found 'c' (2 of 4 rows out of place)"),
]
# What comes along by necessity: a row too many, a row that is there twice.
CONSEQUENCES = ("too many from here", "out of place", "is not one of", "stands already")


@pytest.mark.parametrize(("year", "line", "content", "at", "words"), FAULTS)
def test_each_fault_is_found_and_its_line_named(
    year: int, line: int, content: list[str], at: int | None, words: str, lines: Lines
) -> None:
    changed = VALID[year][: line - 1] + content + VALID[year][line:]
    if words.startswith("'b' is expected"):
        changed = [*VALID[2026][:2], "c,C3", "b,", "d,C1"]
    faults = validate_run(lines("run", *changed), list("abcd"), edition(year)).errors
    named = [fault for fault in faults if words in fault.text]
    assert [fault.line for fault in named] == [at]
    others = [fault for fault in faults if fault not in named]
    assert all(any(c in fault.text for c in CONSEQUENCES) for fault in others), others
    assert "\n" not in "".join(map(str, faults))


@pytest.mark.parametrize("year", EDITIONS)
def test_a_valid_file_passes_with_any_line_ends(year: int, tmp_path: Path) -> None:
    for ending in ("\n", "\r\n"):
        for last in (ending, ""):
            path = tmp_path / "run"
            path.write_bytes((ending.join(VALID[year]) + last).encode())
            report = validate_run(path, list("abcd"), edition(year))
            assert (report.errors, report.warnings) == ([], [])
            assert (report.images, report.concepts) == (4, 4)


def test_quoted_cells_pass_in_2026(lines: Lines) -> None:
    run = lines("run", '"ID","CUIs"', '"a","C1;C2"', 'b,""')
    assert validate_run(run, ["a", "b"], edition(2026)).errors == []


@pytest.mark.parametrize("year", EDITIONS)
def test_bytes_that_are_not_utf8_are_a_fault_and_hide_no_other(year: int, tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.write_bytes("\n".join([*VALID[year], "x" + VALID[year][-1]]).encode() + b"\xe9\n")
    first, *others = validate_run(path, list("abcd"), edition(year)).errors
    assert (first.line, "not UTF-8 (byte 0xe9)" in first.text) == (len(VALID[year]) + 1, True)
    assert any("'xd' is not one of" in fault.text for fault in others)


def test_all_faults_are_reported_at_once(lines: Lines) -> None:
    run = lines("run", "ID;CUIs", "a,C1;C1", "", "x,c1", "b,", "d,C1;")
    found = [fault.line for fault in validate_run(run, list("abcd"), edition(2026)).errors]
    assert found == [3, 1, 2, 4, 4, 6, None]


def test_a_missing_or_unknown_row_is_not_also_a_fault_of_order(lines: Lines) -> None:
    ids = [f"image{number}" for number in range(500)]
    run = lines("run", "ID,CUIs", "x,", *(f"{id_}," for id_ in ids[1:]))
    unknown, missing = validate_run(run, ids, edition(2026)).errors
    assert unknown.line == 2
    assert missing.text == "1 of 500 images missing: 'image0'; add their rows"


def test_a_reversed_file_is_one_fault_of_order(lines: Lines) -> None:
    ids = [f"image{number}" for number in range(500)]
    run = lines("run", "ID,CUIs", *(f"{id_},C1" for id_ in reversed(ids)))
    [fault] = validate_run(run, ids, edition(2026)).errors
    assert fault.line == 2
    assert "500 of 500 rows out of place" in fault.text


@pytest.mark.parametrize(
    ("year", "content", "ids", "line", "words"),
    [
        (2018, ["a\tC1", "b\tc2"], ["a", "b"], 2, "1 of 2 rows have lower case"),
        (2018, ["a\tC1", "b\tC2;"], ["a", "b"], 2, "1 of 2 rows have a superfluous separator"),
        (2018, ["a\tC1; C2"], ["a"], 1, "1 of 1 rows have spaces around concepts"),
        (2018, ["a.png\tC1"], ["a.png"], 1, "1 of 1 rows have an image extension"),
        (2018, ["a\t", "b"], ["a", "b"], None, "no concept is predicted for any of the 2"),
        (2018, ["a\tC1;C9", "b\tC8;C9"], ["a", "b"], 1, "not in the vocabulary, 2 in all"),
        (2026, ["ID,CUIs", "a,", "b,"], ["a", "b"], None, "no concept is predicted"),
        (2026, ["ID,CUIs", "a,C1", "b,C7"], ["a", "b"], 3, "not in the vocabulary, 1 in all: 'C7'"),
    ],
)
def test_what_is_only_unusual_is_a_warning(
    year: int, content: list[str], ids: list[str], line: int | None, words: str, lines: Lines
) -> None:
    report = validate_run(lines("run", *content), ids, edition(year), {"C1", "C2"})
    assert report.errors == []
    [warning] = report.warnings
    assert words in warning.text
    assert warning.line == line


# ---- writing

# "ID" is left out since 2026's evaluator drops such ids, tested above.
letters = st.characters(codec="utf-8", exclude_characters='\t,;|"\ufeffI')
names = st.text(letters, min_size=1, max_size=8)
plain = names.filter(lambda name: name.splitlines() == [name] == [name.strip()])
cuis = st.integers(0, 10**7).map("C{:07d}".format)
runs = st.dictionaries(plain, st.lists(cuis, unique=True, max_size=6), min_size=1, max_size=8)


@pytest.mark.parametrize("year", EDITIONS)
def test_writing_then_reading_is_the_identity(
    year: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("runs") / "run"
    rules = edition(year)

    @given(runs)
    def check(run: dict[str, list[str]]) -> None:
        path.write_bytes(write_run(list(run), list(run.values()), rules).encode())
        table = read_run(path, rules)
        assert dict(zip(table.ids, map(list, table.concepts), strict=True)) == run
        assert validate_run(path, list(run), rules).errors == []

    check()


def test_the_text_of_a_run_file_is_what_the_organisers_ask_for() -> None:
    ids, concepts = ["a", "b"], [("C1", "C2"), ()]
    assert write_run(ids, concepts, edition(2018)) == "a\tC1;C2\nb\t\n"
    assert write_run(ids, concepts, edition(2026)) == "ID,CUIs\na,C1;C2\nb,\n"


def test_another_edition_is_only_a_row_of_the_table(lines: Lines) -> None:
    rules = replace(edition(2018), year=2022, delimiters=("|",), strips=True, empty="match")
    text = write_run(["a", "b"], [["C1"], []], rules)
    assert text == "a|C1\nb|\n"
    run = lines("run", *text.splitlines())
    truth = lines("truth", "ID\tcuis", "a\tC1", "b\t")
    assert evaluate_run(run, truth, rules).f1 == 1.0


@pytest.mark.parametrize(
    ("year", "ids", "concepts", "words"),
    [
        (2018, ["a"], [[f"C{n}" for n in range(1287)]], "1287 concepts"),
        (2026, ["a"], [[f"C{n}" for n in range(101)]], "101 concepts"),
        (2018, ["a\tb"], [[]], r"'a\\tb' cannot stand in a run file"),
        (2026, ["a,b"], [[]], "'a,b' cannot stand"),
        (2026, ['a"b'], [[]], "cannot stand"),
        (2018, ["a\nb"], [[]], "cannot stand"),
        (2018, [""], [[]], "'' cannot stand"),
        (2018, [" a"], [[]], "' a' cannot stand"),
        (2018, ["a"], [["C1;C2"]], "'C1;C2' cannot stand"),
        (2018, ["a"], [[""]], "'' cannot stand"),
        (2018, ["a"], [["C1", "C1"]], "repeated"),
        (2026, ["a"], [["c1"]], "not a CUI"),
        (2018, ["a", "a"], [[], []], "stands already"),
        (2018, ["a", "b"], [[]], "1 predictions for 2 images"),
    ],
)
def test_what_the_edition_would_refuse_is_not_written(
    year: int, ids: list[str], concepts: list[list[str]], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        write_run(ids, concepts, edition(year))


def test_an_unknown_edition_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no edition 1999; known: 2018, 2026"):
        edition(1999)


# ---- the commands


def test_evaluate_prints_one_json_object(lines: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    run, truth = lines("run", *VALID[2018]), lines("truth", *VALID[2018])
    assert main(["evaluate", str(run), str(truth), "--json"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out) == {
        "edition": 2018,
        "f1": 1.0,
        "f1_secondary": None,
        "interval": [1.0, 1.0],
        "images": 4,
    }
    assert output.err == ""


def test_evaluate_scores_what_the_pre_check_would_refuse_but_warns(
    lines: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    run = lines("run", "ID,CUIs", *reversed(TRUE))
    truth, manual = lines("truth", *TRUE), lines("manual", *MANUAL)
    arguments = [str(run), str(truth), "--edition", "2026", "--manual", str(manual)]
    assert main(["evaluate", *arguments]) == 0
    output = capsys.readouterr()
    assert output.out.splitlines() == [
        "F1 1.000000 (95% interval 1.0000 to 1.0000)",
        "secondary F1 1.000000",
        "edition 2026, 3 of 3 images count",
    ]
    [warning] = output.err.splitlines()
    assert "(faults: 1); see: replearn validate" in warning


def test_validate_says_in_one_line_that_a_file_is_valid(
    lines: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    run, ids = lines("run", *VALID[2026]), lines("ids", *"abcd")
    assert main(["validate", str(run), str(ids), "--edition", "2026"]) == 0
    output = capsys.readouterr()
    expected = f"{run}: valid for 2026, 4 images, 4 concepts predicted, mean 1.00\n"
    assert (output.out, output.err) == (expected, "")


def test_validate_lists_every_fault_and_fails(
    lines: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    run, truth = lines("run", "a\tC1;c1;C1", "x\tC1", "d"), lines("truth", *VALID[2018])
    assert main(["validate", str(run), str(truth)]) == 1
    output = capsys.readouterr()
    first, second, third, last = output.out.splitlines()
    assert first.startswith(f"{run}: line 1: repeated")
    assert second.startswith(f"{run}: line 2: the id 'x'")
    assert "2 of 4 images missing: 'b', 'c'" in third
    assert last == f"{run}: not valid for 2018, faults: 3"
    assert "lower case" in output.err


@pytest.mark.parametrize("stage", ["validate", "evaluate"])
def test_wrong_input_is_one_line_and_no_traceback(
    stage: str, lines: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    good, empty, folder = lines("good", *VALID[2018]), lines("empty"), lines("empty").parent
    binary = folder / "binary"
    binary.write_bytes(bytes(range(256)))
    cases: list[tuple[list[str], int]] = [
        ([str(folder / "nothing"), str(good)], 1),
        ([str(good), str(folder / "nothing")], 1),
        ([str(folder), str(good)], 1),
        ([str(good), str(empty)], 1),
        ([str(good), str(binary)], 1),
        ([str(good), str(good), "--edition", "1999"], 2),
        ([str(good), str(good), "--edition", "last"], 2),
        ([str(good)], 2),
    ]
    for arguments, status in cases:
        assert main([stage, *arguments]) == status
        output = capsys.readouterr()
        assert output.out == ""
        assert len(output.err.splitlines()) == 1


@pytest.mark.parametrize("content", [b"", bytes(range(256)), b'a,"C1\nb,C2\n', b"\n\n\n"])
@pytest.mark.parametrize("year", EDITIONS)
def test_rubbish_is_refused_by_both_commands(
    content: bytes, year: int, lines: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = lines("truth", *VALID[2018])
    run = truth.parent / "run"
    run.write_bytes(content)
    for stage in ("validate", "evaluate"):
        assert main([stage, str(run), str(truth), "--edition", str(year)]) == 1
        output = capsys.readouterr()
        assert f"{run}: " in output.out + output.err
