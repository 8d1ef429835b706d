"""What the stages write: over nothing that they read or did not write, through links, for all."""

import os
import shutil
import stat
import threading
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest

from pipelines.__main__ import main
from replearn.features import Features
from replearn.images.image_set import ImageSet
from replearn.neighbors.storage import load_index

Run = Callable[..., tuple[int, str, str]]

PARTS = "aae-train.h5 data/train-concepts.tsv aae-valid.h5 data/valid-concepts.tsv"
# A call of each stage that writes, {out} being its output.
WRITERS = {
    "phantoms": "phantoms {out} --count 10",
    "factors": "phantoms data --count 48 --factors {out}.tsv",
    "split": "split data/train-concepts.tsv {out} --groups groups.tsv",
    "prepare": "prepare data/images {out}.h5 --ids ids.txt",
    "prepare shards": "prepare data/images {out} --ids ids.txt",
    "train": "train pca.yaml images.h5 {out} --ids data/train-concepts.tsv",
    "train from": "train aae.yaml images.h5 {out} --init aae",
    "draw": "draw pca images.h5 {out} --ids ids.txt",
    "extract": "extract pca images.h5 {out}.h5 --ids ids.txt",
    "extract shards": "extract pca data/images {out}",
    "classify": f"classify {PARTS} {{out}} --method knn --index index --groups groups.tsv",
    "predict": "predict linear aae-test.h5 {out}.csv --edition 2026 --ids ids.txt",
    "merge": "merge one.csv two.csv --out {out}.csv --edition 2026 --ids ids.txt",
    "convert": "convert one.csv {out}.csv --edition 2026 --ids ids.txt",
    "vocabulary": "vocabulary data/train-concepts.tsv --out {out}.tsv",
    "inverse vocabulary": "vocabulary data/train-concepts.tsv --out counts.tsv --inverse {out}.tsv",
    "pairs": "vocabulary data/train-concepts.tsv --out counts.tsv --pairs {out}.tsv",
    "index": "index aae-train.h5 {out} --concepts data/train-concepts.tsv",
    "query": "query index phantom_000001 -k 1 --sheet {out}.png --names data/concept-names.tsv",
    "diagnose": "diagnose aae-train.h5 aae-train.h5 {out}",
    "report": "report alone/pca {out}.html --names data/concept-names.tsv",
}
# Words that are no input: names of options, stages, ids.
NO_INPUT = {"knn", "phantom_000001"}


def written(stage: str, out: str) -> tuple[list[str], Path]:
    """Return the words of a call, and the path of what it writes."""
    words = WRITERS[stage].format(out=out).split()
    [place] = [word for word in words if word.startswith(out)]
    return words, Path(place)


# Those that neither ask nor need to be asked before they replace what they wrote.
NEVER_ASKING = ("draw", "query")


@pytest.fixture
def here(chain: Path, tmp_path: Path) -> Path:
    """Return a copy of the chain in which every file may be written to."""
    work = tmp_path / "work"
    shutil.copytree(chain, work)
    shutil.copytree(chain / "pca", work / "alone" / "pca")  # without features beside it
    (work / "ids.txt").write_text("".join(f"phantom_{n:06d}\n" for n in range(41, 48)))
    (work / "groups.tsv").write_text("".join(f"phantom_{n:06d}\tp{n // 2}\n" for n in range(48)))
    with chdir(work):
        for name, edition in (("one", "2026"), ("two", "2018")):
            words = f"predict knn aae-test.h5 {name}.csv --edition {edition} --ids ids.txt"
            assert main(words.split()) == 0
    return work


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "link"
    }


@pytest.mark.parametrize("stage", WRITERS)
def test_no_stage_replaces_what_it_reads_whatever_is_asked(
    stage: str, here: Path, run: Run
) -> None:
    before, plain = content(here), WRITERS[stage].split()
    inputs = [word for word in plain[1:] if word not in NO_INPUT and (here / word).exists()]
    assert inputs or stage == "phantoms"
    options = [[]] if stage in NEVER_ASKING else [[], ["--overwrite"]]
    with chdir(here):
        for read in inputs:
            (here / "link").unlink(missing_ok=True)
            (here / "link").symlink_to(read)
            for place in (read, "link"):
                words = [place if word.startswith("{out}") else word for word in plain]
                for more in options:
                    status, _, err = run(*words, *more)
                    assert content(here) == before, words
                    assert status in (1, 2), err  # at fault are the data or the name


