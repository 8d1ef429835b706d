"""Search and detection by text, with an encoder that has a text tower."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipelines.__main__ import main
from replearn.encoders.encoder import load_encoder
from replearn.errors import UsageError
from replearn.features import Features
from replearn.retrieval.cards import detection_table, query_image
from replearn.retrieval.explorer import Explorer
from replearn.retrieval.image_search import ImageSearch
from tests.encoders.backbones.tiny import MAKERS

Run = Callable[..., tuple[int, str, str]]
TEXT = "pleural effusion"


@pytest.fixture(scope="module")
def home(networks: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an encoder of two towers, features of phantoms, and indexes of them."""
    folder = tmp_path_factory.mktemp("texts")
    torch.manual_seed(0)
    with torch.no_grad():
        network = MAKERS["clip"](networks, folder / "network")
    data = folder / "data"
    (folder / "clip.yaml").write_text(
        f"model: pretrained\narguments: {{name: {network.folder}}}\nimages: {{size: 32}}\n"
    )
    (folder / "names.tsv").write_text("C1999039\tphoto of a chest\nC0040405\teffusion\n")
    parts = [(f"{folder}/{part}.h5", f"{data}/{part}-concepts.tsv") for part in ("train", "valid")]
    for words in (
        ["phantoms", f"{data}", "--count", "48"],
        ["train", f"{folder}/clip.yaml", f"{data}/images", f"{folder}/clip"],
        *(["extract", f"{folder}/clip", f"{data}/images", f, "--ids", t] for f, t in parts),
        ["index", parts[0][0], f"{folder}/index"],
        ["index", parts[0][0], f"{folder}/l2", "--metric", "l2"],
    ):
        assert main(words) == 0, words
    return folder


def test_a_text_finds_the_images_nearest_by_angle(home: Path, run: Run) -> None:
    status, out, err = run("query", home / "index", "--text", TEXT, "-k", 48, "--json")
    assert status == 0, err
    (found,) = json.loads(out)
    assert found["query"] == TEXT
    features = Features.load(home / "train.h5")
    text = load_encoder(home / "clip", "cpu").embed_text([TEXT])[0]
    lengths = np.linalg.norm(features.vectors[:], axis=1) * np.linalg.norm(text)
    order = np.argsort(-(features.vectors[:] @ text) / lengths, kind="stable")
    assert [hit["id"] for hit in found["hits"]] == [features.ids[row] for row in order]


def test_texts_and_images_are_searched_for_together(home: Path, run: Run) -> None:
    image = Features.load(home / "train.h5").ids[0]
    words = ["query", home / "index", image, "--text", TEXT, "--text", "a chest", "-k", 2]
    status, out, err = run(*words, "--sheet", home / "sheet.png")
    assert status == 0, err
    assert [line for line in out.splitlines() if not line.startswith(" ")] == [
        image,
        TEXT,
        "a chest",
    ]
    assert "not there" not in err
    assert (home / "sheet.png").exists()


def test_what_knows_no_texts_says_so(home: Path, chain: Path, run: Run) -> None:
    for words, told in (
        ((home / "l2", "--text", TEXT), "make an index with --metric cosine"),
        ((chain / "index", "--text", TEXT), "it has no text tower"),
        ((chain / "index",), "nothing to search for"),
    ):
        status, _, err = run("query", *words)
        assert status == 2
        assert told in err


def test_the_page_asks_for_a_text_where_the_encoder_may_know_some(home: Path, chain: Path) -> None:
    search, other = (ImageSearch.open(folder / "index") for folder in (home, chain))
    assert search.may_know_texts
    assert not other.may_know_texts
    explorer = Explorer(search)
    query = explorer.query_text(TEXT)
    hits = explorer.nearest(query, 3, "cosine")
    assert [hit.id for hit in hits] == [hit.id for hit in search.nearest([query], 3)[0]]
    assert TEXT in query_image(query)
    assert not detection_table(explorer, query)
    with pytest.raises(UsageError, match="no text tower"):
        Explorer(other).query_text(TEXT)


def test_concepts_are_detected_by_their_names_alone(home: Path, run: Run) -> None:
    parts = [
        word
        for part in ("train", "valid")
        for word in (home / f"{part}.h5", home / f"data/{part}-concepts.tsv")
    ]
    classify = ["classify", *parts, home / "detector", "--method", "zero-shot"]
    status, _, err = run(*classify)
    assert status == 2
    assert "give --encoder, with a text tower, and --names" in err
    names = home / "data/concept-names.tsv"
    given = ["--encoder", home / "clip", "--names", names, "--prompt", "a photo of {}"]
    status, out, err = run(*classify, *given)
    assert status == 0, err
    assert "expected-f1" in out
    status, _, err = run("predict", home / "detector", home / "valid.h5", home / "run.csv")
    assert status == 0, err
    assert len((home / "run.csv").read_text().splitlines()) == len(Features.load(parts[2]).ids)


def test_the_page_answers_a_text(home: Path, chain: Path) -> None:
    # In this process, where the libraries of the encoder can be imported whatever their wheels.
    pytest.importorskip("gradio", reason="gradio is missing: make setup EXTRAS=cpu,app")
    from replearn.retrieval.page import Handlers, build_page

    for folder, shown in ((home, True), (chain, False)):
        page = build_page(Explorer(ImageSearch.open(folder / "index")))
        fields = [
            block for block in page.blocks.values() if getattr(block, "label", None) == "Or a text"
        ]
        assert [field.visible for field in fields] == [shown]
    handlers = Handlers(Explorer(ImageSearch.open(home / "index")))
    query, message, image, concepts, cards, _ = handlers.search_text(f" {TEXT} ", 3, "cosine")
    assert query.is_text
    assert f"nearest to <b>{TEXT}</b>" in message
    assert TEXT in image
    assert not concepts
    assert cards.count("<button") == 3
    other = Handlers(Explorer(ImageSearch.open(chain / "index")))
    assert "Texts cannot be searched for" in other.search_text(TEXT, 3, "cosine")[1]
    assert other.search_text(" ", 3, "cosine")[0] is None
