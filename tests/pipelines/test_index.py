"""The stages `index` and `query`, as a user types them."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from replearn.concepts.table import read_concepts, read_ids, read_names
from replearn.features import Features

ROOT = Path(__file__).parents[2]
Run = Callable[..., tuple[int, str, str]]


def test_an_indexed_image_finds_itself_unless_excluded(chain: Path, run: Run) -> None:
    id_ = read_ids(chain / "data/train-concepts.tsv")[3]
    image = chain / f"data/images/{id_}.png"
    status, out, _ = run("query", chain / "index", image, "-k", "3", "--json")
    assert status == 0
    (answer,) = json.loads(out)
    assert answer["hits"][0]["id"] == id_
    assert answer["hits"][0]["distance"] == pytest.approx(0, abs=1e-5)
    assert len(answer["hits"]) == 3
    table = read_concepts(chain / "data/train-concepts.tsv")
    assert answer["hits"][0]["concepts"] == list(table.select([id_]).concepts[0])
    _, out, _ = run("query", chain / "index", image, "-k", "3", "--json", "--exclude-self")
    (other,) = json.loads(out)
    assert other["hits"][:2] == answer["hits"][1:]
    assert len(other["hits"]) == 3


def test_ids_are_asked_about_as_their_images_are(chain: Path, run: Run, tmp_path: Path) -> None:
    id_, other = read_ids(chain / "data/train-concepts.tsv")[3:5]
    image = chain / f"data/images/{id_}.png"
    words = ("query", chain / "index", id_, image, other, "-k", "4", "--json")
    status, out, _ = run(*words, "--sheet", tmp_path / "found.png")
    assert status == 0
    by_id, by_image, second = json.loads(out)
    assert [hit["id"] for hit in by_id["hits"]] == [hit["id"] for hit in by_image["hits"]]
    assert (by_id["query"], second["query"]) == (id_, other)
    assert second["hits"][0]["id"] == other
    sheet = cv2.imread(str(tmp_path / "found.png"))
    assert sheet is not None
    assert len(np.unique(sheet)) > 50
    names = ("--names", chain / "data/concept-names.tsv")
    _, table, _ = run("query", chain / "index", other, "-k", "1", *names)
    first = read_concepts(chain / "data/train-concepts.tsv").select([other]).concepts[0][0]
    assert first not in table
    assert read_names(chain / "data/concept-names.tsv")[first] in table


def imports_torch(*words: object) -> bool:
    """Run a stage in a process of its own and tell whether that imported torch."""
    code = (
        "import sys; from pipelines.__main__ import main; "
        f"assert main({[str(word) for word in words]}) == 0; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1] == "True"


def test_ids_need_no_torch(chain: Path) -> None:
    id_ = read_ids(chain / "data/train-concepts.tsv")[0]
    assert not imports_torch("query", chain / "index", id_)


def test_the_contact_sheet_of_an_id_needs_no_torch(chain: Path, tmp_path: Path) -> None:
    id_ = read_ids(chain / "data/train-concepts.tsv")[0]
    sheet = tmp_path / "found.png"
    assert not imports_torch("query", chain / "index", id_, "--sheet", sheet)
    assert sheet.exists()


def test_images_are_added_to_an_index_and_taken_out_again(
    chain: Path, run: Run, tmp_path: Path
) -> None:
    index, image = tmp_path / "index", read_ids(chain / "data/valid-concepts.tsv")[0]
    shutil.copytree(chain / "index", index)
    more = (chain / "aae-valid.h5", index, "--add", "--concepts", chain / "data/valid-concepts.tsv")
    count = len(Features.load(chain / "aae-train.h5"))
    for said in ("images, cosine, exact", "nothing to do"):
        status, _, err = run("index", *more)
        assert status == 0
        assert said in err
    _, out, _ = run("query", index, image, "-k", "1", "--json")
    assert json.loads(out)[0]["hits"][0]["id"] == image
    ids = chain / "data/valid-concepts.tsv"
    for said in (f"{count} images", "nothing to do"):
        status, _, err = run("index", ids, index, "--remove")
        assert status == 0
        assert said in err
    status, _, err = run("query", index, image)
    assert status == 1
    assert "neither an image file nor the id of an indexed image" in err


def test_parts_at_a_time_need_parts(chain: Path, tmp_path: Path, run: Run) -> None:
    status, _, err = run("index", chain / "aae-valid.h5", tmp_path / "index", "--jobs", 2)
    assert status == 2
    assert err.startswith("replearn index: --jobs 2: without --shards")
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize("own", [("--factory", "Flat"), ("--metric", "l2"), ("--recall", 0.9)])
@pytest.mark.parametrize("change", ["--add", "--remove"])
def test_how_an_index_compares_is_settled_when_it_is_built(
    change: str, own: tuple[str, object], chain: Path, run: Run
) -> None:
    status, _, err = run("index", chain / "aae-valid.h5", chain / "index", change, *own)
    assert status == 2
    assert "has its own; leave them out" in err


def test_shards_find_what_one_index_finds(chain: Path, run: Run, tmp_path: Path) -> None:
    features, concepts = chain / "aae-train.h5", chain / "data/train-concepts.tsv"
    words = ("index", features, tmp_path / "parts", "--concepts", concepts, "--shards", 3)
    assert run(*words)[0] == 0
    asked = read_ids(concepts)[:2]
    answers = [
        json.loads(run("query", folder, *asked, "--json", "--exclude-self")[1])
        for folder in (chain / "index", tmp_path / "parts")
    ]
    for one, other in zip(*answers, strict=True):
        assert [hit["id"] for hit in one["hits"]] == [hit["id"] for hit in other["hits"]]


def test_colour_and_grey_are_not_confused(chain: Path, run: Run, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "red.png"), np.full((40, 30, 3), (0, 0, 255), np.uint8))
    status, out, _ = run("query", chain / "index", tmp_path / "red.png", "--json")
    assert status == 0
    assert len(json.loads(out)[0]["hits"]) == 10
