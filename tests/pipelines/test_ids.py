"""Ids that a user lists: told from headers, compared in one form, counted where they are lost."""

import shutil
import unicodedata
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import h5py
import numpy as np
import pytest

from replearn.concepts.table import read_concepts
from replearn.features import Features
from replearn.images.image_set import ImageSet
from replearn.neighbors.storage import load_index

Run = Callable[..., tuple[int, str, str]]
TOLD = "its first line, 'image_name', names no image while the others do; it is taken for a header"


@pytest.fixture
def here(chain: Path, tmp_path: Path) -> Path:
    """Return a folder with the chain in it, and lists below a header that nobody knows."""
    for path in chain.iterdir():
        (tmp_path / path.name).symlink_to(path)
    for part in ("train", "valid", "test"):
        lines = (chain / f"data/{part}-concepts.tsv").read_text().splitlines()
        ids = [line.split("\t")[0] for line in lines]
        (tmp_path / f"{part}.csv").write_text("\n".join(["image_name", *ids]))
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        "prepare data/images new.h5 --ids test.csv",
        "extract pca data/images new.h5 --ids test.csv",
        "extract pca images.h5 new.h5 --ids test.csv",
        "train pca.yaml images.h5 new --ids train.csv",
        "draw pca images.h5 new --ids test.csv",
        "predict linear aae-test.h5 new.csv --edition 2026 --ids test.csv",
        "convert data/test-concepts.tsv new.csv --ids test.csv",
        "merge run.csv other.csv --out new.csv --ids test.csv",
        "validate run.csv test.csv",
        "index removed.csv changed --remove",
        "evaluate run.csv truth.csv",
    ],
)
def test_every_stage_tells_the_header_of_a_list_by_what_the_list_names(
    words: str, here: Path, run: Run
) -> None:
    with chdir(here):
        shutil.copytree("index", "changed")
        train = Path("train.csv").read_text().splitlines()
        Path("removed.csv").write_text("\n".join(train[:4]))
        truth = Path("data/test-concepts.tsv").read_text()
        Path("truth.csv").write_text(f"image_name\tgiven\n{truth}")
        for name, detector in (("run", "linear"), ("other", "knn")):
            assert run("predict", detector, "aae-test.h5", f"{name}.csv")[0] == 0
        status, _, err = run(*words.split())
        assert status == 0, err
        assert err.count(TOLD) == 1
        if Path("new.csv").exists():
            assert "image_name" not in Path("new.csv").read_text()
        if Path("new.h5").exists():
            assert " 0 left out" in err


def test_a_missing_first_image_stays_in_the_run_and_is_counted_last(here: Path, run: Run) -> None:
    with chdir(here):
        ids = Path("test.csv").read_text().splitlines()[1:]
        Path("ids.txt").write_text("\n".join(["phantom_999999", *ids, "phantom_999998"]))
        words = ("predict", "linear", "aae-test.h5", "run.csv", "--ids", "ids.txt")
        status, _, err = run(*words)
        assert status == 0
        assert read_concepts(Path("run.csv")).ids == ["phantom_999999", *ids, "phantom_999998"]
        last = err.splitlines()[-1]
        assert last.startswith(f"warning: run.csv: 2 of {len(ids) + 2} images have no features")
        assert last.endswith("best constant prediction: phantom_999999, phantom_999998")


def test_images_without_counterpart_are_counted_in_the_last_line(here: Path, run: Run) -> None:
    with chdir(here):
        train = Path("data/train-concepts.tsv").read_text()
        Path("more.tsv").write_text(f"{train}lost_1\tC1\nlost_2\tC1\n")
        valid = ("aae-valid.h5", "data/valid-concepts.tsv")
        for words, count in (
            ("train pca.yaml images.h5 enc --ids more.tsv --max-errors 0.5", "2 left out"),
            ("extract pca images.h5 x.h5 --ids more.tsv --max-errors 0.5", "2 left out"),
            ("prepare data/images x.h5 --ids more.tsv --max-errors 0.5 --overwrite", "2 left out"),
            (
                f"classify aae-train.h5 more.tsv {' '.join(valid)} det",
                "2 images without features left out",
            ),
            (
                "index aae-train.h5 ix --concepts more.tsv",
                "2 images with concepts have no features",
            ),
        ):
            if words.startswith("prepare"):
                Path("x.h5").unlink()
            status, _, err = run(*words.split())
            assert status == 0, err
            assert count in err.splitlines()[-1], err


def test_the_warnings_of_validate_stand_below_its_verdict(here: Path, run: Run) -> None:
    with chdir(here):
        ids = [f"test_{n}" for n in range(1, 13)]
        Path("lexical.txt").write_text("\n".join(sorted(ids)))
        Path("natural.txt").write_text("\n".join(ids))
        for name, listed in (("lexical", sorted(ids)), ("natural", ids)):
            Path(f"{name}.csv").write_text("".join(["ID,CUIs\n", *(f"{i},C1\n" for i in listed)]))
        words = ("validate", "lexical.csv", "lexical.txt", "--edition")
        status, _, err = run(*words, "2026")
        assert status == 0
        assert "lexical order, as _10 before _2" in err.splitlines()[-1]
        assert run(*words, "2025")[2] == "", "whose evaluator takes any order"
        assert run("validate", "natural.csv", "natural.txt", "--edition", "2026")[2] == ""


