"""Settings of a comparison that would end it after its trainings are refused before."""

from pathlib import Path

import pytest

from replearn.comparison.settings import read_comparison
from replearn.errors import UsageError


@pytest.mark.parametrize("name", ["constant", "encoder", "index", "train", "valid", "test"])
def test_a_detector_with_a_name_that_a_comparison_uses_itself_is_refused(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / "compare.yaml"
    path.write_text(f"encoders: {{raw: {{model: raw}}}}\ndetectors: {{{name}: {{method: knn}}}}\n")
    with pytest.raises(UsageError, match=f"detectors: {name}: a comparison has its own {name}"):
        read_comparison(path)


def test_an_encoder_with_the_name_of_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "compare.yaml"
    path.write_text("encoders: {none: {model: raw}}\n")
    with pytest.raises(UsageError, match="encoders: none: stands for no encoder in tables"):
        read_comparison(path)


@pytest.mark.parametrize("text", ["detectors: {}", "rows: {raw: []}"])
def test_a_comparison_without_any_detector_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "compare.yaml"
    path.write_text(f"encoders: {{raw: {{model: raw}}}}\n{text}\n")
    with pytest.raises(UsageError, match="detectors: no encoder has any; give at least one"):
        read_comparison(path)


ENSEMBLES = "encoders: {raw: {model: raw}, pca: {model: pca}}\nensembles: "


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{a: [raw + fused, vae + fused]}", "no row 'vae \\+ fused'; there are raw \\+ linear, "),
        ("{a: [raw + fused, raw + fused]}", "ensembles.a: give each member once"),
        ("{valid: [raw + fused, pca + fused]}", "ensembles.valid: a comparison has its own"),
        ("{a: [raw + fused]}", "ensembles.a"),
        ("{a: {members: [raw + fused, pca + fused], weights: best}}", "ensembles.a.weights"),
    ],
)
def test_an_ensemble_of_what_is_not_there_is_refused(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "compare.yaml"
    path.write_text(ENSEMBLES + text)
    with pytest.raises(UsageError, match=words):
        read_comparison(path)


def test_a_list_is_an_ensemble_with_the_default_weights(tmp_path: Path) -> None:
    path = tmp_path / "compare.yaml"
    path.write_text(ENSEMBLES + "{a: [raw + fused, pca + linear]}")
    [ensemble] = read_comparison(path).ensembles.values()
    assert (ensemble.members, ensemble.weights) == (["raw + fused", "pca + linear"], "auto")
