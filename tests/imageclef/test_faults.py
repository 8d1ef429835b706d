"""Faults of run files: each is found, named with its line, and told in the official order."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replearn.concepts.table import ConceptTable
from replearn.errors import DataError
from replearn.imageclef import EDITIONS, Edition, edition, evaluate_run, validate_run, write_run
from replearn.imageclef.archives import pack

Lines = Callable[..., Path]


def many(count: int, separator: str = ";") -> str:
    return separator.join(f"C{number}" for number in range(1, count + 1))


PLAIN = ["a|C1;C2", "b|", "c|C3", "d|C1"]


def written(rows: list[str], year: int) -> list[str]:
    """Return rows `id|concepts` as the lines of an edition's run file."""
    rules = edition(year)
    header = [rules.header] if rules.header else []
    row = [row.replace(";", rules.separator).replace("|", rules.delimiters[0]) for row in rows]
    return header + row


VALID = {year: written(PLAIN, year) for year in EDITIONS}
FAULTS: list[tuple[int, int, list[str], int | None, str]] = [
    # edition, line to replace, by what, line and words of the fault
    (2018, 1, ["ID\tCUIs", "a\tC1"], 1, "has no header"),
    (2018, 1, ["\ufeffa\tC1"], 1, "byte-order mark"),
    (2018, 1, ["a"], 1, "fails on a first row without a TAB"),
    (2023, 1, ["a"], 1, "fails on a first row without '|'"),
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
    (2017, 2, ["b\tC1\tC2"], 2, "3 columns"),
    (2017, 2, ["b\tC1", "x\tC1"], 3, "'x' is not one of the 4 images"),
    (2019, 2, ["", "b\tC1"], 2, "blank line"),
    (2019, 4, [], None, "1 of 4 images missing: 'd'"),
    (2022, 1, ["ID|CUIs", "a|C1"], 1, "2022 has no header"),
    (2022, 2, ["b|C1|C2"], 2, "3 columns"),
    (2022, 2, ["b|C1; C1"], 2, "repeated for 'b': 'C1'"),
    (2022, 2, [f"b|{many(101)}"], 2, "101 concepts for 'b'; at most 100"),
    (2022, 4, ["d|C1", "a|C1"], 5, "'a' stands already in line 1"),
    (2023, 1, ["\ufeffa|C1"], 1, "byte-order mark"),
    (2025, 3, ["b,C1;;"], 3, "repeated for 'b': ''"),
    (2025, 3, ["b,C1", ""], 4, "blank line"),
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


# ---- the official order: the first fault is where the organisers' program stops


@pytest.mark.parametrize(
    ("year", "content", "found"),
    [
        # Row by row, and in a row in the order of the pre-check.
        (2026, ["ID,CUIs", "b,C1", "a,C1;C1", "c,", "d,"], [(2, "order"), (3, "repeated")]),
        (2026, ["ID,CUIs", "a,C1;C1", "b, ", "c,c1;", "d,"], [
            (2, "repeated"), (3, "spaces"), (4, "empty concept"), (4, "not a CUI"),
        ]),
        (2026, ["ID,CUIs", "a,", "b,", "c,", "d,", "a,C1;C1"], [
            (6, "stands already"), (6, "too many"), (6, "repeated"),
        ]),
        # The limit is the evaluator's, which comes after all of the pre-check.
        (2026, ["ID,CUIs", f"a,{many(101)}", "b", "c,"], [
            (3, "2 columns"), (None, "missing"), (2, "at most 100"),
        ]),
        # The server of 2018 looks for a repeated id last, those since 2022 before the concepts.
        (2018, ["a\tC1", "a\tC1;C1", "b\t", "c\t", "d\t"], [(2, "repeated"), (2, "already")]),
        (2022, ["a|C1", "a|C1;C1", "b|", "c|", "d|"], [(2, "already"), (2, "repeated")]),
        # The script of 2019 reads all, then counts, then looks the ids up.
        (2019, ["x\tC1", "b\t1\t2"], [(2, "3 columns"), (None, "missing"), (1, "not one of")]),
    ],
)  # fmt: skip
def test_faults_come_in_the_order_of_the_official_checks(
    year: int, content: list[str], found: list[tuple[int | None, str]], lines: Lines
) -> None:
    errors = validate_run(lines("run", *content), list("abcd"), edition(year)).errors
    assert [fault.line for fault in errors] == [line for line, _ in found]
    assert all(words in fault.text for fault, (_, words) in zip(errors, found, strict=True))


# ---- any valid file, any single fault


class Harm(NamedTuple):
    """One thing done to a valid run file: which check finds it, where, and in which words."""

    check: str
    do: Callable[[list[str], int, Edition], list[str]]  # rows, number of a row, rules -> rows
    line: Callable[[int, int], int | None]  # number of the row, of rows -> line in the rows
    words: str


def at(row: int, count: int) -> int:
    return row + 1


def swap(rows: list[str], row: int, change: Callable[[str], str]) -> list[str]:
    return [*rows[:row], change(rows[row]), *rows[row + 1 :]]


def refill(rows: list[str], row: int, rules: Edition, field: str) -> list[str]:
    return swap(rows, row, lambda old: old.split(rules.delimiters[0])[0] + field)


HARMS = [
    Harm("columns", lambda r, i, e: swap(r, i, lambda o: f"{o}{e.delimiters[0]}C9"), at, "columns"),
    Harm("columns", lambda r, i, e: [*r[: i + 1], "", *r[i + 1 :]], lambda i, n: i + 2, "blank"),
    Harm("two columns", lambda r, i, e: refill(r, i, e, ""), at, "2 columns are expected, found 1"),
    Harm("start", lambda r, i, e: refill(r, 0, e, ""), lambda i, n: 1, "first row without"),
    Harm("unknown", lambda r, i, e: swap(r, i, "x{}".format), at, "is not one of"),
    Harm("unknown", lambda r, i, e: swap(r, i, " {}".format), at, "is not one of"),
    Harm("id spaces", lambda r, i, e: swap(r, i, " {}".format), at, "spaces around the id"),
    Harm("field spaces", lambda r, i, e: refill(r, i, e, ",C1 "), at, "spaces around 'C1 '"),
    Harm("duplicate", lambda r, i, e: [*r, r[i]], lambda i, n: n + 1, "stands already in line"),
    Harm("surplus", lambda r, i, e: [*r, "x,C1"], lambda i, n: n + 1, "too many"),
    Harm("order", lambda r, i, e: [*r[1:], r[0]], lambda i, n: 1, "is expected here"),
    Harm("repeat", lambda r, i, e: refill(r, i, e, f"{e.delimiters[0]}C1;C1"), at, "repeated"),
    Harm(
        "limit",
        lambda r, i, e: refill(r, i, e, f"{e.delimiters[0]}{many((e.max_concepts or 0) + 1)}"),
        at,
        "concepts for",
    ),
    Harm("empty item", lambda r, i, e: refill(r, i, e, ",C1;"), at, "an empty concept"),
    Harm("form", lambda r, i, e: refill(r, i, e, ",C1;CT"), at, "not a CUI, C and digits: 'CT'"),
    Harm("missing", lambda r, i, e: r[:i] + r[i + 1 :], lambda i, n: None, "images missing"),
]
ids_of_images = st.text("abcdefgh_0123456789", min_size=1, max_size=9)
cuis = st.integers(0, 10**7).map("C{:07d}".format)
runs = st.dictionaries(ids_of_images, st.lists(cuis, unique=True, max_size=4), min_size=2)


@pytest.mark.parametrize("year", EDITIONS)
def test_any_valid_file_passes_and_any_single_fault_is_found(year: int, tmp_path: Path) -> None:
    rules, path, truth = edition(year), tmp_path / "run", tmp_path / "truth"
    harms = [harm for harm in HARMS if rules.refuses(harm.check)]
    assert len(harms) >= 5

    @settings(max_examples=40)  # in each edition
    @given(runs, st.data())
    def check(run: dict[str, list[str]], data: st.DataObject) -> None:
        text = write_run(list(run), list(run.values()), rules)
        for file in (path, truth):
            file.write_bytes(text.encode())
        assert validate_run(path, list(run), rules).errors == []
        content = text.splitlines()
        header = content[: rules.header is not None]
        rows = content[len(header) :]
        harm, row = data.draw(st.sampled_from(harms)), data.draw(st.integers(0, len(rows) - 1))
        path.write_bytes(("\n".join(header + harm.do(rows, row, rules)) + "\n").encode())
        line = harm.line(row, len(rows))
        found = validate_run(path, list(run), rules).errors
        named = [fault.line for fault in found if harm.words in fault.text]
        assert (None if line is None else line + len(header)) in named, found
        # The evaluator refuses the file, too, unless only the pre-check does.
        if any(harm.check in names for names in rules.checks):
            with pytest.raises(DataError):
                evaluate_run(path, truth, rules)

    check()


# ---- what is no text, and the zip


@pytest.mark.parametrize("year", EDITIONS)
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (bytes(range(256)) * 100, "not text but a binary file"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\n" * 50, "not text but a binary file"),
        ("a\tC1\nb\t".encode("utf-16"), "not UTF-8 text but UTF-16"),
    ],
)
def test_what_is_no_text_is_refused_once(
    content: bytes, words: str, year: int, tmp_path: Path
) -> None:
    path = tmp_path / "run"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"run: this is {words}"):
        validate_run(path, ["a", "b"], edition(year))


