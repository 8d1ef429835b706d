"""Scores of run files in every edition: the organisers' worked examples, and plain arithmetic.

The numbers in `EXAMPLES` and in the test of the secondary score come from runs of the organisers'
own evaluators on these files.
"""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replearn.concepts.table import ConceptTable
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

# The organisers' programs, as the reference of the worked examples calls them: A the script of
# 2019, B the server of 2018, C those of 2022 and 2023, E those of 2024 to 2026.
PROGRAM = dict.fromkeys(EDITIONS, "E") | {2017: "A", 2018: "B", 2019: "A", 2020: "A"}
PROGRAM |= {2021: "C", 2022: "C", 2023: "C"}


def many(count: int) -> str:
    return ";".join(f"C{number}" for number in range(1, count + 1))


# Rows as `id|concepts`, several after spaces: truth, run, F1 by A, B, C and E (None: refused), and
# whether 2026's pre-check lets the run pass.
EXAMPLES = [
    ("a|C1;C2", "a|C2;C3", 0.5, 0.5, 0.5, 0.5, True),
    ("a|C1;C2;C3 b|C4", "a|C1 b|C4", 0.75, 0.75, 0.75, 0.75, True),
    ("a|C1;C2 b|C4", "a| b|C4", 0.5, 0.5, 0.5, 0.5, True),
    ("a| b|C4", "a|C1 b|C4", 1.0, 1.0, 0.5, 0.5, True),
    ("a| b|C4", "a| b|C5", 0.0, 0.0, 0.5, 0.5, True),
    ("a|C1;C2", "a|C1;C2;", 0.8, 0.8, 0.8, 0.8, False),
    ("a|C1;C2", "a|C1;_C2", 0.5, 0.5, 1.0, 1.0, True),
    ("a|C1;C2", "a|c1;c2", 1.0, 1.0, 1.0, 1.0, False),
    ("a|C1;C2", "a|C1;C1", 2 / 3, None, None, None, False),
    ("a|C1", f"a|{many(100)}", *[2 / 101] * 4, True),
    ("a|C1", f"a|{many(101)}", 2 / 102, 2 / 102, None, None, False),
    ("a|C1", f"a|{many(1286)}", 2 / 1287, 2 / 1287, None, None, False),
    ("a|C1", f"a|{many(1287)}", 2 / 1288, None, None, None, False),
    ("a|C1 b|C2", "b|C2 a|C1", 1.0, 1.0, 1.0, 1.0, False),
    ("a|C1", "a|C1;C9999999", 2 / 3, 2 / 3, 2 / 3, 2 / 3, True),
    ("a| b|C1", "b|C1 a", 1.0, 1.0, 0.5, 0.5, False),
    ("a|C1;C2;", "a|C1;C2", 0.8, 0.8, 0.8, 0.8, True),
    ("a|C1;C2;", "a|C1;C2;", 1.0, 1.0, 1.0, 1.0, False),
    ("a|c1;C2", "a|C1;c2", 1.0, 1.0, 1.0, 1.0, False),
    ("a|C1 b|C2", "a|C1;; b|C2", 0.5 * 2 / 3 + 0.5, None, None, None, False),
    ("a|C1;C2", "a|C1;c1", 2 / 3, 2 / 3, 2 / 3, 2 / 3, False),
    ("a|C1 b|C2", "a|C1 a|C2 b|C2", 0.5, None, None, None, False),
    ("a|C1", "a|C1 b|C2", None, None, None, None, False),
    ("a|C1 b|C2", "a|C1", None, None, None, None, False),
    ("a|C1", "a|C1|C2", None, None, None, None, False),
]


def rows(text: str, year: int) -> list[str]:
    rules = edition(year)
    swapped = text.replace(";", rules.separator).split()
    return [row.replace("_", " ").replace("|", rules.delimiters[0]) for row in swapped]


def run_lines(text: str, year: int) -> list[str]:
    header = edition(year).header
    return ([header] if header else []) + rows(text, year)


