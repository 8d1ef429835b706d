"""Detection from the names of concepts: nothing is learned from labels but the decision rule."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from replearn.arrays import Vectors
from replearn.concepts.table import ConceptTable
from replearn.detection.detector import load_detector
from replearn.detection.fit_detector import fit_detector, fit_zero_shot
from replearn.detection.zero_shot import ConceptTexts, TextScorer, prompt_vectors
from replearn.errors import DamagedError, DataError, UsageError
from replearn.features import Features

WIDTH = 6
AXES = np.eye(WIDTH, dtype=np.float32)
NAMES = {"C0": "zero", "C1": "one", "C2": "two"}


def embed_text(texts: Sequence[str]) -> Vectors:
    """Return the axis of the number that a text names, and more of the last one if asked."""
    number = {name: row for row, name in enumerate(NAMES.values())}
    found = [3 * AXES[number[text.split()[-1]]] for text in texts]
    extra = [2.0 * text.startswith("very") for text in texts]
    return np.stack(found) + np.outer(extra, AXES[-1]).astype(np.float32)


TEXTS = prompt_vectors(embed_text, NAMES, ["{}"], encoder="encoder:1")


def pair(part: str, count: int, seed: int) -> tuple[Features, ConceptTable]:
    """Return images that point along the axes of their concepts, with noise."""
    random = np.random.default_rng(seed)
    shown = random.random((count, 3)) < 0.4
    shown[~shown.any(1), 0] = True
    vectors = shown @ AXES[:3] + random.normal(0, 0.1, (count, WIDTH)) + 0.5 * AXES[4]
    ids = [f"{part}-{number}" for number in range(count)]
    concepts = [tuple(f"C{column}" for column in np.flatnonzero(row)) for row in shown]
    features = Features(ids, vectors.astype(np.float32), f"features:{part}", encoder="encoder:1")
    return features, ConceptTable(ids, concepts)


TRAIN, VALID, TEST = pair("train", 60, 0), pair("valid", 60, 1), pair("test", 60, 2)


def test_a_concept_is_the_mean_direction_of_its_name_in_all_prompts() -> None:
    found = prompt_vectors(embed_text, NAMES, ["a {}", "very {}"])
    lengthened = AXES[:3] * 3 + AXES[-1] * 2
    expected = AXES[:3] + lengthened / np.linalg.norm(lengthened, axis=1, keepdims=True)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found.vectors, expected, rtol=1e-6)
    assert found.concepts == [*NAMES]


def test_scores_are_cosines_standardised_over_unlabelled_images() -> None:
    scorer = TextScorer.fit(TEXTS.vectors, TRAIN[0].vectors)
    lengths = np.linalg.norm(TRAIN[0].vectors, axis=1, keepdims=True)
    cosines = TRAIN[0].vectors / lengths @ TEXTS.vectors.T
    expected = expit((cosines - cosines.mean(0)) / cosines.std(0))
    np.testing.assert_allclose(np.asarray(scorer.scores(TRAIN[0].vectors)), expected, rtol=1e-4)


def test_labels_of_the_training_images_say_only_which_concepts_there_are() -> None:
    swapped = [*reversed(TRAIN[1].concepts)]
    other = (TRAIN[0], ConceptTable(TRAIN[1].ids, swapped))
    first, second = (fit_zero_shot(TEXTS, train, VALID) for train in (TRAIN, other))
    order = [second.vocabulary.index(concept) for concept in first.vocabulary]
    np.testing.assert_allclose(
        first.predict_proba(TEST[0]), second.predict_proba(TEST[0])[:, order], rtol=1e-6
    )


def test_concepts_that_images_show_are_named() -> None:
    detector = fit_zero_shot(TEXTS, TRAIN, VALID)
    named, true = detector.concepts(TEST[0]), TEST[1].concepts
    same = [{*found} == {*shown} for found, shown in zip(named, true, strict=True)]
    assert np.mean(same) > 0.9


def test_concepts_without_a_name_are_left_out() -> None:
    texts = ConceptTexts(TEXTS.concepts[:2], TEXTS.vectors[:2], "encoder:1")
    assert {*fit_zero_shot(texts, TRAIN, VALID).vocabulary} == {"C0", "C1"}
    strange = replace(TEXTS, concepts=["X", "Y", "Z"])
    with pytest.raises(DataError, match=r"none of its 3 concepts \(X, Y, Z\)"):
        fit_zero_shot(strange, TRAIN, VALID)


def test_a_detector_is_saved_and_opened(tmp_path: Path) -> None:
    detector = fit_zero_shot(TEXTS, TRAIN, VALID)
    detector.save(tmp_path / "detector")
    again = load_detector(tmp_path / "detector")
    assert again.scorer.kind == "zero-shot"
    np.testing.assert_array_equal(again.predict(TEST[0]), detector.predict(TEST[0]))
    (tmp_path / "detector/detector.safetensors").write_bytes(b"none")
    with pytest.raises(DamagedError, match=r"detector\.safetensors: missing or damaged"):
        load_detector(tmp_path / "detector")


def test_what_does_not_belong_together_is_told() -> None:
    with pytest.raises(UsageError, match="it needs texts of the concepts; use fit_zero_shot"):
        fit_detector(TRAIN, VALID, method="zero-shot")
    with pytest.raises(DataError, match="the encoder of the texts"):
        fit_zero_shot(replace(TEXTS, encoder="encoder:2"), TRAIN, VALID)
    with pytest.raises(DataError, match="features of width 6 for texts of width 4"):
        fit_zero_shot(replace(TEXTS, vectors=TEXTS.vectors[:, :4]), TRAIN, VALID)
    with pytest.raises(UsageError, match=r"--prompt 'a picture': no \{\}"):
        prompt_vectors(embed_text, NAMES, ["a picture"])
    with pytest.raises(UsageError, match="no concept has a name"):
        prompt_vectors(embed_text, {})
