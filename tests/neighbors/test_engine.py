"""One interface for every engine: exact search against NumPy, change, storage, refusal."""

import fcntl
import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replearn.artefacts.disk_rows import DiskRows, Segment, as_array
from replearn.concepts.table import ConceptTable
from replearn.errors import DataError, UsageError
from replearn.neighbors import faiss_engine
from replearn.neighbors.build_index import Builder, build_with_faiss, index_vectors
from replearn.neighbors.engine import Hits, Metric, Space, even_blocks, even_parts, merge
from replearn.neighbors.faiss_engine import FaissEngine
from replearn.neighbors.index import Index
from replearn.neighbors.recall import exact_neighbours, measure_recall, tune_recall
from replearn.neighbors.sharded_engine import build_shards
from replearn.neighbors.storage import _LOADERS, load_index, open_to_change, save_index
from replearn.neighbors.torch_engine import TorchEngine
from tests.neighbors.vectors import METRICS, Matrix, names, plain_distances, random

ENGINES = ["faiss", "mapped", "torch", "torch in blocks", "shards", "milvus"]
CHANGING = ["faiss", "milvus"]
STORED = ["faiss", "shards", "milvus"]
NO_MILVUS = importlib.util.find_spec("pymilvus") is None


def sizes(folder: Path) -> dict[str, int]:
    """Return the size of each file, but of those that stand for being open."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "LOCK"]
    return {str(path): path.stat().st_size for path in files if path.parent.name != "wal"}


def builder(kind: str, folder: Path) -> Builder:
    if kind == "shards":
        return lambda space, vectors, factory, recall: build_shards(
            folder / "parts", space, vectors, factory=factory, number=3, recall=recall
        )
    if kind == "milvus":
        if NO_MILVUS:
            pytest.skip("needs pymilvus and milvus-lite: pip install 'replearn[milvus]'")
        from replearn.neighbors import milvus_engine

        return milvus_engine.builder(str(folder / "vectors.db"), "tested")
    return build_with_faiss


def index_of(kind: str, vectors: Matrix, metric: Metric, folder: Path, **known: Any) -> Index:
    made = builder(kind, folder)
    index = index_vectors(names(len(vectors)), vectors, metric=metric, build=made, **known)
    if kind == "mapped":
        save_index(folder / "index", index)
        return load_index(folder / "index")
    if kind.startswith("torch"):
        assert isinstance(index.engine, FaissEngine)
        rows = 7 if kind == "torch in blocks" else 65536
        space, stored = index.engine.space, index.engine.stored_vectors()
        engine = TorchEngine(space, stored, "cpu", rows, owner=index.engine)
        return Index(index.ids, engine)
    return index


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ENGINES)
def test_every_engine_finds_what_numpy_finds_whatever_the_batch(
    kind: str, metric: Metric, tmp_path: Path
) -> None:
    vectors, queries = 3 + random(210, 6), 3 + random(1100, 6, 1)
    vectors[7] = vectors[3]  # a tie
    index = index_of(kind, vectors, metric, tmp_path)
    expected = plain_distances(queries, vectors, metric)
    for count in (1, 2, 1100):
        distances, rows = index.search(queries[:count], 9)
        nearest = np.sort(expected[:count], axis=1)[:, :9]
        found = np.take_along_axis(expected[:count], rows, axis=1)
        np.testing.assert_allclose(distances, nearest, atol=2e-4)
        np.testing.assert_allclose(found, nearest, atol=2e-4)
        assert all(len(set(row)) == 9 for row in rows.tolist())


@pytest.mark.parametrize("kind", ENGINES)
def test_every_engine_takes_a_k_beyond_its_size(kind: str, tmp_path: Path) -> None:
    hits = index_of(kind, random(5, 3), "l2", tmp_path).search(random(2, 3, 1), 99)
    assert [sorted(row) for row in hits.rows.tolist()] == [[0, 1, 2, 3, 4]] * 2


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ENGINES)
def test_every_engine_gives_its_vectors_back(kind: str, metric: Metric, tmp_path: Path) -> None:
    vectors = 5 + random(20, 4)
    index = index_of(kind, vectors, metric, tmp_path)
    found = index.vectors(["image-13", "image-2"])
    expected = vectors[[13, 2]]
    if metric == "cosine":
        expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert index.search(found, 1).rows.ravel().tolist() == [13, 2]
    with pytest.raises(DataError, match="image-99: not among the 20"):
        index.vectors(["image-99"])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", STORED)
def test_what_is_saved_and_opened_finds_the_same(kind: str, metric: Metric, tmp_path: Path) -> None:
    vectors, queries = 2 + random(90, 5), 2 + random(11, 5, 1)
    index = index_of(kind, vectors, metric, tmp_path)
    index = replace(index, history=("features:1",))
    before = index.search(queries, 6)
    save_index(tmp_path / "index", index)
    loaded = load_index(tmp_path / "index", verify=True)
    after = loaded.search(queries, 6)
    np.testing.assert_array_equal(after.rows, before.rows)
    np.testing.assert_allclose(after.distances, before.distances, atol=1e-6)
    assert loaded.engine.exact
    assert loaded.history == ("features:1",)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", CHANGING)
def test_after_adding_and_removing_it_finds_what_a_new_index_finds(
    kind: str, metric: Metric, tmp_path: Path
) -> None:
    first, more, queries = random(40, 4), random(15, 4, 1), random(9, 4, 2)
    table = ConceptTable(names(40), [(f"C{n}",) for n in range(40)])
    index = index_of(kind, first, metric, tmp_path, concepts=table)
    gone = [names(40)[row] for row in (0, 7, 39)]
    ids = names(15, 40)
    index = index.without(gone, origin="removed:1").with_added(
        ids, more, concepts=ConceptTable(ids, [("new",)] * 15), origin="features:2"
    )
    assert len(index) == len(index.engine) == 52
    everything = np.concatenate([np.delete(first, [0, 7, 39], axis=0), more])
    expected = np.sort(plain_distances(queries, everything, metric), axis=1)[:, :8]
    save_index(tmp_path / "index", index)
    for one in (index, load_index(tmp_path / "index")):
        distances, rows = one.search(queries, 8)
        np.testing.assert_allclose(distances, expected, atol=2e-4)
        found = np.take_along_axis(plain_distances(queries, everything, metric), rows, axis=1)
        np.testing.assert_allclose(found, expected, atol=2e-4)
        assert one.concepts is not None
        assert one.concepts.ids == one.ids
        assert one.concepts.concepts[-1] == ("new",)
        assert one.history == ("removed:1", "features:2")


@pytest.mark.parametrize("kind", CHANGING)
def test_until_a_change_is_published_the_folder_holds_what_it_held(
    kind: str, tmp_path: Path
) -> None:
    vectors, more = random(40, 4), random(15, 4, 1)
    save_index(tmp_path / "index", index_of(kind, vectors, "l2", tmp_path))
    changed = open_to_change(tmp_path / "index", tmp_path)
    changed = changed.without(names(10)).with_added(names(15, 40), more)
    before = load_index(tmp_path / "index", verify=True)
    assert len(before) == len(before.engine) == 40
    np.testing.assert_array_equal(before.search(vectors, 1).rows[:, 0], np.arange(40))
    save_index(tmp_path / "changed", changed)
    assert len(load_index(tmp_path / "changed", verify=True).engine) == 45


def test_a_copy_of_an_index_notices_that_its_collection_on_a_server_has_changed(
    tmp_path: Path,
) -> None:
    if NO_MILVUS:
        pytest.skip("needs pymilvus and milvus-lite: pip install 'replearn[milvus]'")
    from milvus_lite.server_manager import server_manager_instance

    from replearn.neighbors import milvus_engine

    address = server_manager_instance.start_and_get_uri(str(tmp_path / "vectors.db"))
    made = milvus_engine.builder(address, "shared")
    save_index(tmp_path / "first", index_vectors(names(40), random(40, 4), build=made))
    shutil.copytree(tmp_path / "first", tmp_path / "copy")
    index = open_to_change(tmp_path / "first", tmp_path)
    index = index.without(names(5, 35)).with_added(names(5, 40), random(5, 4, 1))
    save_index(tmp_path / "changed", index)
    assert len(load_index(tmp_path / "changed")) == 40
    with pytest.raises(DataError, match="5 of them new, where 40 were indexed: changed by another"):
        load_index(tmp_path / "copy")


def test_milvus_has_finished_with_a_file_before_it_is_saved(tmp_path: Path) -> None:
    made = builder("milvus", tmp_path)  # Milvus indexes a collection after it said it has it
    index = index_vectors(names(4000), random(4000, 32), factory="HNSW", build=made)
    save_index(tmp_path / "index", index)
    written = sizes(tmp_path / "index")
    load_index(tmp_path / "index").search(random(1, 32, 1), 5)
    assert sizes(tmp_path / "index") == written


def test_a_collection_that_milvus_cannot_read_is_named(tmp_path: Path) -> None:
    save_index(tmp_path / "index", index_of("milvus", random(40, 4), "l2", tmp_path))
    for path in (tmp_path / "index").rglob("*.idx"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"milvus.db: Milvus cannot read .* remove .* index again"):
        load_index(tmp_path / "index")


def test_a_file_that_another_process_searches_is_named(tmp_path: Path) -> None:
    save_index(tmp_path / "index", index_of("milvus", random(40, 4), "l2", tmp_path))
    with (tmp_path / "index" / "milvus.db" / "LOCK").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DataError, match=r"milvus.db: Milvus cannot open it: another process"):
            load_index(tmp_path / "index")
    assert len(load_index(tmp_path / "index")) == 40


def test_lists_keep_their_numbers_and_rows_follow_the_ids_all_the_same(tmp_path: Path) -> None:
    vectors = random(400, 8)
    index = index_vectors(names(400), vectors, metric="l2", factory="IVF4,Flat", recall=1.0)
    index = index.without(names(100)).with_added(names(50, 400), random(50, 8, 1))
    save_index(tmp_path, index)
    for one in (index, load_index(tmp_path)):
        rows = one.search(vectors[100:], 1).rows[:, 0]
        assert (rows == np.arange(300)).mean() > 0.95
        np.testing.assert_allclose(one.vectors(["image-250"]), vectors[[250]], rtol=1e-5)
        assert one.ids[one.search(random(50, 8, 1), 1).rows[7, 0]] == "image-407"


def test_recall_says_how_many_images_came_or_went_since_it_was_measured(tmp_path: Path) -> None:
    index = index_vectors(names(400), random(400, 8), factory="IVF4,Flat")
    measured = str(index.recall)
    index = index.without(names(30)).with_added(names(5, 400), random(5, 8, 1))
    save_index(tmp_path, index)
    for one in (index, load_index(tmp_path)):
        assert str(one.recall) == f"{measured}, before 35 images came or went"


@pytest.mark.parametrize("factory", ["HNSW8", "IVF4,PQ4x4fs,RFlat"])
def test_a_structure_that_gives_nothing_back_says_so(factory: str) -> None:
    index = index_vectors(names(400), random(400, 8), factory=factory)
    with pytest.raises(UsageError, match=r"cannot remove .*index again without these images"):
        index.without(["image-3"])


@pytest.mark.parametrize("kind", ["mapped", "torch", "shards"])
def test_what_cannot_change_says_so(kind: str, tmp_path: Path) -> None:
    index = index_of(kind, random(20, 3), "l2", tmp_path)
    with pytest.raises(UsageError, match="takes no vectors"):
        index.with_added(["new"], random(1, 3, 1))
    with pytest.raises(UsageError, match="gives no vectors"):
        index.without(["image-3"])


CHANGES: dict[str, tuple[Callable[[Index], object], str]] = {
    "an id twice": (lambda i: i.with_added(["image-3"], random(1, 3)), "image-3: more than one"),
    "another width": (lambda i: i.with_added(["new"], random(1, 4)), "width 4 .* of width 3"),
    "NaN": (lambda i: i.with_added(["new"], random(1, 3) * np.nan), r"NaN or infinity \(new\)"),
    "concepts": (
        lambda i: i.with_added(["new"], random(1, 3), concepts=ConceptTable(["new"], [()])),
        "the index has no concepts",
    ),
    "an unknown id": (lambda i: i.without(["image-3", "other"]), "other: not among the 9"),
    "everything": (lambda i: i.without(names(9)), "all 9 images would be removed"),
    "other images": (lambda i: i.check_made_of(names(8), "f", "x"), "shares 8 of 8"),
    "other features": (lambda i: i.check_made_of(names(9), "f:2", "x"), "made of f:1, not of f:2"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_cannot_be_is_refused_and_changes_nothing(change: str) -> None:
    index = replace(index_vectors(names(9), random(9, 3)), history=("f:1",))
    run, message = CHANGES[change]
    with pytest.raises(DataError, match=message) as refusal:
        run(index)
    assert "\n" not in str(refusal.value)
    assert len(index) == len(index.engine) == 9
    index.check_made_of(names(9)[::-1], "f:1", "x")


def test_vectors_that_cannot_be_indexed_are_named() -> None:
    vectors = random(9, 3)
    vectors[4, 1], vectors[6, 0] = np.nan, np.inf
    with pytest.raises(DataError, match=r"2 vectors hold NaN .*\(image-4, image-6\)"):
        index_vectors(names(9), vectors, metric="l2")
    with pytest.raises(DataError, match="image-2: more than one vector"):
        index_vectors([*names(8), "image-2"], random(9, 3))


@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_no_image_finds_itself_or_its_group_among_others(count: int, k: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    vectors = random(count, 3, seed)
    index = index_vectors(names(count), vectors, metric="l2")
    groups = {id_: str(generator.integers(5)) for id_ in names(count) if generator.random() < 0.8}
    queries = vectors[:6] + 0.01
    ids = [*names(count)[:5], "elsewhere"][: len(queries)]
    hits = index.search_others(queries, k, ids, groups)
    everything = plain_distances(queries, vectors, "l2")
    for image, id_ in enumerate(ids):
        own = groups.get(id_, id_)
        others = [n for n, o in enumerate(index.ids) if groups.get(o, o) != own]
        expected = np.sort(everything[image, others])[:k]
        found = hits.rows[image][hits.rows[image] >= 0]
        assert set(found.tolist()) <= set(others)
        np.testing.assert_allclose(hits.distances[image][: len(found)], expected, atol=2e-3)
        assert np.isinf(hits.distances[image][len(found) :]).all()


# Approximate search.


def clustered(count: int, width: int = 16, seed: int = 0) -> Matrix:
    centres = random(40, width, 77)
    generator = np.random.default_rng(seed)
    chosen = centres[generator.integers(40, size=count)]
    return (chosen + 0.4 * generator.normal(size=(count, width))).astype(np.float32)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    "factory", ["HNSW8", "IVF16,Flat", "IVF16,PQ8x4fs,RFlat", "OPQ4,IVF16,PQ4x4fs,RFlat"]
)
def test_an_approximate_index_is_set_to_the_recall_asked_for_and_says_it(
    factory: str, metric: Metric, tmp_path: Path
) -> None:
    vectors = clustered(3000)
    index = index_vectors(names(3000), vectors, metric=metric, factory=factory, recall=0.9)
    assert index.recall is not None
    assert index.recall.at_10 > 0.85
    assert "recall@10 0." in str(index.recall)
    # By brute force, on images that neither chose nor measured the effort.
    queries = clustered(200, seed=5)
    nearest = np.argsort(plain_distances(queries, vectors, metric), axis=1)[:, :10]
    rows = index.search(queries, 10).rows
    shared = [len(set(a) & set(b)) for a, b in zip(rows.tolist(), nearest.tolist(), strict=True)]
    assert np.mean(shared) / 10 > 0.8
    save_index(tmp_path, index)
    loaded = load_index(tmp_path)
    assert loaded.recall == index.recall
    np.testing.assert_array_equal(loaded.search(queries, 10).rows, rows)


def test_an_index_that_finds_fewer_than_asked_for_says_so(recwarn: pytest.WarningsRecorder) -> None:
    vectors = random(400, 8)
    index = index_vectors(names(400), vectors, factory="IVF32,Flat", recall=0.1)
    hits = index.search(vectors[:5], 200)
    short = int((hits.rows[:, -1] < 0).sum())
    assert short > 0
    told = [str(warning.message) for warning in recwarn if "queries find" in str(warning.message)]
    fewest = int((hits.rows >= 0).sum(axis=1).min())
    assert told == [
        f"{short} of 5 queries find fewer than 200 of the 400 indexed images, {fewest} at least: "
        "the index looks through a part of them; index with a higher --recall, or exactly"
    ]
    recwarn.clear()
    index_vectors(names(400), vectors).search(vectors[:5], 500)
    assert not [warning for warning in recwarn if "queries find" in str(warning.message)]


def test_more_recall_takes_more_effort() -> None:
    vectors = random(3000, 16)
    efforts = []
    for wanted in (0.3, 0.8, 0.999):
        engine = faiss_engine.build(Space("l2", np.zeros(16, np.float32)), vectors, "IVF64,Flat")
        efforts.append(tune_recall(wanted, engine, vectors).effort["nprobe"])
    assert efforts[0] < efforts[1] < efforts[2]


def test_the_measured_recall_is_the_share_of_the_true_ten_that_are_found() -> None:
    vectors = clustered(1000)
    space = Space("l2", vectors.mean(axis=0))
    chosen = np.array([5, 900, 17])
    truth = exact_neighbours(space, vectors, chosen, 10)
    distances = plain_distances(vectors[chosen], vectors, "l2")
    distances[np.arange(3), chosen] = np.inf
    np.testing.assert_array_equal(truth.rows, np.argsort(distances, axis=1)[:, :10])
    exact = faiss_engine.build(space, vectors, "Flat")
    assert measure_recall(exact, vectors, chosen, truth) == 1
    engine = faiss_engine.build(space, vectors, "IVF64,Flat")  # which looks into one list of 64
    rows = engine.search(vectors[chosen], 11).rows.tolist()
    found = [set(row) - {image} for row, image in zip(rows, chosen, strict=True)]
    shared = [len(set(row) & some) for row, some in zip(truth.rows.tolist(), found, strict=True)]
    assert measure_recall(engine, vectors, chosen, truth) == pytest.approx(sum(shared) / 30)


def test_shards_of_an_approximate_structure_say_what_they_reach(tmp_path: Path) -> None:
    vectors = clustered(3000)
    index = index_vectors(
        names(3000), vectors, factory="IVF8,Flat", recall=0.9, build=builder("shards", tmp_path)
    )
    assert not index.engine.exact
    assert index.recall is not None
    assert index.recall.at_10 > 0.85


def test_shards_name_no_effort_that_is_not_that_of_all(tmp_path: Path) -> None:
    scattered, gathered = random(1500, 16), clustered(1500) * 10
    index = index_vectors(
        names(3000),
        np.concatenate([scattered, gathered]),
        metric="l2",
        factory="IVF16,Flat",
        build=lambda space, vectors, factory, recall: build_shards(
            tmp_path, space, vectors, factory=factory, number=2, recall=recall
        ),
    )
    assert index.recall is not None
    assert index.recall.effort == {}


def test_shards_are_built_of_rows_on_disk_by_other_processes(tmp_path: Path) -> None:
    vectors, space = random(90, 4), Space("l2", np.zeros(4, np.float32))
    segments = []
    for number, part in enumerate(np.split(vectors, [40])):  # not where the shards begin
        part.tofile(tmp_path / f"{number}")
        segments.append(Segment(str(tmp_path / f"{number}"), 0, "<f4", part.shape))
    rows = as_array(DiskRows(segments))
    engine, _ = build_shards(tmp_path, space, rows, factory="Flat", number=3, jobs=2)
    np.testing.assert_array_equal(engine.vectors(range(90)), vectors)


@pytest.mark.parametrize("number", [30, 100])
def test_there_are_as_many_shards_as_asked_for(number: int, tmp_path: Path) -> None:
    space, vectors = Space("l2", np.zeros(2, np.float32)), random(100, 2)
    engine, _ = build_shards(tmp_path, space, vectors, factory="Flat", number=number)
    sizes = [part["count"] for part in engine.parts]
    assert len(sizes) == number
    assert max(sizes) - min(sizes) <= 1
    np.testing.assert_array_equal(engine.vectors(range(100)), vectors)


def test_a_search_opens_no_shard_that_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = 100
    made = partial(build_shards, tmp_path / "parts", number=number)
    index = index_vectors(
        names(200),
        random(200, 2),
        build=lambda space, vectors, factory, recall: made(space, vectors, factory=factory),
    )
    save_index(tmp_path / "index", index)
    opened: list[Path] = []
    load = FaissEngine.load

    def counting(folder: Path, *arguments: Any, **options: Any) -> FaissEngine:
        opened.append(folder)
        return load(folder, *arguments, **options)

    monkeypatch.setattr(FaissEngine, "load", counting)
    index = load_index(tmp_path / "index")
    for _ in range(2):
        index.search(random(1, 2), 5)
        index.vectors(index.ids)
    assert len(opened) == len(set(opened)) == number


def test_a_shard_that_was_damaged_since_it_was_opened_is_refused(tmp_path: Path) -> None:
    save_index(tmp_path / "index", index_of("shards", random(90, 5), "l2", tmp_path))
    load_index(tmp_path / "index").search(random(1, 5), 1)
    (tmp_path / "index" / "shard-0001" / "index.faiss").unlink()
    with pytest.raises(DataError, match=r"shard-0001/index\.faiss: missing .* and index again"):
        load_index(tmp_path / "index")


@pytest.mark.parametrize("number", [0, 6])
def test_there_are_no_more_shards_than_vectors(number: int, tmp_path: Path) -> None:
    space = Space("l2", np.zeros(2, np.float32))
    with pytest.raises(UsageError, match=f"--shards {number}: 1 to 5"):
        build_shards(tmp_path, space, random(5, 2), factory="Flat", number=number)


# Parts.


@given(st.integers(0, 50), st.integers(1, 20))
def test_blocks_are_even_and_in_order(count: int, most: int) -> None:
    parts = list(even_blocks(count, most))
    assert [n for part in parts for n in range(part.start, part.stop)] == list(range(count))
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes, default=0) <= most
    assert max(sizes, default=0) - min(sizes, default=0) <= 1


@given(st.integers(1, 10**9), st.integers(1, 10**4))
def test_parts_are_as_many_as_asked_for_and_none_is_empty(count: int, number: int) -> None:
    number = min(count, number)
    parts = list(even_parts(count, number))
    assert len(parts) == number
    assert (parts[0].start, parts[-1].stop) == (0, count)
    assert all(one.stop == other.start for one, other in pairwise(parts))
    assert min(part.stop - part.start for part in parts) >= 1


@given(st.integers(1, 5), st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_merged_hits_are_the_nearest_of_all(parts: int, images: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    every = np.round(generator.random((images, parts, 3)), 1).astype(np.float32)
    every.sort(axis=2)
    rows = np.arange(parts * 3).reshape(parts, 3)
    hits = [Hits(every[:, n], np.tile(rows[n], (images, 1))) for n in range(parts)]
    merged = merge(hits, 4)
    expected = np.sort(every.reshape(images, parts * 3), axis=1)[:, :4]
    np.testing.assert_array_equal(merged.distances, expected)
    flat = every.reshape(images, parts * 3)
    np.testing.assert_array_equal(np.take_along_axis(flat, merged.rows, axis=1), expected)


def test_vectors_of_any_size_are_normalised() -> None:
    space = Space("cosine", np.zeros(2, np.float32))
    for scale in (1e-30, 1.0, 1e30):
        np.testing.assert_allclose(
            space.transform(scale * np.array([[3.0, 4.0]])), [[0.6, 0.8]], rtol=1e-6
        )
    np.testing.assert_array_equal(space.transform(np.zeros((1, 2))), [[0, 0]])


@pytest.mark.parametrize("device", ["cuda:77", "nonsense"])
def test_a_device_that_is_not_there_is_wrong_usage(device: str, tmp_path: Path) -> None:
    save_index(tmp_path, index_vectors(names(5), random(5, 2)))
    with pytest.raises(UsageError, match=f"device '{device}': not usable here"):
        load_index(tmp_path, device=device)


def test_an_approximate_index_goes_nowhere_without_faiss_gpu(tmp_path: Path) -> None:
    save_index(tmp_path, index_vectors(names(300), random(300, 4), factory="HNSW8"))
    with pytest.raises(UsageError, match="faiss-gpu"):
        load_index(tmp_path, device="meta")


def test_one_vector_that_changed_on_disk_is_found_by_verifying(tmp_path: Path) -> None:
    save_index(tmp_path, index_vectors(names(40_000), random(40_000, 8)))
    path = tmp_path / "index.faiss"
    content = bytearray(path.read_bytes())
    content[len(content) // 2 + 12_345] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        load_index(tmp_path, verify=True)


@pytest.mark.parametrize("factory", ["Flat", "IVF4,Flat", "HNSW8", "IVF4,PQ4x4fs,RFlat"])
def test_a_mapped_index_is_saved_whole(factory: str, tmp_path: Path) -> None:
    vectors = random(500, 8)
    save_index(tmp_path / "one", index_vectors(names(500), vectors, factory=factory))
    index = load_index(tmp_path / "one")
    before = index.search(vectors[:20], 5)
    save_index(tmp_path / "two", index)
    (tmp_path / "one/index.faiss").unlink()
    del index
    np.testing.assert_array_equal(
        load_index(tmp_path / "two").search(vectors[:20], 5).rows, before.rows
    )


def test_every_engine_that_can_be_opened_is_tested_here() -> None:
    assert set(STORED) == set(_LOADERS)