def zipped(**files: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("_", "."), text)
    return made.getvalue()


RUN = "".join(f"{line}\n" for line in VALID[2026])


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        (pack(RUN, "submission.csv"), []),
        (zipped(run_csv=RUN), ["must hold submission.csv alone, found 'run.csv'"]),
        (zipped(submission_csv=RUN, notes_txt=""), ["found 'submission.csv', 'notes.txt'"]),
        (pack(RUN + "x,\n", "submission.csv"), ["too many from here", "'x' is not one of"]),
    ],
)
def test_the_zip_is_checked_with_what_is_in_it(
    content: bytes, faults: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "run.zip"
    path.write_bytes(content)
    found = validate_run(path, list("abcd"), edition(2026)).errors
    assert len(found) == len(faults)
    assert all(words in fault.text for fault, words in zip(found, faults, strict=True))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (zipped(a_csv=RUN, b_csv=RUN), "holds 'a.csv', 'b.csv'; pack submission.csv alone"),
        (pack(RUN, "submission.csv")[:60], "the zip is not readable"),
        (zipped(submission_csv="\0\1"), "not text but a binary file"),
    ],
)
def test_a_zip_without_a_run_file_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "run.zip"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        validate_run(path, list("abcd"), edition(2026))


# ---- a run of another edition


