"""Probes: what they give for embeddings of known worth, and how many directions RankMe counts."""

from dataclasses import replace

import numpy as np
import pytest

from replearn.arrays import Vectors
from replearn.concepts.table import ConceptTable
from replearn.concepts.vocabulary import multi_hot, vocabulary
from replearn.detection.decisions.threshold import best_constant
from replearn.detection.probe import Embed, Probe, rankme

CONCEPTS = 4
COUNT = 240


def numbered(count: int = COUNT) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return images of one pixel that holds the image's number."""
    return np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)


def labels(count: int = COUNT) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Return which concepts each image shows [N, CONCEPTS]: at least one, the first one often."""
    shown = np.random.default_rng(0).random((count, CONCEPTS)) < (0.8, 0.4, 0.3, 0.2)
    shown[~shown.any(1), 0] = True
    return shown


def probe_of(shown: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> Probe:
    concepts = [tuple(f"C{column}" for column in np.flatnonzero(row)) for row in shown]
    ids = [f"image-{number}" for number in range(len(shown))]
    return Probe(numbered(len(shown)), ConceptTable(ids, concepts))


def as_embedding(vectors: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Embed:
    """Return what gives each of the numbered images its row."""
    return lambda pixels: vectors[pixels[:, 0, 0, 0]].astype(np.float32)


def noise(dimension: int = 8) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.random.default_rng(1).normal(size=(COUNT, dimension))


def f1_of_the_constant(probe: Probe) -> float:
    """Return the mean over the halves of the best F1 of naming the same for every image."""
    found = []
    for rows in probe.halves:
        half = probe.concepts.select([probe.concepts.ids[row] for row in rows])
        words = vocabulary(half)
        found.append(best_constant(multi_hot(half, words), half.counts, empty="skip")[1])
    return float(np.mean(found))


# Known worth


def test_embeddings_that_are_the_labels_are_worth_1() -> None:
    shown = labels()
    scores = probe_of(shown).measure(as_embedding(shown.astype(float)))
    assert scores["linear"] == pytest.approx(1)
    assert scores["knn"] > 0.97, "the rarest set of labels has fewer images than neighbours asked"
    assert 1 < scores["rankme"] <= CONCEPTS


def test_labels_that_alternate_are_probed_as_those_in_any_other_order() -> None:
    shown = np.zeros((COUNT, CONCEPTS), bool)
    shown[np.arange(COUNT), np.arange(COUNT) % 2] = True
    scores = probe_of(shown).measure(as_embedding(shown.astype(float)))
    assert scores["linear"] == pytest.approx(1)


def test_noise_is_worth_what_the_constant_is() -> None:
    probe = probe_of(labels())
    scores = probe.measure(as_embedding(noise()))
    constant = f1_of_the_constant(probe)
    assert constant < 0.8
    assert scores["linear"] == pytest.approx(constant, abs=0.05)
    assert scores["knn"] == pytest.approx(constant, abs=0.05)


@pytest.mark.parametrize("level", [0.0, 3.0])
def test_a_collapsed_encoder_is_worth_the_constant_and_breaks_nothing(level: float) -> None:
    probe = probe_of(labels())
    scores = probe.measure(as_embedding(np.full((COUNT, 8), level)))
    assert scores["linear"] == pytest.approx(f1_of_the_constant(probe), abs=0.03)
    assert 0 < scores["knn"] <= f1_of_the_constant(probe) + 0.05
    assert scores["rankme"] == pytest.approx(1, abs=1e-3)


def test_some_vectors_of_zeros_break_nothing() -> None:
    vectors = labels().astype(float)
    vectors[::3] = 0
    scores = probe_of(labels()).measure(as_embedding(vectors))
    assert np.isfinite(list(scores.values())).all()
    assert scores["linear"] > 0.8


# The two halves


def test_each_half_is_scored_by_a_detector_of_the_other_half() -> None:
    one_hot = np.eye(CONCEPTS)[np.arange(COUNT) // 2 % CONCEPTS]
    probe = probe_of(one_hot.astype(bool))
    agreeing = probe.measure(as_embedding(one_hot))
    assert agreeing["linear"] == agreeing["knn"] == pytest.approx(1)
    # Each half alone could be told apart perfectly, but the other half says something else of it.
    contradicting = one_hot.copy()
    contradicting[probe.halves[1]] = np.roll(one_hot[probe.halves[1]], 1, axis=1)
    scores = probe.measure(as_embedding(contradicting))
    everything = 2 / (1 + CONCEPTS)  # F1 of naming all of them, where one is right
    assert scores["linear"] == pytest.approx(everything, abs=0.05), "no better than knowing nothing"
    assert scores["knn"] == 0, "its neighbours name the wrong one alone"


def test_neither_half_comes_first() -> None:
    first, second = probe_of(labels()).halves
    swapped = np.arange(COUNT)
    swapped[first], swapped[second] = second, first
    shown, vectors = labels(), labels() + 0.7 * noise(CONCEPTS)
    scores = probe_of(shown).measure(as_embedding(vectors))
    assert probe_of(shown[swapped]).measure(as_embedding(vectors[swapped])) == pytest.approx(scores)
    assert f1_of_the_constant(probe_of(shown)) < scores["linear"] < 1


def test_neighbours_are_those_of_the_same_direction() -> None:
    probe, vectors = probe_of(labels()), labels() + 0.5 * noise(CONCEPTS)
    lengths = 2.0 ** np.random.default_rng(2).integers(-3, 4, (COUNT, 1))
    scaled = probe.measure(as_embedding(vectors * lengths))
    assert scaled["knn"] == probe.measure(as_embedding(vectors))["knn"]


def test_a_probe_gives_the_same_again_and_changes_nothing() -> None:
    probe, vectors = probe_of(labels()), labels() + 0.5 * noise(CONCEPTS)
    given: list[Vectors] = []

    def embed(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Vectors:
        given.append(as_embedding(vectors)(pixels))
        return given[-1]

    assert probe.measure(embed) == probe.measure(embed)
    for array in given:
        np.testing.assert_array_equal(array, vectors.astype(np.float32))


def test_a_probe_is_known_by_its_images_and_their_labels() -> None:
    shown = labels()
    other = shown.copy()
    other[0] = ~other[0]
    probe = probe_of(shown)
    others = [
        probe_of(other),
        probe_of(shown[:-2]),
        replace(probe, pixels=probe.pixels[::-1]),
        replace(probe, pixels=probe.pixels // 2),
    ]
    assert probe_of(shown).identity == probe.identity
    assert len({probe.identity, *(unlike.identity for unlike in others)}) == 5


# RankMe


def rotation(size: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return an orthogonal matrix [size, size]."""
    return np.asarray(np.linalg.qr(np.random.default_rng(size).normal(size=(size, size)))[0])


