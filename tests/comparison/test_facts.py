"""The facts of a comparison, as reports read them."""

from dataclasses import asdict
from pathlib import Path

import pytest

from replearn.artefacts.files import read_json
from replearn.comparison.facts import ComparisonFacts, has_facts, read_facts, write_facts
from replearn.errors import DataError

FACTS = ComparisonFacts(
    2018, "test", {"C1": "chest"}, {"train": "../data/train.tsv"}, {"aae": "images.h5"}
)


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    assert not has_facts(tmp_path)
    write_facts(tmp_path, FACTS)
    assert has_facts(tmp_path)
    assert read_facts(tmp_path) == FACTS


def test_facts_of_a_later_version_are_read_as_far_as_they_are_known(tmp_path: Path) -> None:
    write_facts(tmp_path, FACTS)
    assert read_json(tmp_path / "comparison.json") == asdict(FACTS)
    text = (tmp_path / "comparison.json").read_text().replace("{", '{"weather": "fine",', 1)
    (tmp_path / "comparison.json").write_text(text)
    assert read_facts(tmp_path) == FACTS


def test_a_folder_without_facts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"comparison\.json: not found"):
        read_facts(tmp_path)
