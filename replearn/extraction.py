"""Encoder x images -> features, in parts that survive a kill."""

from pathlib import Path

import numpy as np

from replearn.artefacts import already_made, identify, publish, workspace
from replearn.encoders import Encoder
from replearn.errors import DataError
from replearn.features import Features, write_features
from replearn.images import ImageSet
from replearn.parts import Part, make_parts

_PART = 4096  # images whose work a kill can cost


def features_identity(encoder: Encoder, images: ImageSet) -> str:
    """Return the identity of the features that this encoder makes of these images."""
    return identify("features", encoder=encoder.description.identity, images=images.identity)


def extract(
    encoder: Encoder,
    images: ImageSet,
    out: Path,
    *,
    hints: dict[str, str] | None = None,
    overwrite: bool = False,
) -> Features:
    """Write the embedding of every image to a features file and open it.

    Running it again goes on where a killed run stopped, and does nothing where one finished.

    Raises:
        DataError: other features lie at `out`, or another process is writing there.
    """
    identity = features_identity(encoder, images)

    def embed(start: int, stop: int) -> Part:
        return {"vectors": np.concatenate(list(encoder.embed(images.pixels[start:stop])))}

    with workspace(out, keep=True) as work:
        if already_made(out, _identity_there(out), identity, overwrite=overwrite):
            return Features.load(out)
        parts = make_parts(work / "parts", identity, len(images), _PART, embed)
        features = Features(
            ids=images.ids,
            vectors=np.empty((0, 0), np.float32),
            identity=identity,
            errors=images.errors,
            encoder=encoder.description.identity,
            hints=hints or {},
        )
        made = work / "features.h5"
        write_features(made, features, (_finite(out, part["vectors"]) for part in parts))
        publish(made, out)
    return Features.load(out)


def _identity_there(out: Path) -> str | None:
    try:
        return Features.load(out).identity
    except DataError:  # nothing there, or nothing of use
        return None


def _finite(
    out: Path, vectors: np.ndarray[tuple[int, int], np.dtype[np.float32]]
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    if not np.isfinite(vectors).all():
        raise DataError(f"{out}: the encoder gives NaN or infinity; its training has diverged")
    return vectors
