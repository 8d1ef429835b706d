"""Search by Milvus: a file of Milvus Lite, a server, or a cluster.

A collection there holds the vectors that FAISS would hold in this process: transformed in the
same way, under the same row numbers.
"""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Vectors
from replearn.errors import DamagedError, DataError, UsageError, brief
from replearn.neighbors.build_index import Builder
from replearn.neighbors.engine import Engine, Hits, Space, even_blocks
from replearn.neighbors.recall import Recall, tune_recall

try:
    from pymilvus import DataType, MilvusClient, MilvusException
except ImportError:
    raise UsageError("Milvus needs the package pymilvus: pip install 'replearn[milvus]'") from None

_METRICS = {"cosine": "IP", "l2": "L2"}  # of transformed vectors; Milvus too squares L2
_MAX_HITS = 16384  # that Milvus finds
_BATCH = 2**22  # numbers that are sent at a time: 16 MiB
FILE = "milvus.db"


@dataclass
class MilvusEngine:
    """A collection of Milvus; one in a file has one engine in a process, for saving closes it.

    Attributes:
        space: in which the vectors are compared.
        uri: address of a server or cluster, or path of a file.
        collection: its name there.
        factory: `Flat` is exact; all else is Milvus's type of index, as `HNSW`.
        labels: the key of each row there [N], ascending.
        next_key: of the next row; no key is used twice.
    """

    space: Space
    uri: str
    collection: str
    factory: str
    labels: NDArray[np.int64]
    next_key: int = 0
    kind: ClassVar[str] = "milvus"

    @cached_property
    def client(self) -> MilvusClient:
        """The connection to Milvus, opened when first used; it raises what `_open` raises."""
        return _open(self.uri, self.collection)

    @property
    def exact(self) -> bool:
        """True if the search always finds the nearest."""
        return self.factory == "Flat"

    def __len__(self) -> int:
        return len(self.labels)

    def search(self, vectors: Vectors, k: int) -> Hits:
        """Return the k nearest of each vector [M, D].

        Raises:
            UsageError: Milvus does not find so many.
        """
        if k > _MAX_HITS:
            raise UsageError(f"k {k}: Milvus finds at most {_MAX_HITS}")
        values = np.zeros((len(vectors), k), np.float32)
        labels = np.full((len(vectors), k), -1, np.int64)
        for some in even_blocks(len(vectors), max(1, _BATCH // max(self.space.width, 4 * k))):
            found = self.client.search(
                self.collection,
                data=list(self.space.transform(vectors[some])),
                limit=k,
                search_params={"metric_type": _METRICS[self.space.metric]},
                consistency_level="Strong",
            )
            for row, hits in enumerate(found, some.start):
                values[row, : len(hits)] = [hit["distance"] for hit in hits]
                labels[row, : len(hits)] = [hit["row"] for hit in hits]
        rows = np.where(labels < 0, -1, np.searchsorted(self.labels, labels))
        return self.space.to_hits(values, rows)

    def vectors(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """Return indexed vectors [M, D]; their direction alone for cosine."""
        labels = self.labels[np.asarray(rows, np.int64)].tolist()
        got = self.client.get(self.collection, ids=labels) if labels else []
        kept = {entity["row"]: entity["vector"] for entity in got}
        stored = np.array([kept[label] for label in labels], np.float32)
        return stored.reshape(-1, self.space.width) + self.space.centre

    def add(self, vectors: Vectors) -> None:
        """Append vectors [M, D]."""
        for some in even_blocks(len(vectors), max(1, _BATCH // self.space.width)):
            transformed = self.space.transform(vectors[some])
            new = self.next_key + np.arange(len(transformed))
            pairs = zip(new.tolist(), transformed, strict=True)
            self.client.insert(self.collection, [{"row": n, "vector": v} for n, v in pairs])
            self.labels = np.concatenate([self.labels, new])
            self.next_key += len(new)

    def remove(self, rows: NDArray[np.int64]) -> None:
        """Take rows out; those behind them move up."""
        self.client.delete(self.collection, ids=self.labels[rows].tolist())
        self.labels = np.delete(self.labels, rows)

    def save(self, folder: Path) -> dict[str, Any]:
        """Return what describes the collection; a file of Milvus Lite is copied to the folder."""
        path, uri = Path(self.uri), self.uri
        if path.exists():
            uri = FILE
            self._finish()
            if path.resolve() != (folder / FILE).resolve():
                _copy(path, folder / FILE)
        labels = self.labels.tolist()
        return {
            "uri": uri,
            "collection": self.collection,
            "factory": self.factory,
            "labels": labels,
            "next": self.next_key,
        }

    def _finish(self) -> None:
        """Close Milvus Lite's file: after a flush, which returns first, it merges and indexes."""
        from milvus_lite.server_manager import server_manager_instance  # a server needs none

        self.client.flush(self.collection)
        self.client.close()
        del self.client
        server_manager_instance.release_server(self.uri)

    @classmethod
    def load(cls, folder: Path, facts: dict[str, Any], space: Space) -> "MilvusEngine":
        """Open what `save` described.

        Raises:
            DataError: there is no such collection, it cannot be read, or holds other vectors.
        """
        uri = str(folder / FILE) if facts["uri"] == FILE else facts["uri"]
        labels = np.array(facts["labels"], np.int64)
        if facts["uri"] == FILE and not (folder / FILE).exists():
            raise DamagedError(f"{folder / FILE}: missing or damaged")
        collection, after = facts["collection"], facts["next"]
        engine = cls(space, uri, collection, facts["factory"], labels, after)
        there, others = engine._count(""), engine._count(f"row >= {after}")
        if there != len(labels) or others:
            raise DamagedError(
                f"{uri}: {there} vectors in {collection!r}, {others} of them new, where "
                f"{len(labels)} were indexed: changed by another index or a copy of this one"
            )
        return engine

    def _count(self, wanted: str) -> int:
        """Return how many rows there are of which a condition holds; all of them without one."""
        found = self.client.query(
            self.collection, filter=wanted, output_fields=["count(*)"], consistency_level="Strong"
        )
        return int(found[0]["count(*)"])


def build(space: Space, vectors: Vectors, uri: str, collection: str, factory: str) -> MilvusEngine:
    """Return an engine of vectors [N, D] in a new collection; one of its name is replaced.

    Raises:
        DataError: there is no Milvus at this address.
        UsageError: Milvus does not know the type of index.
    """
    client = _connect(uri)
    if client.has_collection(collection):
        client.drop_collection(collection)
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("row", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=space.width)
    params = client.prepare_index_params()
    kind = "FLAT" if factory == "Flat" else factory
    params.add_index("vector", index_type=kind, metric_type=_METRICS[space.metric])
    try:
        client.create_collection(collection, schema=schema, index_params=params)
    except MilvusException as error:
        raise UsageError(f"--factory {factory!r}: Milvus refuses it ({error.message})") from None
    engine = MilvusEngine(space, uri, collection, factory, np.zeros(0, np.int64))
    try:
        engine.add(vectors)
    except BaseException:
        client.drop_collection(collection)  # a server would keep it, and nobody know of it
        raise
    return engine


def builder(uri: str, collection: str) -> Builder:
    """Return a function that builds an engine in a collection, for `build_index`."""

    def make(
        space: Space, vectors: Vectors, factory: str, recall: float
    ) -> tuple[Engine, Recall | None]:
        engine = build(space, vectors, uri, collection, factory)
        return engine, None if engine.exact else tune_recall(recall, engine, vectors)

    return make


def _connect(uri: str) -> MilvusClient:
    for name in ("milvus_lite", "pymilvus"):  # they log with its stack what they raise as well
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return MilvusClient(uri)
    except (MilvusException, ValueError, OSError) as error:
        if Path(uri).exists():
            what = "another process has it open (wait for that one), or it is damaged"
            raise DamagedError(f"{uri}: Milvus cannot open it: {what}") from None
        why = error.message if isinstance(error, MilvusException) else brief(error)
        raise DataError(f"{uri}: no Milvus there ({why}); start it, or give another") from None


def _open(uri: str, collection: str) -> MilvusClient:
    """Return a client that can search a collection.

    Raises:
        DataError: there is no Milvus, no such collection, or it cannot be read.
    """
    client = _connect(uri)
    if not client.has_collection(collection):
        raise DamagedError(f"{uri}: has no collection {collection!r}")
    try:
        client.load_collection(collection)
    except MilvusException as error:
        raise DamagedError(f"{uri}: Milvus cannot read {collection!r} ({error.message})") from None
    return client


def _copy(path: Path, there: Path) -> None:
    (shutil.copytree if path.is_dir() else shutil.copyfile)(path, there)
