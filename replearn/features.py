"""Features on disk: one embedding for each image, under the image's id."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from replearn.arrays import Vectors
from replearn.artefacts import hdf5
from replearn.artefacts.disk_rows import select_rows
from replearn.artefacts.error_budget import Errors
from replearn.artefacts.identity import Digest, digest, identify
from replearn.errors import DataError, some_of

HINTS: list[str] = ["encoder_path", "images_path"]

_BLOCK = 65536  # vectors that are looked at together


@dataclass(frozen=True)
class Features:
    """Embeddings with their ids and their origin.

    Attributes:
        ids: one for each image [N], all different.
        vectors: float [N, D], not normalised, perhaps a memory map.
        errors: (id, reason) of the images that could not be read.
        identity: what these features are; from elsewhere, a hash of their content.
        encoder: identity of the encoder that made them, None if that is not known.
        hints: where encoder and images lay, relative to the file; may be stale.

    Example:
        >>> features = replearn.Features.load("runs/features.h5")
        >>> features.vectors.shape == (len(features.ids), 1024)
        True
        >>> features.select(features.ids[:5]).vectors.shape
        (5, 1024)
    """

    ids: list[str]
    vectors: Vectors
    identity: str
    errors: Errors = field(default_factory=list)
    encoder: str | None = None
    hints: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def load(cls, path: Path | str) -> "Features":
        """Open a features file; the seed's files of `data` and `id` can be read too.

        Raises:
            DataError: the file is missing, damaged or not of features, or it is from elsewhere and
                holds NaN or infinity.
        """
        path = Path(path)
        content = hdf5.read_rows(path, "vectors", "data")
        if content.rows.ndim != 2 or not np.issubdtype(content.rows.dtype, np.floating):
            raise DataError(
                f"{path}: {content.rows.dtype} {list(content.rows.shape)} where float [N, D] is "
                "expected; is it a features file?"
            )
        attributes = content.attributes
        # What states an identity was looked at when it was written: opening it reads no vector.
        identity = str(attributes.get("identity") or _identity_of(path, content))
        hints = {key: str(attributes[key]) for key in HINTS if key in attributes}
        encoder = str(attributes["encoder"]) if "encoder" in attributes else None
        return cls(content.ids, content.rows, identity, content.errors, encoder, hints)

    def select(self, ids: Sequence[str]) -> "Features":
        """Return the features of these ids in this order, without reading what lies on disk.

        Raises:
            DataError: an id has no features.
        """
        if ids == self.ids:
            return self
        missing = self.missing(ids)
        if missing:
            raise DataError(f"{some_of(missing)}: no features of {len(missing)} of these images")
        identity = identify("features", of=self.identity, ids=digest(*ids))
        chosen = self.vectors_of(ids)
        return replace(self, ids=list(ids), vectors=chosen, identity=identity, errors=[])

    def vectors_of(self, ids: Sequence[str]) -> Vectors:
        """Return the vectors of these ids [M, D] in this order; every id must be known.

        Those that lie on disk are not read yet.
        """
        if ids == self.ids:
            return self.vectors
        rows = {id_: row for row, id_ in enumerate(self.ids)}
        return select_rows(self.vectors, [rows[id_] for id_ in ids])

    def missing(self, ids: Iterable[str]) -> list[str]:
        """Return those of the ids that have no features."""
        known = set(self.ids)
        return [id_ for id_ in ids if id_ not in known]


def write_features(path: Path, features: Features, blocks: Iterable[Vectors]) -> None:
    """Write features whose vectors come in blocks [n_i, D], together one row for each id.

    Raises:
        DataError: a vector holds NaN or infinity, or the file cannot be written.
    """
    facts = {"identity": features.identity, "encoder": features.encoder, **features.hints}
    attributes = {key: value for key, value in facts.items() if value is not None}
    finite = _finite(path, features.ids, blocks)
    hdf5.write_rows(path, "vectors", finite, features.ids, features.errors, attributes)


def _identity_of(path: Path, content: hdf5.Rows) -> str:
    """Return an identity for vectors that carry none: a hash of what they are."""
    rows = content.rows
    blocks = (rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK))
    state = Digest(*content.ids)
    state.add_parts(
        math.prod(rows.shape) * rows.dtype.itemsize,
        (
            np.ascontiguousarray(block).data.cast("B")
            for block in _finite(path, content.ids, blocks)
        ),
    )
    return f"vectors:{state}"


def _finite(path: Path, ids: Sequence[str], blocks: Iterable[Vectors]) -> Iterator[Vectors]:
    """Pass the blocks [n_i, D] on, but refuse a vector that is not finite."""
    start = 0
    for block in blocks:
        finite = np.isfinite(block).all(axis=tuple(range(1, block.ndim)))
        if not finite.all():
            row = start + int(np.argmin(finite))
            raise DataError(
                f"{path}: the vector of {ids[row]!r} (row {row}) holds NaN or infinity; "
                "extract the features again"
            )
        start += len(block)
        yield block
