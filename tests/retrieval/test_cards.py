"""Answers as HTML: every image with its concepts, names escaped, nothing fetched from anywhere."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from replearn.detection.detector import load_detector
from replearn.features import Features
from replearn.retrieval.cards import Answers, portrait
from replearn.retrieval.explorer import Desk
from replearn.retrieval.image_search import Search


@pytest.fixture(scope="module")
def desk(indexed: Path) -> Desk:
    features = Features.load(indexed / "train.h5")
    return Desk(Search.open(indexed / "index"), load_detector(indexed / "linear"), features)


def test_a_card_has_the_image_its_id_its_concepts_and_a_note(desk: Desk) -> None:
    ids, notes = desk.search.index.ids[3:6], ["first", "second", "third"]
    html = Answers(desk).cards(ids, notes)
    assert re.findall(r'data-id="([^"]+)"', html) == ids
    for id_, note, card in zip(ids, notes, html.split("<li>")[1:], strict=True):
        assert 'src="data:image/png;base64,' in card
        assert f"<span>{note}</span>" in card
        concepts = desk.search.concepts_at(desk.search.index.rows[id_])
        assert f"<em>{', '.join(concepts)}</em>" in card


def test_without_the_images_cards_still_say_what_is_known(desk: Desk) -> None:
    away = replace(desk, search=replace(desk.search, images=Path("nowhere")))
    html = Answers(away).cards(desk.search.index.ids[:4])
    assert "<img" not in html
    assert html.count("<em>") == 4
    assert "not where it was" in portrait(away.about_id(desk.search.index.ids[0]))


def test_names_are_escaped(desk: Desk) -> None:
    names = dict.fromkeys(desk.counts, "<script>alert('x')</script>")
    named = Answers(replace(desk, search=replace(desk.search, names=names)))
    concept, _ = desk.counts.most_common(1)[0]
    asked = desk.about_id(desk.search.index.ids[0])
    for html in (named.cards(desk.search.index.ids), named.concept(concept), named.detected(asked)):
        assert "<script" not in html
        assert "&lt;script" in html


def test_a_bar_reaches_as_far_as_the_probability_and_marks_what_is_named(desk: Desk) -> None:
    asked = desk.about_id(desk.search.index.ids[2])
    html = Answers(desk).detected(asked)
    found = desk.detect(asked)
    widths = [float(width) for width in re.findall(r'<i style="width:([\d.]+)%', html)]
    assert widths == pytest.approx([100 * one.score for one in found], abs=0.06)
    assert html.count('class="named"') == sum(one.named for one in found)


def test_the_way_shows_both_images_what_they_decode_to_and_one_place_between(desk: Desk) -> None:
    answers, (first, second) = Answers(desk), desk.search.index.ids[:2]
    asked = desk.about_id(first)
    places = {
        percent: re.findall(r'src="([^"]+)', answers.way(asked, second, percent))
        for percent in (0, 50, 100)
    }
    assert all(len(pictures) == 5 for pictures in places.values())
    assert places[0][2] == places[0][1]  # at its start the way is what the first decodes to
    assert places[100][2] == places[100][3]
    assert "Search for an image first" in answers.way(None, second, 0)