@pytest.mark.parametrize("made", EDITIONS)
@pytest.mark.parametrize("given", EDITIONS)
def test_a_run_of_another_edition_is_told(made: int, given: int, lines: Lines) -> None:
    run = lines("run", *VALID[made])
    report = validate_run(run, list("abcd"), edition(given))
    if report.errors:
        assert str(made) in report.hint
        assert str(given) not in report.hint
    else:
        assert report.hint == ""


def test_ids_of_another_edition_are_a_warning(lines: Lines) -> None:
    id_ = "ImageCLEFmedical_Caption_2025_test_7"
    report = validate_run(lines("run", f"{id_}\tC1"), [id_], edition(2018))
    assert report.errors == []
    [warning] = report.warnings
    assert f"the ids have the form of 2025: '{id_}'" in warning.text
    assert validate_run(lines("run", f"{id_},C1"), [id_], edition(2025)).warnings == []


# ---- any text at all

SCRAPS = ["a", "b", "C1", "C3", "ID", *',|\t;" ', "\n", "\r\n", "\ufeff", "ü", "\0"]


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """Draw a text with up to three scraps put in anywhere."""
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(st.sampled_from(SCRAPS)) + text[place:]
    return text


@pytest.mark.parametrize("year", EDITIONS)
def test_a_damaged_file_is_scored_if_and_only_if_no_fault_is_found(
    year: int, tmp_path: Path
) -> None:
    rules, path = edition(year), tmp_path / "run"
    truth = ConceptTable(["a", "b"], [("C1",), ("C2",)])
    text = write_run(truth.ids, truth.concepts, rules)

    @settings(max_examples=50)  # in each edition
    @given(damaged(text) | st.text(max_size=20))
    def check(text: str) -> None:
        path.write_bytes(text.encode("utf-8"))
        refused = ""
        try:
            assert 0 <= evaluate_run(path, truth, rules).f1 <= 1
            errors = validate_run(path, truth.ids, rules).errors
        except DataError as refusal:
            refused = str(refusal)
        if refused:
            assert refused.startswith(f"{path}: ")
            assert len(refused.splitlines()) == 1
            # A binary file is no list of faults.
            assert "\0" in text or validate_run(path, truth.ids, rules).errors
        else:
            # The pre-check of 2026 refuses more than its evaluator.
            assert not errors or rules.precheck

    check()
