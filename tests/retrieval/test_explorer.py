"""The search page without its HTML: hits, concepts, errors, and refusals."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.__main__ import main
from replearn.concepts.table import read_concepts, read_names
from replearn.detection.decisions.rules import TopK
from replearn.detection.detector import load_detector
from replearn.errors import DataError
from replearn.features import Features
from replearn.images.picture import UnreadableImage
from replearn.retrieval.explorer import Explorer
from replearn.retrieval.image_search import ImageSearch


@pytest.fixture(scope="module")
def explorer(indexed: Path) -> Explorer:
    names = read_names(indexed / "data/concept-names.tsv")
    search = ImageSearch.open(indexed / "index", names=names)
    explorer = Explorer(
        search, load_detector(indexed / "linear"), Features.load(indexed / "train.h5")
    )
    explorer.check()
    return explorer


def image(indexed: Path, number: int) -> Path:
    return indexed / f"data/images/phantom_{number:06d}.png"


@pytest.mark.parametrize("number", [0, 3, 55])
def test_the_page_finds_what_the_command_finds(
    number: int, indexed: Path, explorer: Explorer, capsys: pytest.CaptureFixture[str]
) -> None:
    path = image(indexed, number)
    assert main(["query", f"{indexed}/index", f"{path}", "-k", "7", "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)[0]["hits"]
    found = explorer.nearest(explorer.query_file(path.name, path.read_bytes()), 7, "cosine")
    assert json.loads(json.dumps([hit._asdict() for hit in found])) == expected


def test_an_indexed_image_is_searched_for_by_its_id_and_does_not_find_itself(
    explorer: Explorer, indexed: Path
) -> None:
    id_ = explorer.ids[4]
    query = explorer.query_id(id_)
    by_file = explorer.query_file("x", (indexed / f"data/images/{id_}.png").read_bytes())
    np.testing.assert_allclose(query.vector, by_file.vector, rtol=1e-4, atol=1e-5)
    hits = [hit.id for hit in explorer.nearest(query, 60, "cosine")]
    assert sorted([*hits, id_]) == sorted(explorer.ids)


@pytest.mark.parametrize("id_", ["../../etc/passwd", "/etc/passwd", "", "phantom_999999"])
def test_what_is_not_indexed_is_refused_by_its_id(id_: str, explorer: Explorer) -> None:
    with pytest.raises(DataError, match="not among"):
        explorer.query_id(id_)


def test_bytes_that_are_no_image_are_refused(explorer: Explorer) -> None:
    with pytest.raises(UnreadableImage):
        explorer.query_file("x.png", b"no image")


def test_the_other_metric_is_that_of_an_index_built_with_it(
    explorer: Explorer, indexed: Path
) -> None:
    query = explorer.query_file("x", image(indexed, 1).read_bytes())
    by_l2 = ImageSearch.open(indexed / "plain").nearest([query], 9)[0]
    found = explorer.nearest(query, 9, "l2")
    assert [hit.id for hit in found] == [hit.id for hit in by_l2]
    assert any(hit.concepts for hit in found)  # those of the index stay known


def test_without_features_there_is_one_metric_and_a_cosine_index_knows_directions(
    explorer: Explorer,
) -> None:
    poor = Explorer(explorer.search, explorer.detector)
    assert poor.metrics == ["cosine"]
    query = poor.query_id(explorer.ids[0])
    assert not query.exact
    assert poor.detect(query) == []
    assert poor.errors(next(iter(poor.concept_counts))) == ([], [])


def test_detected_concepts_are_those_of_the_detector(explorer: Explorer) -> None:
    assert explorer.detector is not None
    assert explorer.features is not None
    query = explorer.query_id(explorer.ids[2])
    found = explorer.detect(query, most=1000)
    expected = explorer.detector.concepts(explorer.features.vectors_of([query.name]), limit=None)[0]
    assert sorted(one.concept for one in found if one.named) == sorted(expected)
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)


def test_images_and_errors_of_a_concept_agree_with_the_truth(
    explorer: Explorer, indexed: Path
) -> None:
    table = read_concepts(indexed / "data/train-concepts.tsv")
    truth = dict(zip(table.ids, table.concepts, strict=True))
    for concept in explorer.concept_counts:
        assert all(concept in truth[id_] for id_ in explorer.images_with(concept))
        count = sum(concept in of_image for of_image in table.concepts)
        assert explorer.concept_counts[concept] == count


def test_errors_of_a_concept_are_those_of_the_detectors_rule(
    explorer: Explorer, indexed: Path
) -> None:
    assert explorer.detector is not None
    assert explorer.features is not None
    table = read_concepts(indexed / "data/train-concepts.tsv")
    true = dict(zip(table.ids, map(set, table.concepts), strict=True))
    features = explorer.features.select(explorer.ids)
    detector = replace(explorer.detector, rule=TopK(2))
    named = dict(zip(features.ids, map(set, detector.concepts(features, limit=None)), strict=True))
    sizes = []
    for concept in detector.vocabulary:
        wrong, missed = replace(explorer, detector=detector).errors(concept)
        expected_wrong = {id_ for id_ in true if concept in named[id_] - true[id_]}
        expected_missed = {id_ for id_ in true if concept in true[id_] - named[id_]}
        assert set(wrong) <= expected_wrong
        assert set(missed) <= expected_missed
        assert len(wrong) == min(8, len(expected_wrong))
        assert len(missed) == min(8, len(expected_missed))
        sizes.append((len(wrong), len(missed)))
    assert all(map(max, zip(*sizes, strict=True)))  # there are some of both kinds


def test_the_way_between_two_images_starts_and_ends_with_them(explorer: Explorer) -> None:
    first, second = (explorer.query_id(id_).pixels for id_ in explorer.ids[:2])
    assert first is not None
    assert second is not None
    way = explorer.interpolate(first, second)
    for end, pixels in ((way[0], first), (way[-1], second)):
        np.testing.assert_array_equal(end[..., 0], pixels[0])
    there, back = way[1:-1], explorer.interpolate(second, first)[-2:0:-1]
    np.testing.assert_allclose(np.array(there, float), np.array(back, float), atol=1)


def test_a_search_without_its_images_still_answers(indexed: Path) -> None:
    search = ImageSearch.open(indexed / "index", images=indexed / "images.h5")
    away = Explorer(ImageSearch(search.index, indexed / "aae", folder=indexed / "nowhere"))
    query = away.query_id(away.ids[0])
    assert query.pixels is None
    assert len(away.nearest(query, 5, "cosine")) == 5


def test_parts_of_other_encoders_or_images_are_refused(indexed: Path, explorer: Explorer) -> None:
    with pytest.raises(DataError, match="--features"):
        Explorer(explorer.search, None, Features.load(indexed / "valid.h5")).check()
    assert explorer.detector is not None
    other = replace(explorer.detector, encoder="encoder:other")
    with pytest.raises(DataError, match="the encoder of the detector"):
        Explorer(explorer.search, other).check()


@pytest.mark.parametrize("words", [["--user", "ann"], ["--user", "ann", "--password", ""]])
def test_a_user_without_a_password_is_refused(
    words: list[str], indexed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", f"{indexed}/index", *words]) == 2
    assert "password" in capsys.readouterr().err
