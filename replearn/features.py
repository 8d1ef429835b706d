"""Features on disk: one embedding for each image, under the image's id."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from replearn.arrays import Vectors, fit_float32
from replearn.artefacts import hdf5
from replearn.artefacts.disk_rows import select_rows
from replearn.artefacts.error_budget import Errors
from replearn.artefacts.files import replacing
from replearn.artefacts.identity import Digest, digest, identify
from replearn.artefacts.outputs import Kind, already_made, is_free, place_of
from replearn.artefacts.shards import FILES, plan_of, refuse_other_format
from replearn.errors import DataError, refuse_repeated, some_of
from replearn.ids import rows_of
from replearn.matching import ids_meant
from replearn.vector_files import HOW_TO_WRITE, is_from_elsewhere, read_vectors

HINTS: list[str] = ["encoder_path", "images_path"]

FEATURES = Kind("a set of features", FILES)
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
        """Open a features file, or a file of vectors and ids that another program wrote.

        `vector_files.py` lists what those may be.

        Raises:
            DataError: the file is missing, damaged or not of features, or it is from elsewhere and
                holds NaN, infinity or a number beyond float32.
            UsageError: it is Parquet, and pyarrow is not installed.
        """
        path = Path(path)
        if is_from_elsewhere(path):
            content = hdf5.Rows(*read_vectors(path))
        else:
            content = hdf5.read_rows(path, "vectors", "data")
        _check_vectors(path, content.rows, HOW_TO_WRITE)
        attributes = content.attributes
        # What states an identity was looked at when it was written: opening it reads no vector.
        identity = str(attributes.get("identity") or _identity_of(path, content))
        hints = {key: str(attributes[key]) for key in HINTS if key in attributes}
        encoder = str(attributes["encoder"]) if "encoder" in attributes else None
        return cls(content.ids, content.rows, identity, content.errors, encoder, hints)

    def save(self, path: Path | str, *, overwrite: bool = False) -> None:
        """Write the features to one file, which `load` and the commands open.

        Args:
            path: of the file, `NAME.h5`.
            overwrite: replace other features.

        Raises:
            DataError: something lies there that may not be replaced, the vectors are not finite
                floats [N, D], or the file cannot be written.
            UsageError: the name ends as files of another format do.
        """
        path = Path(path)
        refuse_other_format(path)
        place = place_of(path)
        if not is_free(place) and not overwrite:
            raise DataError(f"{path}: exists; choose another place or give overwrite=True")
        _check_vectors(path, self.vectors, "give one vector for each id")
        if len(self.vectors) != len(self.ids):
            raise DataError(f"{path}: {len(self.ids)} ids for {len(self.vectors)} vectors")
        already_made(place, FEATURES, plan_of(place, "vectors"), self.identity, overwrite=True)
        facts = {"identity": self.identity, "encoder": self.encoder, **self.hints}
        attributes = {key: value for key, value in facts.items() if value is not None}
        blocks = _finite_blocks(path, self.ids, self.vectors)
        with replacing(place) as temporary:
            hdf5.write_rows(temporary, "vectors", blocks, self.ids, self.errors, attributes)

    def select(self, ids: Sequence[str]) -> "Features":
        """Return the features of these ids in this order, without reading what lies on disk.

        A name of an image becomes the image's id, see `ids_meant`.

        Raises:
            DataError: an id has no features or stands twice in `ids`, or two mean the same image.
        """
        if ids == self.ids:
            return self
        refuse_repeated(ids)
        ids = ids_meant(ids, self.ids, "features")
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
        rows = rows_of(self.ids)
        return select_rows(self.vectors, [rows[id_] for id_ in ids])

    def missing(self, ids: Iterable[str]) -> list[str]:
        """Return those of the ids that have no features."""
        known = rows_of(self.ids)
        return [id_ for id_ in ids if id_ not in known]


def _check_vectors(path: Path, vectors: Vectors, remedy: str) -> None:
    if vectors.ndim != 2 or not np.issubdtype(vectors.dtype, np.floating):
        raise DataError(
            f"{path}: {vectors.dtype} {list(vectors.shape)} where float [N, D] is expected; "
            f"{remedy}"
        )


def _identity_of(path: Path, content: hdf5.Rows) -> str:
    """Return an identity for vectors that carry none: a hash of what they are."""
    rows = content.rows
    state = Digest(*content.ids)
    state.add_parts(
        math.prod(rows.shape) * rows.dtype.itemsize,
        (
            np.ascontiguousarray(block).data.cast("B")
            for block in _finite_blocks(path, content.ids, rows)
        ),
    )
    return f"vectors:{state}"


def _finite_blocks(path: Path, ids: Sequence[str], vectors: Vectors) -> Iterator[Vectors]:
    """Yield the vectors in blocks [n_i, D]; one that is not finite is refused."""
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK]
        fitting = fit_float32(block)
        if not fitting.all():
            row = int(np.argmin(fitting))
            place = f"{path}: the vector of {ids[start + row]!r} (row {start + row})"
            if np.isfinite(block[row]).all():
                largest = block[row][np.abs(block[row]).argmax()]
                raise DataError(f"{place} holds {largest:g}, beyond float32; scale the features")
            raise DataError(f"{place} holds NaN or infinity; extract the features again")
        yield block