def test_ids_are_the_same_in_every_unicode_form_and_written_as_the_list_has_them(
    tmp_path: Path, run: Run
) -> None:
    composed, decomposed = (
        [unicodedata.normalize(form, f"Lésion {n}") for n in range(40)] for form in ("NFC", "NFD")
    )
    rows = [";".join(["C1", "C2"][: 1 + n % 2]) for n in range(40)]
    with chdir(tmp_path):
        with h5py.File("features.h5", "w") as file:
            file["ids"] = decomposed
            file["vectors"] = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
        for name, ids, values in (
            ("concepts", composed, rows),
            ("groups", decomposed, [f"p{n}" for n in range(40)]),
            ("ids", composed[::-1], [""] * 40),
        ):
            lines = (f"{id_}\t{value}\n" for id_, value in zip(ids, values, strict=True))
            Path(f"{name}.tsv").write_text("".join(lines))
        pair = "features.h5 concepts.tsv"
        for words in (
            f"classify {pair} {pair} knn --method knn --groups groups.tsv",
            "predict knn features.h5 run.tsv --ids ids.tsv",
            "index features.h5 index --concepts concepts.tsv",
            "split concepts.tsv lists --groups groups.tsv",
            "convert concepts.tsv concepts.csv --edition 2026 --ids groups.tsv",
            "merge run.tsv concepts.csv --out merged.csv",
        ):
            status, _, err = run(*words.split())
            assert status == 0, err
            assert "no features" not in err
            assert "no group" not in err
        assert read_concepts(Path("run.tsv")).ids == composed[::-1]
        index = load_index(Path("index"))
        assert index.concepts is not None
        assert index.concepts.concepts == [tuple(row.split(";")) for row in rows]
        assert index.vectors(composed[:2]).shape == (2, 3)
        assert run("query", "index", composed[3], "-k", 1)[1].splitlines()[1].split()[1:3] == (
            decomposed[3].split()
        )
        assert Features.load(Path("features.h5")).select(composed).ids == composed
        # The organisers' programs compare bytes: there it is another id, and what it is, is said.
        Path("wrong.tsv").write_text("".join(f"{id_}\tC1\n" for id_ in decomposed))
        status, out, _ = run("validate", "wrong.tsv", "concepts.tsv")
        assert status == 1
        assert "in another Unicode form: write it as the list does" in out


def test_ids_lists_images_only_from_all_subfolders_in_natural_order(
    chain: Path, tmp_path: Path, run: Run
) -> None:
    image = chain / "data/images/phantom_000000.png"
    (tmp_path / "images/test/deep").mkdir(parents=True)
    for place in ("a_10", "test/t_10", "test/deep/t_2", "test/t_9"):
        (tmp_path / "images" / f"{place}.png").symlink_to(image)
    (tmp_path / "images/test/Thumbs.db").touch()
    words = ("ids", tmp_path / "images", "--within", "test")
    status, out, err = run(*words)
    assert (status, out.split()) == (0, ["t_2", "t_9", "t_10"])
    assert "not taken for images: 1 .db" in err
    assert err.splitlines()[-1].endswith(": 3 ids")
    status, out, _ = run(*words, "--ids-from", "path")
    assert out.split() == ["test/deep/t_2", "test/t_9", "test/t_10"]
    assert run(*words[:2])[1].split() == ["a_10", "t_2", "t_9", "t_10"]
    whole = ImageSet.load(chain / "images.h5").ids
    assert run("ids", chain / "images.h5")[1].split() == whole
    for wrong in ("..", "/", "test/../.."):
        assert run(*words[:2], "--within", wrong)[0] == 2


def test_two_images_of_one_id_are_told_apart_by_a_remedy_that_helps(
    chain: Path, tmp_path: Path, run: Run
) -> None:
    image = chain / "data/images/phantom_000000.png"
    for folder, names in (("one", ["a.png"]), ("two", ["a.png", "b.png"]), ("three", ["b.webp"])):
        (tmp_path / "images" / folder).mkdir(parents=True)
        for name in names:
            shutil.copy(image, tmp_path / "images" / folder / name)
    words = ("prepare", tmp_path / "images", tmp_path / "set.h5")
    status, _, err = run(*words)
    assert status == 1
    assert "share the id 'a'; give --ids-from path (with make: IDS_FROM=path)" in err
    assert run(*words, "--ids-from", "path")[0] == 0
    shutil.copy(image, tmp_path / "images/two/b.webp")
    for more in ((), ("--ids-from", "path")):
        shutil.rmtree(tmp_path / "images/one", ignore_errors=True)
        shutil.rmtree(tmp_path / "images/three", ignore_errors=True)
        status, _, err = run(*words, *more)
        assert status == 1
        assert err.splitlines()[-1].endswith("; rename one of them")


@pytest.mark.parametrize("name", ["f.npy", "f.npz", "f.CSV", "f.parquet"])
def test_a_name_of_another_format_is_refused_rather_than_made_a_folder(
    name: str, chain: Path, tmp_path: Path, run: Run
) -> None:
    for words in (
        ("extract", chain / "pca", chain / "images.h5"),
        ("prepare", chain / "data/images"),
    ):
        status, _, err = run(*words, tmp_path / name)
        assert status == 2
        assert "is written as HDF5; name it " in err
        assert not (tmp_path / name).exists()
