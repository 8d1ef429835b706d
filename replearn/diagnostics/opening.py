"""What a diagnosis is of, opened from files: an encoder with images, or two sets of features."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from replearn.artefacts.identity import digest, identify
from replearn.concepts.id_lists import read_id_list
from replearn.concepts.reading import AS_FOUND, Reading
from replearn.concepts.table import read_labels
from replearn.diagnostics.diagnose import FEWEST, Known, diagnose_encoder, diagnose_features
from replearn.diagnostics.diagnosis import Diagnosis
from replearn.diagnostics.representation.disentanglement import read_factors
from replearn.errors import DataError, UsageError
from replearn.features import Features
from replearn.images.image_set import ImageSet
from replearn.images.opening import open_images
from replearn.neighbors.build_index import match_concepts

if TYPE_CHECKING:  # which take a second to import
    from replearn.encoders.encoder import Encoder

_LEARNED = 12  # images, so that each has a nearest and ten next ones


@dataclass(frozen=True)
class Wanted:
    """What to look at, and by what.

    Attributes:
        count: at most so many images, drawn at random.
        ids: file whose first column has the ids to look at; None for all.
        trained: file whose first column has the ids that the model learned from; None for all.
        judge: folder of the encoder whose features tell samples from real images.
        concepts: file of the images' concepts.
        reading: what is said of its layout.
        factors: file of the images' factors.
        device: for encoders.
    """

    count: int = 2000
    ids: Path | None = None
    trained: Path | None = None
    judge: Path | None = None
    concepts: Path | None = None
    reading: Reading = AS_FOUND
    factors: Path | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Subject:
    """Something to diagnose.

    Attributes:
        identity: of it, and of how it is looked at.
        diagnose: finds the numbers.
    """

    identity: str
    diagnose: Callable[[], Diagnosis]


def open_subject(first: Path, second: Path, wanted: Wanted = Wanted()) -> Subject:
    """Open an encoder's folder and images, or two files of features.

    Args:
        first: folder of an encoder, or features of real images.
        second: images of any source, or features of samples.
        wanted: what to look at; all of it is for images alone.

    Raises:
        DataError: a file is missing or damaged, or the two do not belong together.
        UsageError: an option means nothing for what is given.
    """
    if (first / "encoder.json").exists():
        return _open_encoder(first, second, wanted)
    if first.is_dir() and not any(first.glob("*.h5")):
        raise DataError(f"{first}: neither an encoder's folder nor features")
    unused = [
        name for name in ("ids", "trained", "judge", "concepts", "factors") if getattr(wanted, name)
    ]
    if unused:
        raise UsageError(f"--{unused[0]}: only where an encoder and images are given")
    real, fake = (Features.load(path) for path in (first, second))
    identity = identify("diagnosis", real=real.identity, fake=fake.identity)
    return Subject(identity, partial(diagnose_features, real, fake))


def _open_encoder(folder: Path, source: Path, wanted: Wanted) -> Subject:
    from replearn.encoders.encoder import load_encoder

    encoder = load_encoder(folder, wanted.device)
    ids = read_id_list(wanted.ids) if wanted.ids else None
    images = _drawn(open_images(source, ids=ids, **encoder.description.form.arguments), wanted)
    judge = load_encoder(wanted.judge, wanted.device) if wanted.judge else None
    known = Known(
        _learned(wanted.trained, images.ids) if wanted.trained else None,
        match_concepts(read_labels(wanted.concepts, wanted.reading), images.ids)
        if wanted.concepts
        else None,
        read_factors(wanted.factors.read_text(encoding="utf-8"), images.ids, str(wanted.factors))
        if wanted.factors
        else {},
    )
    identity = _identity(encoder, images, judge, wanted, known)
    return Subject(identity, partial(diagnose_encoder, encoder, images, judge=judge, known=known))


def _learned(path: Path, ids: list[str]) -> NDArray[np.bool_]:
    """Return which images a model learned from.

    Raises:
        DataError: fewer than 12 of them are, or fewer than 20 are not.
    """
    listed = set(read_id_list(path).among(ids))
    learned = np.array([id_ in listed for id_ in ids])
    if learned.sum() < _LEARNED or (~learned).sum() < FEWEST:
        raise DataError(
            f"{path}: has {learned.sum()} of the {len(ids)} images that are looked at; at least "
            f"{_LEARNED} are needed, and {FEWEST} that it does not have; see --count"
        )
    return learned


def _drawn(images: ImageSet, wanted: Wanted) -> ImageSet:
    """Return at most so many images, half of them learned ones where those are known."""
    if len(images) <= wanted.count:
        return images
    order = np.random.default_rng(0).permutation(len(images))
    if wanted.trained:
        listed = set(read_id_list(wanted.trained).among(images.ids))
        learned = np.array([images.ids[row] in listed for row in order.tolist()])
        turn = np.where(learned, np.cumsum(learned), np.cumsum(~learned))
        order = order[np.argsort(turn, kind="stable")]  # the first of each, the second, ...
    return images.select([images.ids[row] for row in np.sort(order[: wanted.count]).tolist()])


def _identity(
    encoder: "Encoder", images: ImageSet, judge: "Encoder | None", wanted: Wanted, known: Known
) -> str:
    facts = {
        "encoder": encoder.description.identity,
        "images": images.identity,
        "judge": None if judge is None else judge.description.identity,
        "concepts": None if known.concepts is None else known.concepts.digest,
        "learned": None if known.learned is None else digest(known.learned.tobytes()),
        "factors": digest(wanted.factors.read_bytes()) if wanted.factors else None,
    }
    return identify("diagnosis", **facts)
