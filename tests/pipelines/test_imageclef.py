"""The commands on run files: validate, evaluate, merge, convert, and predict's submission."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.__main__ import main
from replearn.concepts.table import read_concepts
from replearn.imageclef import EDITIONS, edition, read_run, validate_run, write_run
from replearn.imageclef.archives import pack

Lines = Callable[..., Path]

VALID = {
    2018: ["a\tC1;C2", "b\t", "c\tC3", "d\tC1"],
    2026: ["ID,CUIs", "a,C1;C2", "b,", "c,C3", "d,C1"],
}
TRUE = ["a,C0040405;C0817096;C0032227", "b,C0041618;C0040053", "c,C0018787"]
MANUAL = ["a,C0040405;C0817096", "b,C0041618", "c,"]


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


def test_a_run_of_ids_that_are_all_dropped_as_headers_is_of_no_image(
    lines: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    run, ids = lines("run", "ID|CUIs", "COVID_1|C1"), lines("ids", "COVID_1")
    assert main(["validate", str(run), str(ids), "--edition", "2023"]) == 0
    assert "0 images, 0 concepts predicted, mean 0.00" in capsys.readouterr().out


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
        ([str(binary), str(good)], 1),
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


def test_the_right_edition_is_hinted_at_by_both_commands(
    lines: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    run, truth = lines("run", *VALID[2018]), lines("truth", *VALID[2026])
    words = "it has the form of edition 2018 or 2019 or 2020 or 2023"
    assert main(["evaluate", str(run), str(truth), "--edition", "2026"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith(words)
    assert main(["validate", str(run), str(truth), "--edition", "2026"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].endswith(f"{words}: give --edition")


def test_a_binary_file_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, ids = tmp_path / "run", tmp_path / "ids"
    run.write_bytes(bytes(range(256)) * 100)
    ids.write_text("a\n")
    for stage in ("validate", "evaluate"):
        assert main([stage, str(run), str(ids)]) == 1
        output = capsys.readouterr()
        assert output.out == ""
        [line] = output.err.splitlines()
        assert "this is not text" in line


def test_what_is_not_confirmed_is_said(lines: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    run = lines("run", "a\tC1")
    assert main(["evaluate", str(run), str(run), "--edition", "2020"]) == 0
    assert "2020: not confirmed is the evaluator" in capsys.readouterr().err


def test_concepts_outside_the_vocabulary_are_a_warning(
    lines: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    run, words = lines("run", "a\tC1;C9"), lines("words", "C1\t20", "C2\t10")
    assert main(["validate", str(run), str(run), "--vocabulary", str(words)]) == 0
    assert "not in the vocabulary, 1 in all: 'C9'" in capsys.readouterr().err


def test_evaluate_takes_ids_from_the_column_that_it_is_told(
    lines: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    run = lines("run", "ID,CUIs", "a,C1", "b,C2")
    truth = lines("truth.csv", "key,place,found", "9,a,C1", "7,b,C2")
    words = ["--edition", "2026", "--columns", "place,found"]
    assert main(["evaluate", str(run), str(truth), *words]) == 0
    assert "would refuse it" not in capsys.readouterr().err


# ---- merge


def test_merge_writes_a_valid_run_in_the_order_of_the_ids(
    lines: Lines, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = lines("first", "a\tC1;C2", "b\tC1"), lines("second", "ID,CUIs", "b,C3", "a,C2")
    ids, out = lines("ids", "b", "a"), tmp_path / "merged.csv"
    command = ["merge", str(first), str(second), "--out", str(out), "--ids", str(ids)]
    assert main([*command, "--edition", "2026"]) == 0
    assert out.read_text() == "ID,CUIs\nb,C1;C3\na,C2;C1\n"
    assert "2 images, 2.00 concepts each (merged: 1.50, 1.00)" in capsys.readouterr().err
    for how, text in (("intersection", "b\t\na\tC2\n"), ("votes", "b\t\na\tC2\n")):
        assert main([*command, "--how", how, "--overwrite"]) == 0
        assert out.read_text() == text
    assert main([*command, "--how", "groups"]) == 1
    assert "shares 1 concepts" in capsys.readouterr().err
    for wrong in (["--votes", "1"], ["--how", "all"], ["--edition", "1999"]):
        assert main([*command, *wrong]) == 2
    assert main(["merge", str(first), "--out", str(out)]) == 2


# ---- convert

ids_of_images = st.text("abcdefgh_0123456789", min_size=1, max_size=9)
cuis = st.integers(0, 10**7).map("C{:07d}".format)
runs = st.dictionaries(
    ids_of_images, st.lists(cuis, unique=True, max_size=4), min_size=1, max_size=5
)


@pytest.mark.parametrize("year", EDITIONS)
def test_converting_from_any_edition_to_any_keeps_the_run(year: int, tmp_path: Path) -> None:
    source = tmp_path / "source"

    @settings(max_examples=10)  # in each edition
    @given(runs, st.sampled_from(sorted(EDITIONS)))
    def check(run: dict[str, list[str]], other: int) -> None:
        source.write_text(write_run(list(run), list(run.values()), edition(year)))
        out = tmp_path / "out.csv"
        words = [str(source), str(out), "--edition", str(other), "--overwrite"]
        assert main(["convert", *words]) == 0
        table = read_run(out, edition(other))
        assert dict(zip(table.ids, map(list, table.concepts), strict=True)) == run
        assert validate_run(out, list(run), edition(other)).errors == []

    check()


def test_convert_says_what_it_read_and_what_it_changed(
    lines: Lines, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, ids = lines("cuis.txt", "a\t\tc1\tC1", "b\t", "x\t\tC9"), lines("ids", "b", "a")
    out = tmp_path / "run.csv"
    words = [str(source), str(out), "--edition", "2026", "--ids", str(ids)]
    assert main(["convert", *words]) == 0
    assert out.read_text() == "ID,CUIs\nb,\na,C1\n"
    with zipfile.ZipFile(tmp_path / "run.zip") as archive:
        assert archive.namelist() == ["submission.csv"]
        assert archive.read("submission.csv").decode() == out.read_text()
    said = capsys.readouterr().err
    assert "a column for each concept as in ROCO" in said
    assert "1 of 3 images are left out" in said
    assert "concepts of 1 images were put into capitals" in said
    named = lines("named", "images in the archive", "x/b.png", "x/a.png")
    assert main(["convert", str(source), str(out), "--ids", str(named), "--overwrite"]) == 0
    assert out.read_text() == "x/b.png\t\nx/a.png\tc1;C1\n"  # as the list has them
    more = lines("more", "a", "y")
    assert main(["convert", str(source), str(out), "--ids", str(more)]) == 1
    assert "cuis.txt: lacks 1 of 2 images: y" in capsys.readouterr().err
    assert main(["convert", str(source), str(tmp_path / "run.zip"), "--edition", "2025"]) == 2


# ---- predict


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with the features of some images and a detector fitted on them."""
    folder = tmp_path_factory.mktemp("predict")
    vectors = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    rows = [f"i{n}\t{'C1;C2' if row[0] > 0 else 'C2'}\n" for n, row in enumerate(vectors)]
    (folder / "concepts.tsv").write_text("".join(rows))
    with h5py.File(folder / "features.h5", "w") as file:
        file["vectors"] = vectors
        file["ids"] = [f"i{n}" for n in range(40)]
    pair = [str(folder / "features.h5"), str(folder / "concepts.tsv")]
    words = [*pair, *pair, str(folder / "detector"), "--method", "knn"]
    assert main(["classify", *words]) == 0
    return folder


