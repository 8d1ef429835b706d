"""The comparison table against its results, recomputed one by one."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from replearn.comparison.results import (
    Protocol,
    Result,
    find_best_encoder,
    to_csv,
    to_latex,
    to_markdown,
)
from replearn.metrics import bootstrap_interval

IDS = [f"image-{number}" for number in range(30)]
SEEDS = range(3)


def result(encoder: str, detector: str, seed: int, f1_valid: float, shift: float) -> Result:
    """Return a result whose images score at random around `shift`; one does not count."""
    generator = np.random.default_rng([seed, *encoder.encode(), *detector.encode()])
    scores = np.clip(generator.normal(shift, 0.1, len(IDS)), 0, 1)
    scores[4] = np.nan
    order = generator.permutation(len(IDS))
    return Result(
        encoder=encoder,
        detector=detector,
        f1=float(np.nanmean(scores)),
        interval=bootstrap_interval(scores),
        rule=["threshold", "top-k"][seed % 2],
        threshold=0.1 * (seed + 1),
        seed=seed,
        f1_valid=f1_valid + 0.01 * seed,
        concepts=7,
        per_image={IDS[place]: float(scores[place]) for place in order},
    )


def results() -> list[Result]:
    """Return all results, seed by seed; pca + linear is best on validation, not on test."""
    return [
        result(*names, seed, f1_valid, shift)
        for seed in SEEDS
        for names, f1_valid, shift in [
            (("none", "constant"), 0.2, 0.2),
            (("pca", "linear"), 0.6, 0.5),
            (("pca", "knn-vote"), 0.4, 0.7),
            (("aae", "linear"), 0.5, 0.4),
        ]
    ]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def tables(text: str) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Return the rows of the two tables, each cell by its heading."""
    found = [
        [cells(line) for line in block.splitlines() if line.startswith("|")]
        for block in text.split("\n\n")
    ]
    first, second = (
        [dict(zip(rows[0], row, strict=True)) for row in rows[2:]] for rows in found if rows
    )
    return first, second


def group(encoder: str, detector: str) -> list[Result]:
    return [r for r in results() if (r.encoder, r.detector) == (encoder, detector)]


def test_every_line_of_a_table_has_as_many_cells_as_its_heading() -> None:
    blocks = to_markdown(results(), Protocol("test")).split("\n\n")
    for table in (blocks[0], blocks[2]):
        lines = table.strip().splitlines()
        assert set(lines[1]) == {"|", "-"}
        assert len({line.count("|") for line in lines}) == 1
        assert all(line.startswith("|") and line.endswith("|") for line in lines)


def test_encoders_and_detectors_have_one_row_each_in_the_order_they_came() -> None:
    rows, _ = tables(to_markdown(results(), Protocol("test")))
    assert [(row["encoder"], row["detector"]) for row in rows] == [
        ("none", "constant"),
        ("pca", "linear"),
        ("pca", "knn-vote"),
        ("aae", "linear"),
    ]


@pytest.mark.parametrize("part", ["test", "valid"])
def test_scores_are_mean_and_deviation_over_seeds(part: str) -> None:
    rows, _ = tables(to_markdown(results(), Protocol(part)))
    for row in rows:
        runs = group(row["encoder"], row["detector"])
        for heading, values in [
            (f"mean F1 on {part}", [r.f1 for r in runs]),
            ("F1 on validation", [r.f1_valid for r in runs]),
        ]:
            mean, deviation = row[heading].strip("*").split(" ± ")
            assert float(mean) == pytest.approx(np.mean(values), abs=6e-4)
            spread = np.sqrt(sum((v - np.mean(values)) ** 2 for v in values) / (len(values) - 1))
            assert float(deviation) == pytest.approx(spread, abs=6e-4)


def test_intervals_rules_thresholds_and_sizes_are_those_of_the_results() -> None:
    rows, _ = tables(to_markdown(results(), Protocol("test")))
    for row in rows:
        runs = group(row["encoder"], row["detector"])
        low, high = map(float, row["95 % interval"].split(" to "))
        assert low == pytest.approx(np.mean([r.interval[0] for r in runs]), abs=6e-4)
        assert high == pytest.approx(np.mean([r.interval[1] for r in runs]), abs=6e-4)
        rest = (row["rule"], row["threshold"], row["concepts"])
        assert rest == ("threshold, top-k", "0.2", "7")


def test_every_row_tells_how_far_it_is_above_the_baseline() -> None:
    rows, _ = tables(to_markdown(results(), Protocol("test")))
    baseline = np.mean([r.f1 for r in group("none", "constant")])
    assert rows[0]["over constant"] == "+0.000"
    for row in rows:
        mean = np.mean([r.f1 for r in group(row["encoder"], row["detector"])])
        assert float(row["over constant"]) == pytest.approx(mean - baseline, abs=6e-4)


def test_a_single_seed_has_no_deviation() -> None:
    text = to_markdown([r for r in results() if r.seed == 0], Protocol("test"))
    assert "±" not in text
    assert "nan" not in text


def test_the_marked_row_is_the_best_on_validation_and_not_on_test() -> None:
    text = to_markdown(results(), Protocol("test"))
    rows, _ = tables(text)
    marked = [row for row in rows if row["mean F1 on test"].startswith("**")]
    assert [(row["encoder"], row["detector"]) for row in marked] == [("pca", "linear")]
    assert max(rows, key=lambda row: row["mean F1 on test"].strip("*"))["detector"] == "knn-vote"
    assert "\npca + linear, chosen on validation, against the others on test:\n" in text


