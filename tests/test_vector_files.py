"""Features that other programs wrote: every usual form gives the same ids and vectors."""

import gzip
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from replearn.errors import DataError
from replearn.features import Features

IDS = ["b", "a", "é"]
VECTORS = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
Write = Callable[[Path], Path]


def hdf5(vectors: str, ids: str, texts: Any = IDS, *, chunked: bool = False) -> Write:
    def write(folder: Path) -> Path:
        path = folder / "features.h5"
        with h5py.File(path, "w") as file:
            file.create_dataset(vectors, data=VECTORS, chunks=True if chunked else None)
            file[ids] = texts
        return path

    return write


def each_under(place: str) -> Write:
    def write(folder: Path) -> Path:
        path = folder / "each.h5"
        with h5py.File(path, "w", track_order=True) as file:
            for id_, vector in zip(IDS, VECTORS, strict=True):
                file[place.format(id_)] = vector
        return path

    return write


def npz(**arrays: Any) -> Write:
    def write(folder: Path) -> Path:
        np.savez(folder / "features.npz", **arrays)
        return folder / "features.npz"

    return write


def npy(beside: str) -> Write:
    def write(folder: Path) -> Path:
        np.save(folder / "x.npy", VECTORS)
        if beside.endswith(".npy"):
            np.save(folder / beside, np.array(IDS))
        else:
            (folder / beside).write_text("".join(f"{id_}\n" for id_ in IDS), encoding="utf-8")
        return folder / "x.npy"

    return write


def text(
    name: str, header: str, *, delimiter: str = ",", index: bool = False, point: str = "."
) -> Write:
    def write(folder: Path) -> Path:
        rows = [
            [id_, *(repr(number).replace(".", point) for number in row)]
            for id_, row in zip(IDS, VECTORS.tolist(), strict=True)
        ]
        rows = [[str(n), *row] for n, row in enumerate(rows)] if index else rows
        content = header + "".join(f"{delimiter.join(row)}\n" for row in rows)
        data = content.encode()
        (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return folder / name

    return write


def parquet(**columns: Any) -> Write:
    def write(folder: Path) -> Path:
        arrow = pytest.importorskip("pyarrow")
        tables = pytest.importorskip("pyarrow.parquet")
        tables.write_table(arrow.table(columns), folder / "features.parquet")
        return folder / "features.parquet"

    return write


FORMS: dict[str, Write] = {
    "keys of others": hdf5("features", "image_names", [id_.encode() for id_ in IDS]),
    "embeddings": hdf5("embeddings", "filenames"),
    "groups": hdf5("train/feats", "train/paths"),
    "any name, if it is the only one": hdf5("resnet50_pool", "ids"),
    "chunks": hdf5("X", "names", chunked=True),
    "a dataset each": each_under("{}"),
    "a group each": each_under("{}/embedding"),
    "npz": npz(ids=np.array(IDS), vectors=VECTORS),
    "npz of other names": npz(filenames=np.array(IDS), features=VECTORS, labels=np.arange(3)),
    "npz without names": npz(arr_0=VECTORS, arr_1=np.array(IDS)),
    "npy and a list": npy("x.txt"),
    "npy and a list of ids": npy("x-ids.txt"),
    "npy and an array of ids": npy("x_ids.npy"),
    "comma": text("x.csv", ""),
    "comma with a header": text("x.csv", "image,f0,f1,f2,f3\n"),
    "a data frame": text("x.csv", ",0,1,2,3\n"),
    "a data frame with its index": text("x.csv", ",filename,0,1,2,3\n", index=True),
    "TAB": text("x.tsv", "id\tf0\tf1\tf2\tf3\n", delimiter="\t"),
    "semicolon": text("x.csv", "", delimiter=";"),
    "decimal commas": text("x.csv", "id;f0;f1;f2;f3\n", delimiter=";", point=","),
    "gzip": text("x.csv.gz", "\ufeffid,f0,f1,f2,f3\r\n"),
    "parquet": parquet(id=IDS, embedding=VECTORS.tolist()),
    "parquet of columns": parquet(name=IDS, **{f"f{n}": VECTORS[:, n] for n in range(4)}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_usual_form_gives_the_same_features(form: str, tmp_path: Path) -> None:
    found = Features.load(FORMS[form](tmp_path))
    rows = {id_: found.vectors[row] for row, id_ in enumerate(found.ids)}
    assert sorted(rows) == sorted(IDS)
    for id_, vector in zip(IDS, VECTORS, strict=True):
        np.testing.assert_array_equal(rows[id_], vector)
    assert found.vectors.dtype == np.float32
    assert found.identity.startswith("vectors:")
    if found.ids == IDS:
        assert found.identity == Features.load(hdf5("vectors", "ids")(tmp_path)).identity


@pytest.mark.parametrize(
    "write",
    [
        hdf5("vectors", "ids", np.array([7, 8, 900])),
        hdf5("features", "image_ids", np.array([7, 8, 900], np.uint16)),
        npz(ids=np.array([7, 8, 900]), vectors=VECTORS),
        parquet(id=[7, 8, 900], embedding=VECTORS.tolist()),
    ],
    ids=["ids", "image_ids", "npz", "parquet"],
)
def test_whole_numbers_are_ids_as_they_are_written(write: Write, tmp_path: Path) -> None:
    found = Features.load(write(tmp_path))
    assert found.ids == ["7", "8", "900"]
    np.testing.assert_array_equal(found.vectors, VECTORS)


def without_ids(folder: Path) -> Path:
    np.save(folder / "x.npy", VECTORS)
    return folder / "x.npy"


def pickled(folder: Path) -> Path:
    (folder / "x.pt").write_bytes(pickle.dumps({"a": [1.0]}))
    return folder / "x.pt"


def objects(folder: Path) -> Path:
    np.save(folder / "x.npy", np.array([{"a": 1.0}], dtype=object), allow_pickle=True)
    return folder / "x.npy"


def numbers(folder: Path) -> Path:
    np.savetxt(folder / "x.csv", VECTORS, delimiter=",")
    return folder / "x.csv"


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (without_ids, "holds vectors without ids; write these beside it, one a line, as x.txt"),
        (npz(vectors=VECTORS), r"holds vectors float32 \[3, 4\], no ids \[N\]"),
        (npz(ids=np.array(IDS)), r"no vectors \[N, D\] of floats"),
        (hdf5("vectors", "notes", [1.5]), r"notes float64 \[1\].*, no ids"),
        (npz(a=VECTORS, b=VECTORS, ids=np.array(IDS)), r"no vectors \[N, D\]"),
        (npz(features=VECTORS, embeddings=VECTORS, ids=np.array(IDS)), "which of features, embed"),
        (pickled, "not a file of vectors that can be read"),
        (objects, "holds Python objects, no numbers"),
        (npz(ids=np.array(IDS, dtype=object), vectors=VECTORS), r"numpy.array\(ids, dtype=str\)"),
    ],
)
def test_what_is_no_features_file_is_answered_with_the_lines_that_write_one(
    write: Write, words: str, tmp_path: Path
) -> None:
    path = write(tmp_path)
    with pytest.raises(DataError, match=words) as refusal:
        Features.load(path)
    message = str(refusal.value)
    assert message.startswith(f"{path}: ")
    assert len(message.splitlines()) == 1
    if "dtype=str" not in message:
        assert "import h5py; file = h5py.File('features.h5', 'w')" in message


def test_the_lines_in_the_message_write_a_file_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError) as refusal:
        Features.load(without_ids(tmp_path))
    code = str(refusal.value).split("N ids so: ")[1]
    monkeypatch.chdir(tmp_path)
    exec(code, {"vectors": VECTORS.astype(np.float64), "ids": np.array(IDS)})
    found = Features.load(tmp_path / "features.h5")
    assert found.ids == IDS
    np.testing.assert_array_equal(found.vectors, VECTORS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("0.5,0.25\n0.125,1\n", "no column of ids"),
        (
            "id,f0,label\na,0.5,1\nb,0.25,0\n",
            "ids and columns of features are expected, and no `label`",
        ),
        ("id,f0,split\na,0.5,train\nb,0.25,test\n", "no `split`; leave other columns out"),
        ("id,f0\na,0.5\nb,\n", "'' is no number, in the row of 'b'"),
        ('id,f\na,"[0.5, 1]"\nb,"[0.25, 2]"\n', "vectors in one cell, .* a column for each number"),
        ("id,f0,f1\na,0.5,1\nb,0.25,x\n", "'x' is no number, in the row of 'b'"),
        ("id,f0,f1\na,0.5,1\nb,0.25\n", "line 3: 2 columns; is the file complete"),
        ("id,f0\na,0.5\na,0.25\n", "the id 'a' stands there twice"),
        ("a b c\n", "one column, 'a b c'"),
        ("id,f0\na,nan\n", "the vector of 'a' .* holds NaN"),
        ("id,f0\na,1e300\n", "the vector of 'a' .* holds 1e\\+300, beyond float32"),
    ],
)
def test_tables_that_are_no_features_are_refused(content: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=words) as refusal:
        Features.load(path)
    assert str(refusal.value).startswith(f"{path}: ")


