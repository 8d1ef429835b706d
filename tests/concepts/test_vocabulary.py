"""Counts, images and companions of concepts against plain counting, and the command."""

from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.__main__ import main
from replearn.concepts.table import ConceptTable
from replearn.concepts.vocabulary import (
    check_known,
    co_occurrence,
    count_concepts,
    frequent_pairs,
    images_of,
    multi_hot,
    pool,
    vocabulary,
)
from replearn.errors import DataError, ReplearnWarning

Lines = Callable[..., Path]

cuis = st.integers(0, 9).map("C{}".format)
tables = st.lists(st.lists(cuis, unique=True, max_size=5).map(tuple), min_size=1, max_size=12).map(
    lambda rows: ConceptTable([f"i{number}" for number in range(len(rows))], rows)
)


@given(tables, st.integers(1, 10))
def test_counts_images_and_pairs_are_those_of_plain_counting(table: ConceptTable, top: int) -> None:
    words = vocabulary(table, top)
    counts = count_concepts(table, top)
    assert list(counts) == words
    images = images_of(table, words)
    assert {word: len(ids) for word, ids in images.items()} == counts
    for word, ids in images.items():
        rows = zip(table.ids, table.concepts, strict=True)
        assert ids == [id_ for id_, concepts in rows if word in concepts]
    pairs = Counter(
        pair
        for concepts in table.concepts
        for pair in combinations([word for word in words if word in concepts], 2)
    )
    found = list(frequent_pairs(table, words))
    assert {(first, second): count for first, second, count in found} == pairs
    assert [count for _, _, count in found] == sorted(pairs.values(), reverse=True)
    matrix = co_occurrence(table, words).toarray()
    assert (matrix == matrix.T).all()
    assert matrix.diagonal().tolist() == list(counts.values())


def test_an_image_in_several_tables_shows_what_any_of_them_says() -> None:
    first = ConceptTable(["a", "b"], [("C1",), ()])
    second = ConceptTable(["c", "a"], [("C3",), ("C2", "C1")])
    assert pool([first, second]) == ConceptTable(["a", "b", "c"], [("C1", "C2"), (), ("C3",)])


def test_the_command_counts_and_says_what_it_read(
    lines: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    train = lines("train", "ID,CUIs", "a,C1;C2", "b,C2")
    roco = lines("roco", "c\t\tC2\tC3", "d\t")
    assert main(["vocabulary", str(train), str(roco)]) == 0
    output = capsys.readouterr()
    assert output.out == "C2\t3\nC1\t1\nC3\t1\n"
    first, second, last = output.err.splitlines()
    assert first.endswith("comma after the id, `;` between concepts, header `ID` `CUIs`; 2 images")
    assert "as in ROCO" in second
    assert last == "4 images, 1 without concepts; mean 1.25, at most 2; 3 concepts listed"


def test_the_command_writes_counts_images_and_pairs(
    lines: Lines, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = lines("train", "a\tC1;C2", "b\tC2;C1;C3")
    made = {name: tmp_path / f"{name}.tsv" for name in ("out", "inverse", "pairs")}
    words = [word for name, path in made.items() for word in (f"--{name}", str(path))]
    assert main(["vocabulary", str(train), "--top", "2", *words]) == 0
    assert capsys.readouterr().out == ""
    assert made["out"].read_text() == "C1\t2\nC2\t2\n"
    assert made["inverse"].read_text() == "C1\ta;b\nC2\ta;b\n"
    assert made["pairs"].read_text() == "C1\tC2\t2\n"
    # Nothing is replaced unless it may be, and then all is.
    made["inverse"].unlink()
    assert main(["vocabulary", str(train), *words]) == 1
    assert not made["inverse"].exists()
    assert main(["vocabulary", str(train), *words, "--overwrite"]) == 0
    assert made["pairs"].read_text() == "C1\tC2\t2\nC1\tC3\t1\nC2\tC3\t1\n"
    assert main(["vocabulary", str(train), "--top", "0"]) == 2
    assert main(["vocabulary", str(train), "--out", "same", "--inverse", "./same"]) == 2
    assert "give each its own file" in capsys.readouterr().err


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


def test_concepts_that_training_does_not_know_are_counted_or_refused(
    recwarn: pytest.WarningsRecorder,
) -> None:
    train = ConceptTable(["a", "b"], [("C1",), ("C2", "C1")])
    for table in (train, ConceptTable(["c", "d"], [("C1",), ()]), ConceptTable(["c"], [()])):
        check_known(table, train, "valid.tsv", "train.tsv")
    assert not recwarn.list
    some = ConceptTable(["c", "d"], [("C1", "C9"), ("C9", "C8")])
    with pytest.warns(ReplearnWarning) as told:
        check_known(some, train, "valid.tsv", "train.tsv")
    assert str(told[0].message) == (
        "valid.tsv: 2 of 3 concepts, 3 of 4 labels, are of no image of train.tsv ('C9', 'C8')"
    )
    none = ConceptTable(["c"], [("C1|C2",)])
    with pytest.raises(DataError) as refusal:
        check_known(none, train, "valid.tsv", "train.tsv")
    assert str(refusal.value) == (
        "valid.tsv: none of its 1 concepts ('C1|C2') is among those of train.tsv ('C1', 'C2'); are "
        "both files read in one way?"
    )


def test_the_command_reads_what_an_option_settles(
    lines: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    table = lines("table.csv", "image,labels", '1.png,"Edema, left"', "2.png,Cyst")
    assert main(["vocabulary", str(table)]) == 1
    assert "--separator" in capsys.readouterr().err
    assert main(["vocabulary", str(table), "--separator", "comma"]) == 0
    assert capsys.readouterr().out == "Cyst\t1\nEdema\t1\nleft\t1\n"
    assert main(["vocabulary", str(table), "--separator", "|"]) == 0
    assert capsys.readouterr().out == "Cyst\t1\nEdema, left\t1\n"