@pytest.mark.parametrize(("truth", "run", "a", "b", "c", "e", "passes"), EXAMPLES)
@pytest.mark.parametrize("year", EDITIONS)
def test_scores_are_those_of_the_official_evaluators(
    truth: str,
    run: str,
    a: float | None,
    b: float | None,
    c: float | None,
    e: float | None,
    passes: bool,
    year: int,
    lines: Lines,
) -> None:
    expected = {"A": a, "B": b, "C": c, "E": e}[PROGRAM[year]]
    run_file = lines("run", *run_lines(run, year))
    # The truth may have the layout of another year.
    for layout in (2017, 2018) if year < 2022 else (2022, 2026):
        truth_file = lines("truth", *run_lines(truth, layout))
        if expected is None:
            with pytest.raises(DataError, match=f"{run_file}: "):
                evaluate_run(run_file, truth_file, edition(year))
        else:
            score = evaluate_run(run_file, truth_file, edition(year))
            assert score.f1 == pytest.approx(expected, abs=1e-12)
            assert score.interval[0] <= score.f1 + 1e-12
            assert score.f1 - 1e-12 <= score.interval[1]
    ids = [row.split("|")[0] for row in truth.split()]
    errors = validate_run(run_file, ids, edition(year)).errors
    assert bool(errors) == (not passes if year == 2026 else expected is None)


@pytest.mark.parametrize("year", EDITIONS)
def test_an_id_alone_where_nothing_is_true(year: int, lines: Lines) -> None:
    truth = ConceptTable(["a"], [()])
    alone, empty = lines("alone", "a"), lines("empty", f"a{edition(year).delimiters[0]}")
    if edition(year).empty == "skip":
        for run in (alone, empty):
            with pytest.raises(DataError, match=r"no image counts|first row"):
                evaluate_run(run, truth, edition(year))
    else:
        assert evaluate_run(alone, truth, edition(year)).f1 == 0.0
        assert evaluate_run(empty, truth, edition(year)).f1 == 1.0


@pytest.mark.parametrize("year", EDITIONS)
def test_a_truth_with_an_id_alone_is_refused_where_the_evaluator_does(
    year: int, lines: Lines
) -> None:
    run, truth = lines("run", *run_lines("a|C1 b|C1", year)), lines("truth", "a\tC1", "b")
    if edition(year).empty == "skip":
        assert evaluate_run(run, truth, edition(year)).f1 == 1.0
    else:
        with pytest.raises(DataError, match="truth: line 2: 'b' stands alone"):
            evaluate_run(run, truth, edition(year))


def test_images_counts_all_and_scored_those_in_the_mean(lines: Lines) -> None:
    truth = ConceptTable(["a", "b"], [(), ("C1",)])
    score = evaluate_run(lines("run", "a\tC1", "b\tC1"), truth, edition(2018))
    assert (score.f1, score.images, score.scored) == (1.0, 2, 1)
    assert math.isnan(score.per_image["a"])
    assert score.per_image["b"] == 1.0


@pytest.mark.parametrize("year", [2023, 2024, 2025, 2026])
def test_ids_that_hold_the_letters_of_a_header_are_dropped_with_a_warning(
    year: int, lines: Lines
) -> None:
    truth = lines("truth", "ID,CUIs", "COVID_1,C1", "b,C2")
    run = lines("run", *(row.replace(",", edition(year).delimiters[0]) for row in [
        "ID,CUIs", "COVID_1,C9", "b,C2",
    ]))  # fmt: skip
    score = evaluate_run(run, truth, edition(year))
    assert (score.f1, score.images) == (1.0, 1)
    report = validate_run(run, ["COVID_1", "b"], edition(year))
    assert report.errors == []
    [warning] = report.warnings
    assert warning.line == 2
    assert "drops such images" in warning.text


def test_roco_concepts_are_a_truth_like_any_other(lines: Lines) -> None:
    truth = lines("cuis.txt", "a\t\tC1\tC2", "b\t\tC4", "c\t")
    run = lines("run", "a|C1", "b|C4", "c|")
    assert evaluate_run(run, truth, edition(2022)).f1 == pytest.approx((2 / 3 + 1 + 1) / 3)


# ---- any truth, any run: the score is that of the published rules, done the slow way


def slow_f1(true: list[str], found: list[str]) -> float:
    """Return the binary F1 over the sorted union, as scikit-learn counts it."""
    union = sorted({*true, *found})
    hits = sum(concept in true and concept in found for concept in union)
    wrong = sum((concept in true) != (concept in found) for concept in union)
    return hits / (hits + wrong / 2) if hits else 0.0


def slow_items(field: str, year: int) -> list[str]:
    items = field.upper().split(edition(year).separator)
    if PROGRAM[year] in "AB":
        return items if field.strip() else []
    return [item.strip() for item in items]


def slow_score(truth: dict[str, str], run: dict[str, str], year: int) -> float | None:
    total, images = 0.0, len(truth)
    for id_, field in run.items():
        true = slow_items(truth[id_], year)
        if true:
            total += slow_f1(true, slow_items(field, year))
        else:
            images -= 1
    return total / images if images else None


