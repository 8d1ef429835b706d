"""Exact search against NumPy, where it loses digits, and what a damaged index says."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replearn.concepts.table import ConceptTable
from replearn.errors import DamagedError, DataError, UsageError
from replearn.features import Features
from replearn.neighbors.build_index import build_index, index_vectors
from replearn.neighbors.engine import Metric
from replearn.neighbors.index import Index
from replearn.neighbors.storage import load_index, save_index
from tests.damage import Harm, change, cut, without_file, write
from tests.neighbors.vectors import METRICS, Matrix, names, plain_distances, random


def index_of(vectors: Matrix, metric: Metric, **settings: Any) -> Index:
    return index_vectors(names(len(vectors)), vectors, metric=metric, **settings)


@given(
    st.sampled_from(METRICS),
    st.integers(1, 40),
    st.integers(1, 30),
    st.integers(1, 9),
    st.integers(1, 50),
    st.integers(0, 2**32 - 1),
)
def test_exact_search_equals_brute_force(
    metric: Metric, count: int, queries: int, width: int, k: int, seed: int
) -> None:
    vectors = random(count, width, seed)
    # Some queries are indexed vectors and some vectors are there twice: ties.
    asked = np.concatenate([random(queries, width, seed + 1), vectors[:3]])
    vectors = np.concatenate([vectors, vectors[:5]])
    distances, rows = index_of(vectors, metric).search(asked, k)
    expected = plain_distances(asked, vectors, metric)
    nearest = np.sort(expected, axis=1)[:, :k]
    assert rows.shape == distances.shape == nearest.shape
    found = np.take_along_axis(expected, rows, axis=1)
    power = 2 if metric == "l2" else 1  # FAISS rounds the square
    np.testing.assert_allclose(distances**power, nearest**power, atol=1e-4)
    np.testing.assert_allclose(found**power, nearest**power, atol=1e-4)
    assert all(len(set(row)) == len(row) for row in rows.tolist())


@pytest.mark.parametrize("metric", METRICS)
def test_one_query_finds_what_it_finds_among_many(metric: Metric) -> None:
    index, queries = index_of(random(300, 16), metric), random(1100, 16, seed=1)
    distances, rows = index.search(queries, 5)
    for place in (0, 500, 1023, 1024, 1099):
        alone_distances, alone_rows = index.search(queries[[place]], 5)
        np.testing.assert_array_equal(alone_rows[0], rows[place])
        np.testing.assert_allclose(alone_distances[0], distances[place], rtol=1e-4)


@pytest.mark.parametrize("metric", METRICS)
def test_distances_ascend(metric: Metric) -> None:
    distances, _ = index_of(random(300, 16), metric).search(random(50, 16, seed=1), 300)
    assert (np.diff(distances, axis=1) >= 0).all()


@pytest.mark.parametrize("metric", METRICS)
def test_no_query_finds_nothing(metric: Metric) -> None:
    distances, rows = index_of(random(4, 3), metric).search(random(0, 3), 2)
    assert distances.shape == rows.shape == (0, 2)


@pytest.mark.parametrize("metric", METRICS)
def test_an_indexed_vector_finds_itself_at_no_distance(metric: Metric) -> None:
    vectors = random(200, 24)
    distances, rows = index_of(vectors, metric).search(vectors, 1)
    np.testing.assert_array_equal(rows[:, 0], np.arange(200))
    np.testing.assert_allclose(distances, 0, atol=5e-3)
    assert (distances >= 0).all()


def test_the_distances_of_a_worked_example() -> None:
    vectors = np.array([[3.0, 0.0], [0.0, 4.0], [-1.0, 0.0]])
    query = np.array([[1.0, 0.0]])
    np.testing.assert_allclose(index_of(vectors, "cosine").search(query, 3)[0], [[0, 1, 2]])
    np.testing.assert_allclose(
        index_of(vectors, "l2").search(query, 3)[0], [[2, 2, np.sqrt(17)]], rtol=1e-6
    )


def test_a_large_common_offset_costs_l2_no_precision() -> None:
    # Unit vectors + 100 in every dimension: |x|^2 is about 5e6, and float32 has seven digits.
    vectors = random(2000, 512)
    vectors = 100 + vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    bare = faiss.IndexFlatL2(512)
    bare.add(vectors)
    assert (bare.search(vectors, 1)[1][:, 0] == np.arange(2000)).mean() < 0.5  # the trap
    distances, rows = index_of(vectors, "l2").search(vectors, 2)
    np.testing.assert_array_equal(rows[:, 0], np.arange(2000))
    expected = plain_distances(vectors[:20], vectors, "l2")
    np.testing.assert_allclose(distances[:20, 1], np.sort(expected, axis=1)[:, 1], rtol=1e-4)


def test_cosine_and_l2_rank_normalised_vectors_alike() -> None:
    vectors, queries = random(500, 12), random(60, 12, seed=1)
    normalised = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (vectors, queries)]
    cosine, by_cosine = index_of(vectors, "cosine").search(queries, 10)
    l2, by_l2 = index_of(normalised[0], "l2").search(normalised[1], 10)
    np.testing.assert_array_equal(by_cosine, by_l2)
    np.testing.assert_allclose(l2**2, 2 * cosine, rtol=1e-3, atol=1e-5)


def test_cosine_does_not_depend_on_the_length_of_vectors() -> None:
    vectors, queries = random(100, 6), random(10, 6, seed=1)
    lengths = np.random.default_rng(2).uniform(0.01, 100, size=(100, 1)).astype(np.float32)
    plain, stretched = index_of(vectors, "cosine"), index_of(vectors * lengths, "cosine")
    np.testing.assert_array_equal(stretched.search(3 * queries, 5)[1], plain.search(queries, 5)[1])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("form", [np.float16, np.float64, np.asfortranarray])
def test_vectors_of_any_precision_and_layout_are_searched(
    metric: Metric, form: Callable[[Matrix], Matrix]
) -> None:
    vectors = np.round(random(100, 6), 2)
    _, rows = index_of(vectors, metric).search(vectors[:20], 5)
    np.testing.assert_array_equal(
        index_of(form(vectors), metric).search(form(vectors[:20]), 1)[1], rows[:, :1]
    )


@pytest.mark.parametrize("metric", METRICS)
def test_indexing_and_searching_change_no_vector(metric: Metric) -> None:
    vectors = random(50, 6)
    index_of(vectors, metric).search(vectors, 3)
    np.testing.assert_array_equal(vectors, random(50, 6))


def test_vectors_of_zero_are_refused_by_id_for_cosine_only() -> None:
    vectors = random(20, 4)
    vectors[[3, 11]] = 0
    with pytest.raises(DataError, match=r"2 vectors are zero.*\(image-3, image-11\).*--metric l2"):
        index_of(vectors, "cosine")
    assert index_of(vectors, "l2").search(np.zeros((1, 4)), 1)[1] in (3, 11)


def test_nothing_to_index_is_refused() -> None:
    with pytest.raises(DataError, match="no vectors"):
        index_of(random(0, 4), "l2")


@pytest.mark.parametrize("width", [3, 5])
def test_vectors_of_another_width_are_refused(width: int) -> None:
    with pytest.raises(DataError, match=f"width {width} cannot be searched in .* width 4"):
        index_of(random(9, 4), "l2").search(random(2, width), 1)


@pytest.mark.parametrize("factory", ["Flatt", "", "IVF4096,Flat", "PQ3", "IDMap,Flat"])
def test_a_factory_that_faiss_refuses_is_wrong_usage(factory: str) -> None:
    with pytest.raises(UsageError, match=f"--factory '{factory}': FAISS refuses it") as refusal:
        index_of(random(50, 8), "cosine", factory=factory)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("factory", ["IVF4,Flat", "HNSW16", "PCA8,Flat"])
def test_an_approximate_index_mostly_finds_the_vectors_themselves(
    factory: str, metric: Metric
) -> None:
    vectors = random(400, 8)
    _, rows = index_of(vectors, metric, factory=factory).search(vectors, 1)
    assert (rows[:, 0] == np.arange(400)).mean() > 0.95


TABLE = ConceptTable(names(30), [(f"C{number % 4}", "C9") for number in range(30)])


def save(folder: Path) -> Index:
    index = replace(
        index_of(random(30, 6), "cosine", concepts=TABLE),
        encoder="encoder:1",
        identity="index:1",
        hints={"images": "../images"},
    )
    save_index(folder, index)
    return index


def test_a_loaded_index_knows_all_that_the_saved_one_knew(tmp_path: Path) -> None:
    saved, loaded = save(tmp_path), load_index(tmp_path)
    for fact in ("ids", "metric", "encoder", "identity", "concepts", "hints"):
        assert getattr(loaded, fact) == getattr(saved, fact), fact


def test_an_index_of_features_knows_what_it_was_made_of() -> None:
    features = Features(names(30), random(30, 6), "features:1", encoder="encoder:1")
    index = build_index(features, concepts=TABLE, metric="l2")
    assert (index.encoder, index.identity, index.history) == (
        "encoder:1",
        "features:1",
        ("features:1",),
    )
    assert index.search(features.vectors[[7]], 1).rows.item() == 7


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_features_that_lie_on_disk_are_trained_on_like_those_in_memory(
    metric: Metric, tmp_path: Path
) -> None:
    here = Features(names(600), random(600, 6), "features:1")
    here.save(tmp_path / "features.h5")
    there = Features.load(tmp_path / "features.h5").select(names(500))
    hits, expected = (
        build_index(features, metric=metric, factory="IVF4,Flat").search(here.vectors[:5], 3)
        for features in (there, here.select(names(500)))
    )
    np.testing.assert_array_equal(hits.rows, expected.rows)


def test_concepts_are_joined_by_id_and_an_image_without_a_row_has_none() -> None:
    table = ConceptTable(["image-2", "elsewhere", "image-0"], [("C2",), ("C9",), ("C0",)])
    index = index_of(random(3, 2), "l2", concepts=table)
    assert index.concepts == ConceptTable(names(3), [("C0",), (), ("C2",)])
    assert index.with_concepts(None).concepts is None


def test_concepts_of_other_images_are_refused() -> None:
    with pytest.raises(DataError, match="none of the 3 images"):
        index_of(random(3, 2), "l2", concepts=ConceptTable(["elsewhere"], [("C9",)]))


def test_an_index_without_concepts_loads_without(tmp_path: Path) -> None:
    save_index(tmp_path, index_of(random(5, 3), "l2"))
    assert load_index(tmp_path).concepts is None


@pytest.mark.parametrize("first", ["image", "id", "röntgen 1", "COVID|1,a"])
def test_ids_and_concepts_come_back_whatever_the_first_id_is(first: str, tmp_path: Path) -> None:
    ids = [first, "b", "c"]
    table = ConceptTable(ids, [("cui",), (), ("a", "b")])
    save_index(tmp_path, index_vectors(ids, random(3, 2), concepts=table))
    loaded = load_index(tmp_path)
    assert (loaded.ids, loaded.concepts) == (ids, table)


@pytest.mark.parametrize("concept", ["a;b", "a\nb", "aortic, elongated", "[x]", "1\t2"])
@pytest.mark.parametrize("first", ["a", "line\nend"])
def test_concepts_come_back_whatever_characters_they_hold(
    concept: str, first: str, tmp_path: Path
) -> None:
    ids = [first, "b"]
    table = ConceptTable(ids, [(concept, "c"), ()])
    save_index(tmp_path, index_vectors(ids, random(2, 2), concepts=table))
    assert load_index(tmp_path).concepts == table


def part_of_another(name: str, metric: Metric = "cosine", count: int = 30) -> Harm:
    """Return what puts a part of another index of the same vectors in the place of this one's."""

    def harm(folder: Path) -> None:
        other = folder.with_name("other")
        vectors = random(30, 6)[:count]
        ids = [f"other-{number}" for number in range(count)]
        table = ConceptTable(ids, [("C1",)] * count)
        save_index(other, index_vectors(ids, vectors, metric=metric, concepts=table))
        shutil.copy(other / name, folder / name)

    return harm