@pytest.mark.parametrize("shape", [(30, 5), (5, 30), (1, 7), (7, 1)])
def test_one_direction_counts_1(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    matrix = np.outer(random.normal(size=shape[0]), random.normal(size=shape[1]))
    assert rankme(matrix) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("shape", [(30, 12), (12, 30), (12, 12)])
@pytest.mark.parametrize("directions", [2, 5, 12])
def test_directions_of_equal_strength_count_one_each(
    shape: tuple[int, int], directions: int
) -> None:
    left, right = rotation(shape[0])[:, :directions], rotation(shape[1])[:, :directions]
    assert rankme(3.5 * left @ right.T) == pytest.approx(directions, rel=1e-4)


@pytest.mark.parametrize("shape", [(9, 4), (4, 9)])
def test_vectors_of_zeros_have_one_direction(shape: tuple[int, int]) -> None:
    assert rankme(np.zeros(shape)) == 1


@pytest.mark.parametrize("shape", [(40, 6), (6, 40), (9, 9), (2, 3)])
def test_it_is_the_exponential_entropy_of_the_singular_values(shape: tuple[int, int]) -> None:
    matrix = np.random.default_rng(3).normal(size=shape) * np.geomspace(1, 100, shape[1])
    shares = np.linalg.svd(matrix, compute_uv=False)
    shares /= shares.sum()
    assert rankme(matrix) == pytest.approx(float(np.prod(shares**-shares)))
    assert 1 < rankme(matrix) < min(shape)
    assert rankme(matrix.T) == pytest.approx(rankme(matrix))
    assert rankme(1e-3 * matrix.astype(np.float32)) == pytest.approx(rankme(matrix), rel=1e-4)
