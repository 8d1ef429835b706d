"""Splits: parts that are disjoint and complete, and the command that writes them."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.__main__ import main
from replearn.concepts.splitting.split import split
from replearn.concepts.table import (
    ConceptTable,
    read_concepts,
    read_ids,
    write_concepts,
)
from replearn.errors import DataError, UsageError
from tests.concepts.test_table import Write


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
    assert "test-concepts.tsv: holds" in line
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


def test_a_list_of_a_part_that_is_not_written_stands_in_the_way_and_is_never_removed(
    tmp_path: Path,
) -> None:
    # Its images may be in train now; nothing tells whether an earlier split wrote it.
    (tmp_path / "all.tsv").write_text("".join(f"image{i}\tC1\n" for i in range(20)))
    words = ["split", str(tmp_path / "all.tsv"), str(tmp_path / "lists")]
    assert main([*words, "--test", "0.2"]) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "lists").iterdir()}
    for more in ([], ["--overwrite"]):
        assert main([*words, *more]) == 1
        assert {path: path.read_bytes() for path in (tmp_path / "lists").iterdir()} == before
    assert main([*words, "--test", "0.4", "--overwrite"]) == 0
    assert len((tmp_path / "lists/test-concepts.tsv").read_text().splitlines()) == 8


def test_a_split_into_its_own_folder_changes_neither_the_concepts_nor_the_groups(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, column in (("all", "C1"), ("train-concepts", "C1"), ("valid-concepts", "p{}")):
        lines = (f"image{i}\t{column.format(i)}\n" for i in range(20))
        (tmp_path / f"{name}.tsv").write_text("".join(lines))
    train, valid = (str(tmp_path / f"{name}-concepts.tsv") for name in ("train", "valid"))
    before = {path: path.read_text() for path in tmp_path.iterdir()}
    for words in ([train], [str(tmp_path / "all.tsv"), "--groups", valid]):
        for more in ([], ["--overwrite"]):
            assert main(["split", words[0], str(tmp_path), *words[1:], *more]) == 1
            assert "which is read here" in capsys.readouterr().err
            assert {path: path.read_text() for path in tmp_path.iterdir()} == before


def test_a_split_that_is_refused_changes_no_list(tmp_path: Path) -> None:
    # Else a new list of training images would lie beside an old one of validation images.
    (tmp_path / "all.tsv").write_text("".join(f"image{i}\tC1\n" for i in range(40)))
    lists = tmp_path / "lists"
    words = ["split", str(tmp_path / "all.tsv"), str(lists)]
    assert main([*words, "--test", "0.2"]) == 0
    (lists / "train-concepts.tsv").unlink()
    before = {path: path.read_bytes() for path in lists.iterdir()}
    assert main([*words, "--seed", "1", "--test", "0.2"]) == 1
    assert {path: path.read_bytes() for path in lists.iterdir()} == before
    assert main([*words, "--seed", "1"]) == 1
    assert {path: path.read_bytes() for path in lists.iterdir()} == before


def test_a_table_of_states_is_divided_into_lists_that_need_no_option(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"set/p{n // 2}/{n}.jpg,{n % 2},{-(n % 3 == 0):d}\n" for n in range(20))
    listed = write("Path,Edema,Aortic elongation; old\n" + rows, "train.csv")
    groups = write("".join(f"p{n // 2}/{n}\tp{n // 2}\n" for n in range(20)), "groups.tsv")
    arguments = ["split", str(listed), str(tmp_path / "lists"), "--valid", "0.2"]
    assert main(arguments) == 1
    assert "give --uncertain absent" in capsys.readouterr().err
    settled = [*arguments, "--uncertain", "present", "--groups", str(groups)]
    assert main(settled) == 0
    assert "7 x -1 (uncertain) taken as present; 20 images, 2 concepts" in capsys.readouterr().err
    train, valid = (
        read_concepts(tmp_path / "lists" / f"{part}-concepts.tsv") for part in ("train", "valid")
    )
    whole = read_concepts(listed, uncertain="present")
    for part in (train, valid):
        assert part == whole.select(part.ids)
    assert len(train) == 16
    assert not {id_.split("/")[1] for id_ in train.ids} & {id_.split("/")[1] for id_ in valid.ids}
