"""Exact nearest neighbours of features through FAISS.

Cosine is the inner product of normalised vectors.  For L2 the mean of the indexed vectors is
subtracted from both sides first: distances do not change, but FAISS's batched kernel computes
|x|^2 + |y|^2 - 2xy, which loses all digits where the mean is large.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import faiss
import numpy as np
from numpy.typing import NDArray

from replearn.artefacts import digest, read_json, write_json
from replearn.concepts import ConceptTable, read_concepts, write_concepts
from replearn.errors import DataError, UsageError

Metric = Literal["cosine", "l2"]
Vectors = NDArray[np.floating[Any]]

_MEASURES = {"cosine": faiss.METRIC_INNER_PRODUCT, "l2": faiss.METRIC_L2}
_BLOCK = 1024  # queries at a time; FAISS's fast kernel wants a few hundred


@dataclass(frozen=True)
class Index:
    """Indexed images: their ids, how to compare, and where known their concepts.

    Attributes:
        ids: one for each indexed image [N].
        metric: `cosine` or `l2`.
        centre: subtracted from vectors before searching [D]; zero for cosine.
        engine: the FAISS index of N vectors.
        encoder: identity of the encoder of the vectors, None if not known.
        identity: what this index is.
        concepts: of the indexed images, None if not given.
        hints: where encoder and images lay, relative to the index; may be stale.
    """

    ids: list[str]
    metric: Metric
    centre: NDArray[np.float32]
    engine: Any
    encoder: str | None
    identity: str
    concepts: ConceptTable | None
    hints: dict[str, str]

    def __len__(self) -> int:
        return len(self.ids)

    def search(self, vectors: Vectors, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return distances and rows [M, min(k, N)] of the nearest to each vector [M, D].

        Distances ascend; they are 1 - cosine or the unsquared L2.

        Raises:
            DataError: the vectors have another width than the indexed ones.
        """
        if vectors.shape[1] != self.engine.d:
            raise DataError(
                f"vectors of width {vectors.shape[1]} cannot be searched in an index of width "
                f"{self.engine.d}; use features of the same encoder"
            )
        k = min(k, len(self))
        distances = np.empty((len(vectors), k), np.float32)
        rows = np.empty((len(vectors), k), np.int64)
        for start in range(0, len(vectors), _BLOCK):
            block = _comparable(vectors[start : start + _BLOCK], self.metric, self.centre)
            stop = start + len(block)
            distances[start:stop], rows[start:stop] = self.engine.search(block, k)
        if self.metric == "cosine":
            return np.maximum(1 - distances, 0), rows
        return np.sqrt(np.maximum(distances, 0)), rows


def build_index(
    ids: list[str],
    vectors: Vectors,
    *,
    metric: Metric = "cosine",
    factory: str = "Flat",
    encoder: str | None = None,
    identity: str = "",
    concepts: ConceptTable | None = None,
    hints: dict[str, str] | None = None,
) -> Index:
    """Index vectors [N, D] under their ids [N].

    Raises:
        DataError: there is no vector, or for cosine a vector is zero.
        UsageError: FAISS does not know the factory string.
    """
    if len(vectors) == 0:
        raise DataError("no vectors to index")
    width = vectors.shape[1]
    centre = np.zeros(width, np.float32)
    if metric == "l2":
        centre = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    else:
        _check_not_zero(ids, vectors)
    try:
        engine = faiss.index_factory(width, factory, _MEASURES[metric])
        if not engine.is_trained:
            engine.train(_comparable(vectors, metric, centre))
        for start in range(0, len(vectors), 65536):
            engine.add(_comparable(vectors[start : start + 65536], metric, centre))
    except RuntimeError as error:
        brief = str(error).splitlines()[0][-120:]
        raise UsageError(f"--factory {factory!r}: FAISS refuses it ({brief})") from None
    return Index(list(ids), metric, centre, engine, encoder, identity, concepts, hints or {})


def _comparable(vectors: Vectors, metric: Metric, centre: NDArray[np.float32]) -> Vectors:
    """Return vectors float32 in C order, as FAISS wants them, normalised or centred."""
    prepared = np.array(vectors, dtype=np.float32, order="C")
    if metric == "cosine":
        faiss.normalize_L2(prepared)
    else:
        prepared -= centre
    return prepared


def _check_not_zero(ids: list[str], vectors: Vectors) -> None:
    zero = np.flatnonzero(~np.any(vectors, axis=1))
    if len(zero):
        named = ", ".join(ids[row] for row in zero[:3])
        raise DataError(
            f"{len(zero)} vectors are zero and have no direction for cosine ({named}"
            f"{', ...' if len(zero) > 3 else ''}); use --metric l2 or leave those images out"
        )


def save_index(folder: Path, index: Index) -> None:
    """Write an index into a new folder: `index.faiss`, `index.json`, `concepts.tsv` if known."""
    folder.mkdir(parents=True, exist_ok=True)
    faiss.write_index(index.engine, str(folder / "index.faiss"))
    if index.concepts is not None:
        # The header keeps a first image called `image` from being taken for one.
        text = "id\tconcepts\n" + write_concepts(index.concepts)
        (folder / "concepts.tsv").write_text(text, encoding="utf-8")
    write_json(
        folder / "index.json",
        {
            "identity": index.identity,
            "metric": index.metric,
            "centre": index.centre.tolist(),
            "encoder": index.encoder,
            "ids_hash": digest(*index.ids),
            "hints": index.hints,
            "ids": index.ids,
        },
    )


def load_index(folder: Path) -> Index:
    """Open an index folder.

    Raises:
        DataError: a part is missing, damaged, or does not belong to the others.
    """
    if not (folder / "index.json").exists():
        raise DataError(f"{folder}: not an index folder (it has no index.json)")
    facts = read_json(folder / "index.json")
    try:
        engine = faiss.read_index(str(folder / "index.faiss"))
    except RuntimeError:
        raise DataError(f"{folder / 'index.faiss'}: missing or damaged; index again") from None
    try:
        ids, hints = facts["ids"], facts["hints"]
        centre = np.array(facts["centre"], np.float32)
        metric, encoder, identity = facts["metric"], facts["encoder"], facts["identity"]
        told = digest(*ids), len(ids), centre.shape, _MEASURES[metric]
        found = facts["ids_hash"], engine.ntotal, (engine.d,), engine.metric_type
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{folder / 'index.json'}: lacks or does not know {error}; index again"
        ) from None
    if told != found:
        raise DataError(f"{folder}: ids and vectors do not belong together; index again")
    concepts_file = folder / "concepts.tsv"
    concepts = read_concepts(concepts_file) if concepts_file.exists() else None
    if concepts is not None and concepts.ids != ids:
        raise DataError(f"{concepts_file}: lists other images than the index; index again")
    return Index(ids, metric, centre, engine, encoder, identity, concepts, hints)