def test_the_choice_is_made_on_the_mean_over_seeds() -> None:
    lucky = [
        replace(r, f1_valid=0.9 if r.seed == 0 else 0.0) if r.encoder == "aae" else r
        for r in results()
    ]
    assert "\npca + linear, chosen on validation" in to_markdown(lucky, Protocol("test"))
    assert find_best_encoder(lucky) == "pca"


def test_the_constant_is_named_without_an_encoder_and_can_be_chosen() -> None:
    best = [replace(r, f1_valid=0.9) if r.encoder == "none" else r for r in results()]
    assert "\nconstant, chosen on validation" in to_markdown(best, Protocol("test"))
    assert find_best_encoder(best) == "pca"


def test_differences_are_those_of_the_same_images() -> None:
    _, rows = tables(to_markdown(results(), Protocol("test")))
    assert [row["against"] for row in rows] == ["constant", "pca + knn-vote", "aae + linear"]
    for row, names in zip(
        rows, [("none", "constant"), ("pca", "knn-vote"), ("aae", "linear")], strict=True
    ):
        ours, theirs = group("pca", "linear"), group(*names)
        by_image = [
            np.mean([r.per_image[id_] for r in ours]) - np.mean([r.per_image[id_] for r in theirs])
            for id_ in IDS
        ]
        low, high = map(float, row["95 % interval"].split(" to "))
        expected = (np.nanmean(by_image), *bootstrap_interval(np.array(by_image)))
        told = (float(row["difference of mean F1"]), low, high)
        # The order of images decides what the bootstrap draws.
        assert told == pytest.approx(expected, abs=0.004)
        assert told[0] == pytest.approx(expected[0], abs=6e-4)


def test_where_validation_is_scored_the_choice_was_made_on_other_images() -> None:
    text = to_markdown(results(), Protocol("valid", "tuning"))
    head = cells(text.splitlines()[0])
    assert {"mean F1 on valid", "F1 on tuning"} <= set(head)
    assert "\npca + linear, chosen on tuning, against the others on valid:\n" in text


def test_groups_are_found_by_any_name_of_their_images() -> None:
    ids, scores = [f"scan_{n}" for n in range(40)], np.repeat([0.0, 1.0], 20)
    patients = {id_: f"patient {n // 10}" for n, id_ in enumerate(ids)}
    by_id = Protocol("test", groups=patients).interval(ids, scores)
    named = {f"images/{id_}.png": patient for id_, patient in patients.items()}
    assert Protocol("test", groups=named).interval(ids, scores) == by_id
    assert by_id != Protocol("test").interval(ids, scores)


def test_intervals_of_differences_go_by_the_groups_of_images() -> None:
    whole = dict.fromkeys(IDS, "one patient")
    _, rows = tables(to_markdown(results(), Protocol("test", groups=whole)))
    for row in rows:  # nothing else can be drawn
        low, high = row["95 % interval"].split(" to ")
        assert low == high == row["difference of mean F1"]


def test_differences_of_equal_images_have_no_width() -> None:
    # Both swing by image; only the pairs tell that one is always ahead by the same.
    ahead = result("pca", "linear", 0, 0.9, 0.5)
    scores = {id_: score - 0.125 for id_, score in ahead.per_image.items()}
    behind = replace(ahead, detector="knn-vote", f1_valid=0.1, per_image=scores)
    constant = result("none", "constant", 0, 0.1, 0.2)
    _, rows = tables(to_markdown([constant, ahead, behind], Protocol("test")))
    assert rows[1]["against"] == "pca + knn-vote"
    assert rows[1]["difference of mean F1"] == "+0.125"
    assert rows[1]["95 % interval"] == "+0.125 to +0.125"


def test_a_row_of_the_json_table_has_all_but_the_images() -> None:
    one = results()[1]
    row = one.as_row()
    assert row["f1"] == one.f1
    assert row["interval"] == one.interval
    assert set(row) == set(vars(one)) - {"per_image"}


def test_a_published_score_stands_in_its_row_only() -> None:
    text = to_markdown(results(), Protocol("test"), published={"pca": {"linear": 0.1102}})
    rows, _ = tables(text)
    column = [row["published F1 on test"] for row in rows]
    assert column == ["", "0.1102", "", ""]
    assert "published" not in to_markdown(results(), Protocol("test"))


def test_the_csv_has_every_result_with_its_numbers_in_full() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(results()))))
    assert len(rows) == len(results())
    for row, expected in zip(rows, results(), strict=True):
        assert (row["encoder"], row["detector"]) == (expected.encoder, expected.detector)
        assert float(row["f1"]) == expected.f1
        assert (float(row["low"]), float(row["high"])) == expected.interval


def test_the_latex_table_has_the_cells_of_the_markdown_one() -> None:
    lines = to_latex(results(), Protocol("test")).splitlines()
    assert lines[0] == r"\begin{tabular}{llrrrrrrrr}"
    rows = [line.removesuffix(r" \\").split(" & ") for line in lines if line.endswith(r"\\")]
    assert {len(row) for row in rows} == {10}
    plain, _ = tables(to_markdown(results(), Protocol("test")))
    for row, expected in zip(rows[1:], plain, strict=True):
        assert row[:2] == list(expected.values())[:2]
        assert row[5] == expected["F1 on validation"].replace("±", r"$\pm$")
        assert row[2].startswith(r"\textbf{") == expected["mean F1 on test"].startswith("**")