@pytest.mark.parametrize("year", EDITIONS)
def test_predict_leaves_a_valid_file_with_every_id_and_the_zip_where_one_is_wanted(
    year: int, detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = ["i7", "not_seen", "i3"]
    (tmp_path / "ids").write_text("\n".join(listed))
    run = tmp_path / "out/run.csv"
    words = [str(detector / "detector"), str(detector / "features.h5"), str(run)]
    words += ["--edition", str(year), "--ids", str(tmp_path / "ids")]
    assert main(["predict", *words]) == 0
    said = capsys.readouterr().err
    assert "not_seen" in said
    assert (
        f"3 images, {read_concepts(run).counts.mean():.2f} concepts each, valid for {year}" in said
    )
    assert read_concepts(run).ids == listed
    zipped = run.with_suffix(".zip")
    assert zipped.exists() == (year >= 2025)
    for made in (path for path in (run, zipped) if path.exists()):
        assert main(["validate", str(made), str(tmp_path / "ids"), "--edition", str(year)]) == 0
    # The same again is nothing to do; another zip in its place keeps both from being written.
    before = run.read_bytes()
    assert main(["predict", *words]) == 0
    if zipped.exists():
        zipped.write_bytes(pack("ID,CUIs\nother,C1\n", "submission.csv"))
        run.unlink()
        assert main(["predict", *words]) == 1
        assert not run.exists()
        assert main(["predict", *words, "--overwrite"]) == 0
        zipped.write_bytes(pack("my own\n", "submission.csv"))
        assert main(["predict", *words, "--overwrite"]) == 1
        assert zipped.read_bytes() == pack("my own\n", "submission.csv")
    assert run.read_bytes() == before
