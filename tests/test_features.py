"""Features on disk: vectors come back under their ids, and what is not finite is refused."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from replearn.artefacts import hdf5
from replearn.errors import DataError
from replearn.features import Features

IDS = ["b", "a", "é"]


@pytest.fixture
def vectors() -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "features.h5"


def write(path: Path, vectors: np.ndarray[Any, Any], **more: Any) -> None:
    facts: dict[str, Any] = {"ids": IDS, "vectors": vectors, "identity": "features:1"}
    Features(**(facts | more)).save(path, overwrite=True)


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        Features.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_features_come_back_as_they_were_written(path: Path, vectors: Any) -> None:
    more: dict[str, Any] = {
        "errors": [("c", "empty file")],
        "encoder": "aae:1",
        "hints": {"encoder_path": "../aae", "images_path": "images.h5"},
    }
    write(path, vectors, **more)
    found = Features.load(str(path))
    assert found.ids == IDS
    assert len(found) == 3
    assert found.vectors.dtype == np.float32
    assert np.array_equal(found.vectors, vectors)
    assert found.identity == "features:1"
    assert {key: getattr(found, key) for key in more} == more


def test_blocks_are_joined_in_order(
    path: Path, vectors: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replearn.features._BLOCK", 2)
    write(path, vectors)
    assert np.array_equal(Features.load(path).vectors, vectors)


def test_no_features_at_all_are_written_too(path: Path) -> None:
    write(path, np.empty((0, 5), np.float32), ids=[])
    assert Features.load(path).ids == []


def test_a_file_is_replaced_only_if_that_is_said(path: Path, vectors: Any) -> None:
    features = Features(IDS, vectors, "features:1")
    features.save(path)
    with pytest.raises(DataError, match="exists; choose another place or give overwrite=True"):
        features.save(path)
    features.save(str(path), overwrite=True)


def test_selected_features_are_saved_as_they_were_selected(path: Path, vectors: Any) -> None:
    write(path, vectors)
    chosen = Features.load(path).select(["é", "b"])
    chosen.save(path.with_name("chosen.h5"))
    found = Features.load(path.with_name("chosen.h5"))
    assert (found.ids, found.identity) == (["é", "b"], chosen.identity)
    assert np.array_equal(found.vectors, vectors[[2, 0]])


def test_an_id_is_selected_once(path: Path, vectors: Any) -> None:
    with pytest.raises(DataError, match="'a' is asked for 2 times"):
        Features(IDS, vectors, "features:1").select(["a", "b", "a"])


def test_what_is_not_known_is_not_written(path: Path, vectors: Any) -> None:
    write(path, vectors)
    found = Features.load(path)
    assert (found.encoder, found.errors, found.hints) == (None, [], {})


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_rows_are_uncompressed_and_mapped(kind: type, path: Path, vectors: Any) -> None:
    write(path, vectors.astype(kind))
    found = Features.load(path)
    assert isinstance(found.vectors, np.memmap)
    assert found.vectors.dtype == kind


def foreign(path: Path, ids: list[str], vectors: np.ndarray[Any, Any]) -> None:
    """Write a file as the seed did: `data` and `id`, and no attributes."""
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=vectors)
        file.create_dataset("id", data=ids, dtype=h5py.string_dtype())


def test_files_with_the_seed_s_names_are_read(path: Path, vectors: Any) -> None:
    foreign(path, IDS, vectors)
    found = Features.load(path)
    assert found.ids == IDS
    assert np.array_equal(found.vectors, vectors)
    assert found.encoder is None


def test_features_from_elsewhere_are_identified_by_ids_and_vectors(
    path: Path, vectors: Any
) -> None:
    def identity(ids: list[str], vectors: np.ndarray[Any, Any]) -> str:
        foreign(path, ids, vectors)
        return Features.load(path).identity

    same = identity(IDS, vectors)
    assert identity(IDS, vectors.copy()) == same
    others = [identity(IDS[::-1], vectors), identity(IDS, vectors + 1), identity(IDS, -vectors)]
    assert len({same, *others}) == 4


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 2])
def test_a_vector_that_is_not_finite_is_refused_by_its_id(
    bad: float, row: int, path: Path, vectors: Any
) -> None:
    vectors[row, 3] = bad
    foreign(path, IDS, vectors)
    assert f"the vector of {IDS[row]!r} (row {row})" in refusal(path)
    with pytest.raises(DataError, match=rf"the vector of {IDS[row]!r} \(row {row}\) holds NaN"):
        write(path.with_name("new.h5"), vectors)


def test_opening_features_reads_no_vector(
    path: Path, vectors: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, vectors)
    looked_at: list[Any] = []
    monkeypatch.setattr(np, "isfinite", looked_at.append)
    monkeypatch.setattr(np.memmap, "__getitem__", lambda _, key: looked_at.append(key))
    found = Features.load(path)
    assert len(found) == 3
    assert looked_at == []


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((3, 4), np.int32), np.zeros(3, np.float32), np.zeros((3, 1, 2, 2), np.uint8)],
    ids=["integers", "one-dimension", "pixels"],
)
def test_rows_that_are_no_vectors_are_refused(wrong: Any, path: Path) -> None:
    hdf5.write_rows(path, "vectors", [wrong], IDS, [], {})
    assert "where float [N, D] is expected" in refusal(path)
    with pytest.raises(DataError, match=r"where float \[N, D\] is expected"):
        Features(IDS, wrong, "features:1").save(path.with_name("new.h5"))


def test_a_vector_is_saved_for_each_id(path: Path, vectors: Any) -> None:
    with pytest.raises(DataError, match="3 ids for 2 vectors"):
        Features(IDS, vectors[:2], "features:1").save(path)


def test_missing_and_damaged_files_are_refused(path: Path, vectors: Any) -> None:
    assert "no such file" in refusal(path)
    write(path, vectors)
    whole = path.read_bytes()
    for content in (b"", b"nonsense", whole[: len(whole) // 2]):
        path.write_bytes(content)
        assert "make it again" in refusal(path)


def test_vectors_of_ids_come_in_the_order_asked(vectors: Any) -> None:
    features = Features(IDS, vectors, "features:1")
    assert np.array_equal(features.vectors_of(["é", "b", "é"]), vectors[[2, 0, 2]])
    assert features.vectors_of([]).shape == (0, 4)
    with pytest.raises(KeyError, match="none"):
        features.vectors_of(["a", "none"])


def test_selected_features_are_others_with_an_identity_of_their_own(vectors: Any) -> None:
    features = Features(IDS, vectors, "features:1", [("c", "empty file")], "aae:1", {"x": "y"})
    chosen = features.select(["é", "b"])
    assert chosen.ids == ["é", "b"]
    assert np.array_equal(chosen.vectors, vectors[[2, 0]])
    assert (chosen.encoder, chosen.hints, chosen.errors) == ("aae:1", {"x": "y"}, [])
    identities = {features.select(ids).identity for ids in (["é", "b"], ["b", "é"], ["b"])}
    assert len({features.identity, *identities}) == 4
    assert features.select(IDS) is features
    named = features.select(["x/é.png", "x/b.png"])  # as a list has them
    assert (named.ids, named.identity) == (chosen.ids, chosen.identity)
    with pytest.raises(DataError, match=r"none: no features of 1 of these images"):
        features.select(["a", "none"])


def test_missing_names_the_ids_without_features_in_order(vectors: Any) -> None:
    features = Features(IDS, vectors, "features:1")
    assert features.missing(["z", "a", "y", "b"]) == ["z", "y"]
    assert features.missing(iter(IDS)) == []
