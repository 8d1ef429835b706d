"""Index folders on disk: `index.json`, the files of the engine, and the concepts of the images."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from replearn.artefacts.files import read_json, write_json
from replearn.artefacts.hints import folder_of, hint_to
from replearn.artefacts.identity import digest
from replearn.artefacts.workspace import FolderKind
from replearn.concepts.table import ConceptTable
from replearn.errors import DamagedError, DataError, UsageError, unknown_fact
from replearn.neighbors.engine import Engine, Metric, Space
from replearn.neighbors.index import Index
from replearn.neighbors.recall import Recall

_HEADER = "id\tconcepts\n"  # keeps a first image called `image` from being taken for one
_AS_JSON = "id\tconcepts as JSON\n"  # where a concept or an id holds what parts others
_MILVUS_FILE = "milvus.db"  # `milvus_engine.FILE`, which cannot be imported without pymilvus
INDEX_FILES = r"index\.(json|faiss)|concepts\.tsv|\.?milvus\.db.*|shard-\d{4}/index\.faiss"
_METRICS: dict[str, Metric] = {"cosine": "cosine", "l2": "l2"}


def save_index(folder: Path, index: Index) -> None:
    """Write an index into a new folder: `index.json`, `concepts.tsv` if known, the engine's."""
    folder.mkdir(parents=True, exist_ok=True)
    concepts_hash = None
    if index.concepts is not None:
        text = _write_concepts(index.concepts).encode()
        (folder / "concepts.tsv").write_bytes(text)
        concepts_hash = digest(text)
    space = index.engine.space
    write_json(
        folder / "index.json",
        {
            "identity": index.identity,
            "metric": space.metric,
            "centre": space.centre.tolist(),
            "encoder": index.encoder,
            "ids_hash": digest(*index.ids),
            "concepts_hash": concepts_hash,
            "hints": index.hints,
            "history": list(index.history),
            "recall": index.recall and index.recall.facts(),
            "engine": {"kind": index.engine.kind, **index.engine.save(folder)},
            "ids": index.ids,
        },
    )


def load_index(
    folder: Path | str, *, mapped: bool = True, device: str = "cpu", verify: bool = False
) -> Index:
    """Open an index folder.

    Args:
        folder: what `replearn index` or `neighbors.index_folder.create_index` made.
        mapped: leaves vectors in their file until they are needed; such an index cannot change.
        device: where to search, such as `cuda`.
        verify: reads all vectors first, to see whether they are those that were written.

    Raises:
        DataError: a part is missing, damaged, or does not belong to the others.
        UsageError: the index cannot be searched on this device.

    Example:
        >>> index = replearn.load_index("runs/index")
        >>> index.search(index.vectors(index.ids[:2]), k=5).rows.shape
        (2, 5)
    """
    folder = Path(folder)
    try:
        index = _read_index(folder, mapped=mapped, verify=verify)
    except DamagedError as error:
        raise DamagedError(error.what, _remedy(folder)) from None
    return replace(index, engine=_move(index.engine, device))


def _remedy(folder: Path) -> str:
    return f"remove {folder} and index again"