PIECES = ["", " ", "C1", "C2", "C3", "c1", "c2", " C1", "C2 ", " c3 ", "C0000004"]
fields = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5)
distinct = fields.map(lambda pieces: list({piece.strip(): piece for piece in pieces}.values()))
images = st.lists(st.tuples(fields, distinct), min_size=1, max_size=6)


@pytest.mark.parametrize("year", EDITIONS)
def test_the_score_of_any_run_is_that_of_the_rules_done_the_slow_way(
    year: int, tmp_path: Path
) -> None:
    rules = edition(year)
    delimiter, join = rules.delimiters[0], rules.separator.join
    run_file, truth_file = tmp_path / "run", tmp_path / "truth"

    @settings(max_examples=30)  # in each edition
    @given(images)
    def check(drawn: list[tuple[list[str], list[str]]]) -> None:
        truth = {f"image{n}": join(true) for n, (true, _) in enumerate(drawn)}
        run = {f"image{n}": join(found) for n, (_, found) in enumerate(drawn)}
        for path, content in ((truth_file, truth), (run_file, run)):
            rows = (f"{id_}{delimiter}{field}\n" for id_, field in content.items())
            path.write_bytes("".join(rows).encode())
        expected = slow_score(truth, run, year)
        if expected is None:
            with pytest.raises(DataError, match="no image counts"):
                evaluate_run(run_file, truth_file, rules)
        else:
            score = evaluate_run(run_file, truth_file, rules)
            assert score.f1 == pytest.approx(expected, abs=1e-12)

    check()


@pytest.mark.parametrize("year", EDITIONS)
def test_a_long_tailed_label_file_scores_as_its_sets_do(year: int, tmp_path: Path) -> None:
    generator = np.random.default_rng(year)
    words = np.array([f"C{number:07d}" for number in range(1751)])
    weights = 1 / np.arange(1, len(words) + 1)

    def draw() -> list[str]:
        size = generator.integers(1, 9)
        chosen = generator.choice(len(words), size, replace=False, p=weights / weights.sum())
        return [str(word) for word in words[chosen]]

    ids = [f"image_{number:06d}" for number in range(500)]
    truth = [draw() for _ in ids]
    run = [[c for c in true if generator.random() < 0.7] + draw()[:1] for true in truth]
    run = [list(dict.fromkeys(named)) for named in run]
    for name, concepts in (("truth", truth), ("run", run)):
        (tmp_path / name).write_text(write_run(ids, concepts, edition(year)))
    score = evaluate_run(tmp_path / "run", tmp_path / "truth", edition(year))
    f1s = [2 * len({*t} & {*p}) / (len(t) + len(p)) for t, p in zip(truth, run, strict=True)]
    assert score.f1 == pytest.approx(sum(f1s) / len(ids), abs=1e-12)
    assert list(score.per_image.values()) == pytest.approx(f1s, abs=1e-12)


# ---- the secondary score

TRUE = ["a,C0040405;C0817096;C0032227", "b,C0041618;C0040053", "c,C0018787"]
MANUAL = ["a,C0040405;C0817096", "b,C0041618", "c,"]
SCORED_TWICE = [2023, 2024, 2025, 2026]


@pytest.mark.parametrize("year", SCORED_TWICE)
@pytest.mark.parametrize(
    ("run", "f1", "secondary"),
    [
        (["a,C0040405;C0032227", "b,C1306645;C0040053", "c,C1306645"], 1.3 / 3, 1 / 3),
        (["a,C0040405;C0817096;C9", "b,C0041618", "c,C0018787"], 7 / 9, 1.0),
    ],
)
def test_the_secondary_score_is_that_of_the_official_evaluator(
    run: list[str], f1: float, secondary: float, year: int, lines: Lines
) -> None:
    manual, truth = lines("manual", "ID,CUIs", *MANUAL), lines("truth", *TRUE)
    run_file = lines("run", *(row.replace(",", edition(year).delimiters[0]) for row in run))
    score = evaluate_run(run_file, truth, edition(year), manual)
    assert score.f1 == pytest.approx(f1, abs=1e-12)
    assert score.f1_secondary == pytest.approx(secondary, abs=1e-12)
    # An image that only the manual truth has stays in the denominator and scores nothing.
    more = lines("more", *MANUAL, "d,")
    score = evaluate_run(run_file, truth, edition(year), more)
    assert score.f1_secondary == pytest.approx(secondary * 2 / 3, abs=1e-12)