changed = partial(change, "index.json")

HARM: dict[str, tuple[Harm, str]] = {
    "no index.json": (without_file("index.json"), "not an index folder"),
    "no index.faiss": (without_file("index.faiss"), r"index\.faiss: missing or damaged"),
    "empty index.faiss": (cut("index.faiss", 0), r"index\.faiss: missing or damaged"),
    "cut in the header": (cut("index.faiss", 20), r"index\.faiss: missing or damaged"),
    "cut at the end": (cut("index.faiss", -1), r"index\.faiss: missing or damaged"),
    "not FAISS": (write("index.faiss", b"nonsense" * 99), r"index\.faiss: missing or damaged"),
    "empty index.json": (cut("index.json", 0), "not readable as JSON"),
    "cut index.json": (cut("index.json", -40), "not readable as JSON"),
    "not text": (write("index.json", b"\xff\xfe{}"), "not readable as JSON"),
    "a list": (write("index.json", b"[]"), r"index\.json: lacks"),
    "no centre": (changed(centre=...), r"index\.json: lacks .*'centre'"),
    "no hash of its concepts": (
        changed(concepts_hash=...),
        r"index\.json: lacks .*'concepts_hash'",
    ),
    "no factory": (changed(engine={"kind": "faiss"}), r"index\.json: lacks 'factory'"),
    "no ids": (changed(ids=...), r"index\.json: lacks .*'ids'"),
    "an unknown metric": (changed(metric="dot"), r"index\.json: lacks or does not know 'dot'"),
    "a centre of words": (changed(centre=["a"] * 6), r"index\.json: lacks or does not know"),
    "a short centre": (changed(centre=[0.0] * 5), "do not belong together"),
    "other ids": (changed(ids=names(30)[::-1]), "do not belong together"),
    "another metric": (changed(metric="l2"), "do not belong together"),
    "vectors of an L2 index": (part_of_another("index.faiss", "l2"), "of other vectors"),
    "fewer vectors": (part_of_another("index.faiss", count=29), "of other vectors"),
    "concepts of others": (part_of_another("concepts.tsv"), r"concepts\.tsv: .* of another index"),
    "no concepts": (without_file("concepts.tsv"), r"concepts\.tsv: missing"),
    "an unknown engine": (changed(engine={"kind": "oracle"}), "does not know 'oracle'"),
}


@pytest.mark.parametrize("harm", HARM)
def test_a_damaged_index_is_refused_in_one_line(harm: str, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    save(folder)
    load_index(folder)
    damage, message = HARM[harm]
    damage(folder)
    with pytest.raises(DataError, match=message) as refusal:
        load_index(folder)
    assert "\n" not in str(refusal.value)
    assert str(folder) in str(refusal.value)
    if isinstance(refusal.value, DamagedError):
        assert str(refusal.value).endswith(f"; remove {folder} and index again")