def _read_index(folder: Path, *, mapped: bool, verify: bool) -> Index:
    path = folder / "index.json"
    if not path.exists():
        raise DataError(f"{folder}: not an index folder (it has no index.json)")
    facts = read_json(path)
    try:
        space = Space(_METRICS[facts["metric"]], np.array(facts["centre"], np.float32))
        ids, ids_hash = facts["ids"], facts["ids_hash"]
        engine_facts = facts["engine"]
        recall = Recall(**facts["recall"]) if facts["recall"] else None
        known = {key: facts[key] for key in ("encoder", "identity", "hints")}
        load = _LOADERS[engine_facts["kind"]]
        ids_there, concepts_hash = digest(*ids), facts["concepts_hash"]
        history = tuple(facts["history"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"lacks or does not know {unknown_fact(error)}, or is of another version"
        raise DamagedError(f"{path}: {what}") from None
    try:
        engine = load(folder, engine_facts, space, mapped, verify)
    except KeyError as error:
        raise DamagedError(f"{path}: lacks {error}") from None
    if ids_there != ids_hash or len(ids) != len(engine):
        raise DamagedError(f"{folder}: ids and vectors do not belong together")
    source = _concept_source(folder, ids, concepts_hash)
    return Index(ids, engine, **known, recall=recall, history=history, concept_source=source)


def open_to_change(folder: Path, work: Path) -> Index:
    """Open an index so that it can change while its folder stays as it is.

    Args:
        folder: what `save_index` wrote.
        work: a folder for a copy of the files that would change in place, as one of Milvus does.

    Raises:
        DataError: see `load_index`.
    """
    if not (folder / _MILVUS_FILE).exists():
        return load_index(folder, mapped=False)
    shutil.copytree(folder, work / "changing")
    try:
        return load_index(work / "changing", mapped=False)
    except DamagedError as error:
        raise DamagedError(error.what, _remedy(folder)) from None


def collection_of(folder: Path) -> str | None:
    """Name the collection on a server that holds an index folder's vectors; None without one."""
    path = folder / "index.json"
    engine = read_json(path).get("engine", {}) if path.exists() else {}
    on_server = engine.get("kind") == "milvus" and engine.get("uri") != _MILVUS_FILE
    return f"{engine['uri']}: collection {engine['collection']!r}" if on_server else None


def _load_faiss(
    folder: Path, facts: dict[str, Any], space: Space, mapped: bool, verify: bool
) -> Engine:
    from replearn.neighbors.faiss_engine import FaissEngine  # each engine's libraries when it loads

    return FaissEngine.load(folder, facts, space, mapped=mapped, verify=verify)


def _load_shards(
    folder: Path, facts: dict[str, Any], space: Space, mapped: bool, verify: bool
) -> Engine:
    from replearn.neighbors.sharded_engine import ShardedEngine

    return ShardedEngine.load(folder, facts, space, verify=verify)


def _load_milvus(
    folder: Path, facts: dict[str, Any], space: Space, mapped: bool, verify: bool
) -> Engine:
    from replearn.neighbors.milvus_engine import MilvusEngine

    return MilvusEngine.load(folder, facts, space)


_LOADERS: dict[str, Callable[[Path, dict[str, Any], Space, bool, bool], Engine]] = {
    "faiss": _load_faiss,
    "shards": _load_shards,
    "milvus": _load_milvus,
}


def _move(engine: Engine, device: str) -> Engine:
    if device == "cpu":
        return engine
    from replearn.neighbors.faiss_engine import FaissEngine

    if not isinstance(engine, FaissEngine):
        raise UsageError(f"an index of {engine.kind} searches where it lies, not on {device!r}")
    return engine.to(device)


def _concept_source(
    folder: Path, ids: list[str], known_hash: str | None
) -> Callable[[], ConceptTable] | None:
    """Return a function that reads the concepts, as they are seldom needed; None without any.

    Raises:
        DamagedError: they are not those of this index.
    """
    path = folder / "concepts.tsv"
    if known_hash is None:
        return None
    content = path.read_bytes() if path.exists() else b""
    if digest(content) != known_hash:
        raise DamagedError(f"{path}: missing, damaged or of another index")
    return lambda: _read_concepts(content.decode(), ids)


def _write_concepts(table: ConceptTable) -> str:
    rows = zip(table.ids, table.concepts, strict=True)
    words = set(chain.from_iterable(table.concepts))
    if any(";" in word or "\n" in word for word in words) or any("\n" in i for i in table.ids):
        lines = (json.dumps([id_, *of], ensure_ascii=False) for id_, of in rows)
        return _AS_JSON + "".join(f"{line}\n" for line in lines)
    return _HEADER + "".join(f"{id_}\t{';'.join(of)}\n" for id_, of in rows)


def _read_concepts(text: str, ids: list[str]) -> ConceptTable:
    """Read what `save_index` wrote, which needs no reader of all layouts."""
    if text.startswith(_AS_JSON):
        rows = (json.loads(line)[1:] for line in text.removeprefix(_AS_JSON).split("\n") if line)
        return ConceptTable(ids, [tuple(row) for row in rows])
    fields = (
        line[len(id_) + 1 :]
        for id_, line in zip(ids, text.removeprefix(_HEADER).split("\n"), strict=False)
    )
    return ConceptTable(ids, [tuple(field.split(";")) if field else () for field in fields])


INDEX = FolderKind("an index", INDEX_FILES, facts="index.json", check=load_index)


def relative_hints(hints: dict[str, str], artefact: Path, folder: Path) -> dict[str, str]:
    """Return the hints of an artefact, relative to where it lies, relative to a folder."""
    return {key: hint_to(folder_of(artefact) / hint, folder) for key, hint in hints.items()}