@pytest.mark.parametrize("value", [1e39, -1e300])
def test_numbers_beyond_single_precision_are_refused_wherever_they_come_from(
    value: float, tmp_path: Path
) -> None:
    vectors = VECTORS.astype(np.float64)
    vectors[1, 2] = value
    path = npz(ids=np.array(IDS), vectors=vectors)(tmp_path)
    with pytest.raises(DataError, match=r"'a' \(row 1\) holds .*, beyond float32; scale"):
        Features.load(path)
    with pytest.raises(DataError, match="beyond float32"):
        Features(IDS, vectors, "features:1").save(tmp_path / "saved.h5")


_floats = st.floats(allow_nan=False, allow_infinity=False, width=32)
_ids = st.text("abcdefgé_./-0123456789", min_size=1, max_size=6).map(lambda text: f"i{text}")


@given(
    st_numpy.arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 4)), elements=_floats),
    st.data(),
)
def test_text_gives_back_the_very_numbers(vectors: Any, data: st.DataObject) -> None:
    ids = data.draw(st.lists(_ids, min_size=len(vectors), max_size=len(vectors), unique=True))
    header = "id," + ",".join(f"f{n}" for n in range(vectors.shape[1])) + "\n"
    rows = zip(ids, vectors.tolist(), strict=True)
    content = header + "".join(f"{id_},{','.join(map(repr, row))}\n" for id_, row in rows)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "x.csv"
        file.write_text(content, encoding="utf-8")
        found = Features.load(file)
    assert found.ids == ids
    np.testing.assert_array_equal(found.vectors, vectors)
