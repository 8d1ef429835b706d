"""Fragments of the page: every image with its concepts, names escaped, nothing from elsewhere."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from replearn.detection.detector import load_detector
from replearn.features import Features
from replearn.retrieval.cards import (
    concept_section,
    detection_table,
    image_cards,
    interpolation_strip,
    query_image,
)
from replearn.retrieval.explorer import Explorer
from replearn.retrieval.image_search import ImageSearch


@pytest.fixture(scope="module")
def explorer(indexed: Path) -> Explorer:
    features = Features.load(indexed / "train.h5")
    return Explorer(
        ImageSearch.open(indexed / "index"), load_detector(indexed / "linear"), features
    )


def test_a_card_has_the_image_its_id_its_concepts_and_a_note(explorer: Explorer) -> None:
    ids, notes = explorer.ids[3:6], ["first", "second", "third"]
    html = image_cards(explorer, ids, notes)
    assert re.findall(r'data-id="([^"]+)"', html) == ids
    for id_, note, card in zip(ids, notes, html.split("<li>")[1:], strict=True):
        assert 'src="data:image/png;base64,' in card
        assert f"<span>{note}</span>" in card
        concepts = explorer.search.concepts_of(id_)
        assert f"<em>{', '.join(concepts)}</em>" in card


def test_without_the_images_cards_still_say_what_is_known(explorer: Explorer) -> None:
    away = replace(explorer, search=replace(explorer.search, images=Path("nowhere")))
    html = image_cards(away, explorer.ids[:4])
    assert "<img" not in html
    assert html.count("<em>") == 4
    assert "not where it was" in query_image(away.query_id(explorer.ids[0]))


def test_names_are_escaped(explorer: Explorer) -> None:
    names = dict.fromkeys(explorer.concept_counts, "<script>alert('x')</script>")
    named = replace(explorer, search=replace(explorer.search, names=names))
    concept, _ = explorer.concept_counts.most_common(1)[0]
    query = explorer.query_id(explorer.ids[0])
    for html in (
        image_cards(named, explorer.ids),
        concept_section(named, concept),
        detection_table(named, query),
    ):
        assert "<script" not in html
        assert "&lt;script" in html


def test_a_bar_reaches_as_far_as_the_probability_and_marks_what_is_named(
    explorer: Explorer,
) -> None:
    query = explorer.query_id(explorer.ids[2])
    html = detection_table(explorer, query)
    found = explorer.detect(query)
    widths = [float(width) for width in re.findall(r'<i style="width:([\d.]+)%', html)]
    assert widths == pytest.approx([100 * one.score for one in found], abs=0.06)
    assert html.count('class="named"') == sum(one.named for one in found)


def test_the_way_shows_both_images_what_they_decode_to_and_one_place_between(
    explorer: Explorer,
) -> None:
    first, second = explorer.ids[:2]
    query = explorer.query_id(first)
    places = {
        percent: re.findall(r'src="([^"]+)', interpolation_strip(explorer, query, second, percent))
        for percent in (0, 50, 100)
    }
    assert all(len(pictures) == 5 for pictures in places.values())
    assert places[0][2] == places[0][1]  # at its start the way is what the first decodes to
    assert places[100][2] == places[100][3]
    assert "Search for an image first" in interpolation_strip(explorer, None, second, 0)