@pytest.mark.parametrize("stage", WRITERS)
def test_no_stage_replaces_what_it_did_not_write_whatever_is_asked(
    stage: str, here: Path, run: Run
) -> None:
    words, place = written(stage, "mine")
    options = [] if stage in NEVER_ASKING else ["--overwrite"]
    with chdir(here):
        place.write_text("my own notes\n\nare here")
        assert run(*words, *options)[0] == 1
        assert place.read_text() == "my own notes\n\nare here"
        place.unlink()
        if stage.endswith("split"):  # its lists go into a folder beside whatever is there
            return
        place.mkdir()
        (place / "notes.txt").write_text("mine")
        assert run(*words, *options)[0] == 1
        assert content(place) == {"notes.txt": b"mine"}
        if place.suffix or stage in NEVER_ASKING:
            return
        (place / "notes.txt").unlink()
        assert run(*words)[0] == 0
        (place / "notes.txt").write_text("mine")
        assert run(*words, *options)[0] == 1
        assert (place / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("stage", WRITERS)
def test_every_stage_follows_a_link_at_its_output_and_makes_it_anew_when_overwriting(
    stage: str, here: Path, run: Run
) -> None:
    words, place = written(stage, "link")
    os.umask(mask := os.umask(0o027))
    try:
        os.umask(0o027)
        with chdir(here):
            place.symlink_to("disk/deep/made")
            status, _, err = run(*words)
            assert status == 0, err
            made = here / "disk/deep/made"
            assert place.is_symlink()
            for path in (made, *made.rglob("*")):
                os.utime(path, (0, 0))
            if stage == "draw":
                assert run(*words)[0] == 1
            else:
                again = [] if stage == "query" else ["--overwrite"]
                status, _, err = run(*words, *again)
                assert status == 0, err
                assert "already" not in err
                files = [path for path in (made, *made.rglob("*")) if path.is_file()]
                assert files
                assert min(path.stat().st_mtime for path in files) > 0
            assert place.is_symlink()
            for path in (here / "disk", *(here / "disk").rglob("*")):
                expected = 0o750 if path.is_dir() else 0o640
                assert stat.S_IMODE(path.stat().st_mode) == expected, path
            assert not [path for path in here.rglob(".*") if ".work" in path.name]
    finally:
        os.umask(mask)


@pytest.mark.parametrize("stage", WRITERS)
def test_text_goes_to_stdout_and_into_pipes_and_what_is_no_text_goes_to_neither(
    stage: str, here: Path, run: Run
) -> None:
    words, place = written(stage, "out")
    is_text, is_file = place.suffix not in ("", ".h5", ".png"), place.suffix not in ("", ".h5")
    pipe, at = here / "pipe", words.index(str(place))
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    with chdir(here):
        words[at] = "-"
        status, out, err = run(*words)
        assert (status == 0) == is_text, err
        assert not (here / "-").exists()
        if is_file:
            reader.start()
        words[at] = "pipe"
        status, _, err = run(*words)
        assert (status == 0) == is_file, err
        assert stat.S_ISFIFO(pipe.stat().st_mode)
        if is_file:
            reader.join(10)
            words[at] = f"plain{place.suffix}"
            assert run(*words)[0] == 0
            assert read == [(here / words[at]).read_bytes()]
            assert not is_text or read == [out.encode()]


def test_an_earlier_artefact_of_the_same_kind_is_all_that_overwriting_replaces(
    here: Path, run: Run
) -> None:
    with chdir(here):
        images, features = Path("images.h5").read_bytes(), Path("pca-test.h5").read_bytes()
        assert run("extract", "pca", "data/images", "images.h5", "--overwrite")[0] == 1
        assert run("prepare", "data/images", "pca-test.h5", "--overwrite")[0] == 1
        assert run("index", "pca-test.h5", "linear", "--overwrite")[0] == 1
        assert run(*f"classify {PARTS} index --overwrite".split())[0] == 1
        assert run("train", "pca.yaml", "images.h5", "index", "--overwrite")[0] == 1
        assert (Path("images.h5").read_bytes(), Path("pca-test.h5").read_bytes()) == (
            images,
            features,
        )
        load_index(Path("index"))
        Features.load(Path("pca-test.h5"))
        ImageSet.load(Path("images.h5"))


def test_what_an_index_is_changed_by_is_never_a_part_of_it(here: Path, run: Run) -> None:
    with chdir(here):
        Path("index/notes.txt").write_text("mine")
        before = content(here / "index")
        concepts = ["--concepts", "index/concepts.tsv"]
        for words in (
            ("index", "aae-train.h5", "index", "--overwrite", *concepts),
            ("index", "aae-train.h5", "index", "--add", *concepts),
            ("index", "index/concepts.tsv", "index", "--remove"),
            ("index", "aae-test.h5", "index", "--add", "--concepts", "data/test-concepts.tsv"),
        ):
            status, _, err = run(*words)
            assert status == 1
            assert "which is read here" in err or "holds other files (notes.txt)" in err
            assert content(here / "index") == before


def test_a_comparison_is_not_written_over_files_of_its_names_that_are_of_none(
    here: Path, run: Run
) -> None:
    with chdir(here):
        Path("raw.yaml").write_text("encoders: {raw: {model: raw}}\ndetectors: [linear]\n")
        Path("table.csv").write_text("mine")
        status, _, err = run("compare", "raw.yaml", "data", ".", "--overwrite")
        assert status == 1
        assert "table.csv: is of no comparison and would be replaced" in err
        assert Path("table.csv").read_text() == "mine"
