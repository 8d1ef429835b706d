"""All that applies to two sets of features, or to an encoder and images, in one call."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Pixels, Vectors
from replearn.artefacts.disk_rows import evenly_spaced
from replearn.artefacts.identity import check_same
from replearn.concepts.table import ConceptTable
from replearn.diagnostics.balance import critic_balance
from replearn.diagnostics.codes.numbers import code_numbers
from replearn.diagnostics.diagnosis import Diagnosis, Gallery, Numbers
from replearn.diagnostics.faults import name_faults
from replearn.diagnostics.generators.comparison import Comparison, compare_samples
from replearn.diagnostics.generators.generalisation import reconstruction_gap
from replearn.diagnostics.generators.pixel_features import PixelFeatures
from replearn.diagnostics.representation.disentanglement import Factor, dci, mutual_information_gap
from replearn.diagnostics.representation.features import (
    hubness,
    intrinsic_dimension,
    rankme,
    uniformity,
)
from replearn.diagnostics.representation.label_probes import probe_by_labels
from replearn.diagnostics.representation.robustness import Embed, robustness
from replearn.errors import DataError
from replearn.features import Features
from replearn.images.image_set import ImageSet

if TYPE_CHECKING:  # which take a second to import
    from replearn.encoders.encoder import Encoder

FEWEST = 20  # images of a set: one for each block
_NO_PRIOR = "the model draws no images; only a generator has samples."


def diagnose_features(real: Features, fake: Features) -> Diagnosis:
    """Return how two sets of features of the same encoder differ.

    Args:
        real: of real images.
        fake: of samples, or of any other images.

    Raises:
        DataError: the encoders or widths differ, or a set has fewer than 20 images.
    """
    widths = real.vectors.shape[1], fake.vectors.shape[1]
    if widths[0] != widths[1]:
        raise DataError(
            f"features of width {widths[0]} and of width {widths[1]} have nothing to compare; "
            "extract both with the same encoder"
        )
    check_same(real.encoder, fake.encoder, "the encoder of the fake features and of the real ones")
    _check_number("real", len(real))
    _check_number("fake", len(fake))
    compared = compare_samples(np.asarray(real.vectors), np.asarray(fake.vectors))
    numbers: dict[str, Numbers] = {
        "samples": compared.numbers,
        "representation": represent(np.asarray(real.vectors)),
    }
    facts = {
        "real": f"{len(real):,} images",
        "fake": f"{len(fake):,} images",
        "width": f"{widths[0]:,}",
    }
    return Diagnosis(
        "two sets of features",
        facts,
        numbers,
        name_faults(numbers),
        galleries(compared, (real.ids, fake.ids), None),
    )


@dataclass(frozen=True)
class Known:
    """What is known of the images that a diagnosis may use.

    Attributes:
        learned: which of the images the model learned from, bool [N]; all of them if None.
        concepts: of the same images, for probes by the number of labels; None if not known.
        factors: what generated each image, by name, for disentanglement; none if not known.
    """

    learned: NDArray[np.bool_] | None = None
    concepts: ConceptTable | None = None
    factors: dict[str, Factor] = field(default_factory=dict)


def diagnose_encoder(
    encoder: "Encoder",
    images: ImageSet,
    *,
    judge: "Encoder | None" = None,
    known: Known = Known(),
    seed: int = 0,
) -> Diagnosis:
    """Return what applies to a trained encoder, on some images of the kind it was trained on.

    Args:
        encoder: a trained model; of a generator, as many samples as there are images are drawn.
        images: prepared to the encoder's form; those it was trained on, where copies matter.
        judge: the encoder whose features tell samples from real images; if None, the principal
            components of their pixels.
        known: concepts and factors of the images.
        seed: of the samples.

    Raises:
        DataError: there are fewer than 20 images.
    """
    from replearn.encoders.latent import Latent
    from replearn.encoders.preprocessing import centre_crop

    _check_number("given", len(images))
    whole = np.asarray(images.pixels[:])
    pixels = centre_crop(whole, encoder.description.crop)
    vectors = encoder_features(encoder, pixels)
    numbers: dict[str, Numbers] = {"representation": represent(vectors)}
    numbers["robustness"] = robustness(
        pixels, vectors, lambda some: encoder_features(encoder, some)
    )
    absent: dict[str, str] = {}
    compared = _of_samples(encoder, (pixels, images.ids), judge, known.learned, seed)
    if compared is None:
        absent["samples"] = _NO_PRIOR
    else:
        numbers["samples"] = compared[0].numbers
    latent = Latent.of(encoder)
    if latent is not None:
        numbers |= code_numbers(latent, whole, seed=seed)
    numbers |= _of_what_is_known(encoder, whole, vectors, known, absent)
    numbers |= {"training": balance} if (balance := critic_balance(encoder.folder)) else {}
    facts = {
        "model": encoder.description.model,
        "images": f"{len(images):,}",
        "samples judged by": "pixels" if judge is None else judge.description.model,
    }
    of, shown = f"encoder {encoder.description.model}", compared[1] if compared else []
    return Diagnosis(of, facts, numbers, name_faults(numbers), shown, absent)


def _of_samples(
    encoder: "Encoder",
    real: tuple[Pixels, list[str]],
    judge: "Encoder | None",
    learned: NDArray[np.bool_] | None,
    seed: int,
) -> tuple[Comparison, list[Gallery]] | None:
    """Return how a model's samples compare with real images, and pictures of that."""
    from replearn.encoders.generation import generate

    pixels, ids = real
    fake = generate(encoder, len(pixels), seed=seed)
    if fake is None:
        return None
    features = judged_by(judge, pixels)
    compared = compare_samples(features(pixels), features(fake), learned)
    names = [f"sample {row}" for row in range(len(fake))]
    return compared, galleries(compared, (ids, names), (pixels, fake))


