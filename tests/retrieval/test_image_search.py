"""Queries of files and ids, and their neighbours, in an index in memory or in a folder."""

import shutil
from contextlib import chdir
from dataclasses import replace
from pathlib import Path

import pytest

from replearn.arrays import Pixels
from replearn.encoders.encoder import load_encoder
from replearn.errors import DataError, ReplearnWarning, UsageError
from replearn.features import Features
from replearn.neighbors.build_index import build_index
from replearn.retrieval.contact_sheet import write_search_sheet
from replearn.retrieval.image_search import ImageSearch, Neighbour


@pytest.fixture(scope="module")
def search(indexed: Path) -> ImageSearch:
    return ImageSearch.open(indexed / "index")


def image_file(indexed: Path, id_: str) -> str:
    return f"{indexed}/data/images/{id_}.png"


def test_an_index_in_memory_is_searched_as_one_in_a_folder(
    search: ImageSearch, indexed: Path
) -> None:
    features, encoder = Features.load(indexed / "train.h5"), load_encoder(indexed / "aae")
    index = build_index(features, concepts=search.index.concepts)
    path = Path(image_file(indexed, search.index.ids[5]))
    found = ImageSearch(index, encoder).query(path, k=4)
    assert found == search.query(path, k=4)
    assert found[0] == Neighbour(path.stem, found[0].distance, search.concepts_of(path.stem))
    assert len(search.query(path.stem)) == 10


def test_queries_keep_their_order_whether_files_or_ids(search: ImageSearch, indexed: Path) -> None:
    first, second, third = search.index.ids[:3]
    names = [first, image_file(indexed, second), third, first]
    queries = search.queries(names)
    assert [query.name for query in queries] == names
    assert [query.id for query in queries] == [first, second, third, first]
    assert [query.indexed for query in queries] == [True, False, True, True]
    assert [query.exact for query in queries] == [False, True, False, False]
    assert [query.pixels is None for query in queries] == [True, False, True, True]
    nearest = [hits[0].id for hits in search.nearest(queries, 1)]
    assert nearest == [first, second, third, first]


def test_a_file_comes_before_an_id_of_its_name(
    search: ImageSearch, indexed: Path, tmp_path: Path
) -> None:
    first, second = search.index.ids[:2]
    shutil.copy(image_file(indexed, second), tmp_path / first)
    with chdir(tmp_path):
        (query,) = search.queries([first])
    assert not query.indexed
    assert search.nearest([query], 1)[0][0].id == second


def test_files_are_embedded_together(
    search: ImageSearch, indexed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    embed = type(search.encoder).embed

    def counting(self: object, pixels: Pixels, **options: object) -> object:
        counts.append(len(pixels))
        return embed(self, pixels, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(type(search.encoder), "embed", counting)
    ids = search.index.ids[:4]
    files = [image_file(indexed, id_) for id_ in ids]
    search.queries([files[0], ids[1], *files[2:]])
    assert counts == [3]


def test_an_indexed_image_finds_itself_unless_excluded(search: ImageSearch) -> None:
    (query,) = search.queries([search.index.ids[4]])
    every, others = (search.nearest([query], 60, exclude_self=own)[0] for own in (False, True))
    assert every[0].id == query.id
    assert others == every[1:]


def test_a_name_that_is_neither_file_nor_id_is_refused(search: ImageSearch) -> None:
    with pytest.raises(DataError, match=r"elsewhere\.png: neither an image file nor the id of an"):
        search.queries([search.index.ids[0], "elsewhere.png"])


def test_a_file_that_is_no_image_is_refused_by_its_name(
    search: ImageSearch, tmp_path: Path
) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"bad\.png: "):
        search.query(tmp_path / "bad.png")


def test_an_encoder_of_another_index_is_refused(search: ImageSearch, indexed: Path) -> None:
    other = replace(search, index=replace(search.index, encoder="encoder:other"))
    with pytest.raises(DataError, match=r"the encoder of .*: expected encoder:other"):
        other.query(image_file(indexed, search.index.ids[0]))


def test_an_index_that_knows_no_encoder_says_how_to_give_it(
    search: ImageSearch, indexed: Path
) -> None:
    path = image_file(indexed, search.index.ids[0])
    with pytest.raises(UsageError, match="index: the place of its encoder is not known; give it"):
        ImageSearch(search.index).query(path)
    with pytest.raises(UsageError, match=r"the place of its encoder was .*; give it with --enc"):
        replace(search, folder=indexed / "away" / "index").query(path)


def test_a_sheet_of_images_that_are_not_there_is_white_and_says_so(
    search: ImageSearch, indexed: Path, tmp_path: Path
) -> None:
    few = tmp_path / "images"
    few.mkdir()
    first, second = search.index.ids[:2]
    shutil.copy(image_file(indexed, first), few)
    away = replace(search, images=few)
    queries = away.queries([first])
    with pytest.warns(ReplearnWarning, match="1 of 2 images are not there"):
        write_search_sheet(tmp_path / "sheet.png", away, queries, [[Neighbour(second, 0.5, ())]])
    assert (tmp_path / "sheet.png").exists()


def test_a_concept_without_a_name_stands_for_itself(search: ImageSearch) -> None:
    named = replace(search, names={"C1": "fracture"})
    assert named.names_of(["C1", "C2"]) == ["fracture", "C2"]