@pytest.mark.parametrize("year", SCORED_TWICE)
def test_optical_coherence_tomography_counts_since_2025(year: int, lines: Lines) -> None:
    delimiter = edition(year).delimiters[0]
    truth = lines("truth", f"a{delimiter}C0920367", f"b{delimiter}C0040405")
    run = lines("run", f"a{delimiter}C1", f"b{delimiter}C0040405")
    secondary = evaluate_run(run, truth, edition(year), truth).f1_secondary
    assert secondary == (0.5 if year >= 2025 else 1.0)


def test_a_manual_truth_that_lacks_an_image_or_every_concept_is_refused(lines: Lines) -> None:
    run, truth = lines("run", *TRUE), lines("truth", *TRUE)
    short, other = lines("short", *MANUAL[:2]), lines("other", "a,C1", "b,", "c,")
    with pytest.raises(DataError, match="short: lacks 1 of the run's images: 'c'"):
        evaluate_run(run, truth, edition(2026), short)
    with pytest.raises(DataError, match="other: no image has one of the 15 concepts"):
        evaluate_run(run, truth, edition(2026), other)
    with pytest.raises(UsageError, match="2018 has no secondary score"):
        evaluate_run(lines("run", "a\tC1"), lines("truth", "a\tC1"), edition(2018), short)


# ---- writing

# "ID" is left out since 2026's evaluator drops such ids, tested above.
letters = st.characters(codec="utf-8", exclude_characters='\0\t,;|"\ufeffI')
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

    @settings(max_examples=30)  # in each edition
    @given(runs)
    def check(run: dict[str, list[str]]) -> None:
        path.write_bytes(write_run(list(run), list(run.values()), rules).encode())
        table = read_run(path, rules)
        assert dict(zip(table.ids, map(list, table.concepts), strict=True)) == run
        assert validate_run(path, list(run), rules).errors == []

    check()


def test_the_text_of_a_run_file_is_what_the_organisers_ask_for() -> None:
    ids, concepts = ["a", "b"], [("C1", "C2"), ()]
    assert write_run(ids, concepts, edition(2017)) == "a\tC1,C2\nb\t\n"
    for year in (2018, 2019, 2020):
        assert write_run(ids, concepts, edition(year)) == "a\tC1;C2\nb\t\n"
    for year in (2021, 2022, 2023):
        assert write_run(ids, concepts, edition(year)) == "a|C1;C2\nb|\n"
    for year in (2024, 2025, 2026):
        assert write_run(ids, concepts, edition(year)) == "ID,CUIs\na,C1;C2\nb,\n"


@pytest.mark.parametrize("year", EDITIONS)
def test_the_documentation_has_the_rules_of_the_table(year: int) -> None:
    text = (Path(__file__).parents[2] / "docs/imageclef.md").read_text()
    [row] = [line for line in text.splitlines() if line.startswith(f"| {year} |")]
    cells = [cell.strip().replace("\\", "") for cell in re.split(r"(?<!\\)\|", row)[2:-1]]
    rules = edition(year)
    spoken = [{"\t": "TAB"}.get(d, f"`{d}`") for d in rules.delimiters]
    assert cells[0] == f"{' or '.join(spoken)}, `{rules.separator}`"
    assert ("ID,CUIs" in cells[1]) == (rules.header is not None)
    assert ("may be" in cells[1]) == (rules.skips_header and not rules.precheck)
    assert cells[2] == (f"{rules.max_concepts:,}" if rules.max_concepts else "")
    assert (cells[3] == "not counted") == (rules.empty == "skip")
    assert (cells[4] == "are dropped") == rules.strips
    assert cells[5] == (f"{len(rules.secondary)} concepts" if rules.secondary else "")
    assert (cells[6] == "zip") == (rules.archive is not None)
    assert bool(cells[7]) == bool(rules.unconfirmed)


def test_another_edition_is_only_a_row_of_the_table(lines: Lines) -> None:
    rules = replace(edition(2018), year=2030, delimiters=("|",), strips=True, empty="match")
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
        (2018, ["a\0"], [[]], "cannot stand"),
        (2017, ["a"], [["X ray, chest"]], "'X ray, chest' cannot stand"),
        (2023, ["a|b"], [[]], "'a|b' cannot stand"),
        (2019, ["a"], [["C1", "C1"]], "repeated"),
        (2019, ["a", "a"], [[], []], "stands already"),
        (2025, ["a"], [[f"C{n}" for n in range(101)]], "101 concepts"),
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
    with pytest.raises(UsageError, match="no edition 1999; known: 2017, 2018, 2019"):
        edition(1999)