def encoder_features(encoder: "Encoder", pixels: Pixels) -> Vectors:
    """Return the embeddings float32 [N, D] of pixels uint8 [N, C, H, W], cropped already."""
    from replearn.encoders.embedding import embeddings

    return np.concatenate(
        list(embeddings(encoder.model, pixels, crop=None, device=encoder.device))
    ).astype(np.float32, copy=False)


def judged_by(judge: "Encoder | None", pixels: Pixels) -> Embed:
    """Return what makes the features by which samples are told from real images."""
    return PixelFeatures(pixels) if judge is None else partial(encoder_features, judge)


def represent(vectors: Vectors) -> Numbers:
    """Return what features float [N, D] say of themselves, with half of the images as baseline."""
    rows = np.asarray(vectors, np.float32)
    half, found = _represent(rows[::2]), _represent(rows)
    return {
        name: estimate.against(half[name].value, "half of the images")
        for name, estimate in found.items()
    }


def _represent(vectors: Vectors) -> Numbers:
    found = {"rankme": rankme(vectors), "uniformity": uniformity(vectors)}
    return found | {"dimension": intrinsic_dimension(vectors)} | hubness(vectors)


def _of_what_is_known(
    encoder: "Encoder", pixels: Pixels, vectors: Vectors, known: Known, absent: dict[str, str]
) -> dict[str, Numbers]:
    from replearn.encoders.generation import reconstruction_errors

    found: dict[str, Numbers] = {}
    learned = known.learned
    if learned is None:
        absent["generalisation"] = "no images are known to be held out; see --trained."
    elif (errors := reconstruction_errors(encoder, pixels)) is None:
        absent["generalisation"] = "the model does not reconstruct images."
    else:
        gap = reconstruction_gap(errors[learned], errors[~learned])
        found["generalisation"] = {"reconstruction_gap": gap}
    if known.concepts is not None:
        found["labels"] = probe_by_labels(vectors, known.concepts)
    else:
        absent["labels"] = "the concepts are not known; give them with --concepts."
    if known.factors:
        gaps = mutual_information_gap(vectors, known.factors)
        found["factors"] = gaps | dci(vectors, known.factors)
    else:
        absent["factors"] = "what generated the images is not known; see phantoms --factors."
    return found


def galleries(
    compared: Comparison,
    names: tuple[Sequence[str], Sequence[str]],
    pixels: tuple[Pixels, Pixels] | None,
) -> list[Gallery]:
    """Return what there is to see of a comparison: nearest pairs, likeliest copies, missing kinds.

    Args:
        compared: with rows of both sets.
        names: of the real images and of the samples.
        pixels: of both, uint8 [N, C, H, W]; None where only features are known.
    """
    real, fake = (_Shown(names[side], pixels and pixels[side]) for side in range(2))
    found = []
    pairs = compared.support.pairs[:6].ravel()
    if len(pairs):
        text = "Samples two by two that count as one image, the nearest first."
        found.append(
            _gallery("Nearest pairs of samples", text, [fake.at(row) for row in pairs.tolist()])
        )
    both = [[fake.at(sample), real.at(row)] for sample, row in compared.copies.rows[:6].tolist()]
    text = "Each sample, and beside it the image that it lies nearest to; the likeliest copy first."
    found.append(_gallery("Likeliest copies", text, [one for pair in both for one in pair]))
    modes = compared.modes
    kinds = [modes.rows[modes.bin_of == number] for number in modes.dropped]
    missing = [row for rows in kinds for row in rows[evenly_spaced(len(rows), 3)]]
    if missing:
        text = "Real images of the kinds that are hardly ever made, three of each."
        found.append(_gallery("Kinds that are missing", text, [real.at(row) for row in missing]))
    return found


@dataclass(frozen=True)
class _Shown:
    """One side of a comparison: names, and pixels if there are any."""

    names: Sequence[str]
    pixels: Pixels | None

    def at(self, row: int) -> tuple[str, Pixels | None]:
        return self.names[row], None if self.pixels is None else self.pixels[row]


def _gallery(title: str, text: str, shown: Sequence[tuple[str, Pixels | None]]) -> Gallery:
    pixels = [picture for _, picture in shown if picture is not None]
    return Gallery(title, text, [name for name, _ in shown], pixels)


def _check_number(what: str, count: int) -> None:
    if count < FEWEST:
        raise DataError(f"{count} {what} images: give at least {FEWEST}, intervals need blocks")
