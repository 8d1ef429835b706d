"""Identities: what they depend on, and what counts as the same artefact."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replearn.artefacts.identity import check_same, digest, identify
from replearn.errors import DataError, ReplearnWarning

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner)
)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text().map("fact {}".format), json_values, min_size=1))
def test_an_identity_depends_on_the_facts_and_not_on_their_order(facts: dict[str, object]) -> None:
    turned = dict(reversed(facts.items()))
    assert identify("kind", **facts) == identify("kind", **turned)
    assert identify("other", **facts) != identify("kind", **facts)
    for key in facts:
        assert identify("kind", **(facts | {key: "another value of this key"})) != identify(
            "kind", **facts
        )


def test_an_identity_is_the_same_in_every_process(tmp_path: Path) -> None:
    script = (
        "from replearn.artefacts.identity import identify as i; print(i('k', b={'y': 1, 'x': 'é'}))"
    )
    root = Path(__file__).parents[2]
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == identify("k", b={"x": "é", "y": 1})


def test_a_digest_keeps_its_chunks_apart() -> None:
    ways = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("c", "ab")]
    assert len({digest(*chunks) for chunks in ways}) == len(ways)
    assert digest("é") == digest("é".encode()) == digest(memoryview("é".encode()))


@pytest.mark.filterwarnings("error")
def test_contradicting_identities_are_refused_and_a_missing_one_is_a_warning() -> None:
    check_same("a:1", "a:1", "the encoder of x.h5")
    with pytest.raises(DataError, match=r"^the encoder of x\.h5: expected a:1, found a:2$"):
        check_same("a:1", "a:2", "the encoder of x.h5")
    for pair in [("a:1", None), (None, "a:1"), (None, None)]:
        with pytest.warns(ReplearnWarning, match=r"^the encoder of x\.h5") as given:
            check_same(*pair, "the encoder of x.h5")
        assert len(given) == 1
