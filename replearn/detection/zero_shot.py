"""Detection from the names of concepts alone: images beside texts in a space that both share.

An encoder with a text tower (Radford et al. 2021, arXiv:2103.00020) gives vectors of texts such as
"a radiograph of pleural effusion" that lie near by angle to images that show it.  No label is
learned from; only the decision rule is chosen on labelled images.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from scipy import special

from replearn.arrays import Vectors
from replearn.artefacts.identity import digest
from replearn.detection.decisions.scores import Scores
from replearn.errors import DamagedError, DataError, UsageError, some_of

PROMPTS = ("{}", "a medical image of {}", "a radiology image showing {}")
_BLOCK = 8192  # images whose similarities are computed together
_FILE = "detector.safetensors"


@dataclass(frozen=True)
class ConceptTexts:
    """What an encoder makes of the names of concepts.

    Attributes:
        concepts: by id [L].
        vectors: of length 1, float32 [L, D].
        encoder: identity of the encoder, None if not known.
    """

    concepts: list[str]
    vectors: Vectors
    encoder: str | None = None

    @property
    def digest(self) -> str:
        """A hash of what they are."""
        return digest(*self.concepts, np.ascontiguousarray(self.vectors).tobytes().hex())


def prompt_vectors(
    embed_text: Callable[[Sequence[str]], Vectors],
    names: Mapping[str, str],
    prompts: Sequence[str] = PROMPTS,
    *,
    encoder: str | None = None,
) -> ConceptTexts:
    """Return the vector of each concept: the mean direction of its name in all prompts.

    Args:
        embed_text: texts to vectors [N, D], as `Encoder.embed_text`.
        names: of concepts by id.
        prompts: templates in which {} stands for the name.
        encoder: identity of the encoder.

    Raises:
        UsageError: a prompt has no {}, or there are no names.

    Example:
        >>> def embed_text(texts):  # as encoder.embed_text of a network with a text tower
        ...     return features.vectors[: len(texts)]
        >>> names = {"C0002978": "angiogram", "C0040405": "computed tomography"}
        >>> replearn.prompt_vectors(embed_text, names, ["a picture of {}"]).vectors.shape
        (2, 1024)
    """
    wrong = [prompt for prompt in prompts if "{}" not in prompt]
    if wrong or not prompts:
        raise UsageError(f"--prompt {some_of(wrong)!r}: no {{}} for the name of a concept")
    if not names:
        raise UsageError("--names: no concept has a name")
    total: Vectors | float = 0.0
    for prompt in prompts:
        total = total + _directions(
            embed_text([prompt.replace("{}", name) for name in names.values()])
        )
    return ConceptTexts(list(names), _directions(np.asarray(total)), encoder)


@dataclass(frozen=True)
class TextScorer:
    """How near an image is to the text of each concept, beside other images.

    A score is sigmoid((s - mean) / std) of the cosine s; mean and std are those of unlabelled
    images, as some texts are nearer to every image than others.

    Attributes:
        texts: of length 1, float32 [L, D].
        mean: of each concept's similarities [L].
        std: of the same [L].
    """

    texts: Vectors
    mean: Vectors
    std: Vectors
    kind: str = "zero-shot"

    def __str__(self) -> str:
        return self.kind

    @classmethod
    def fit(cls, texts: Vectors, vectors: Vectors) -> "TextScorer":
        """Return the scorer of texts [L, D], with the level of each from images [N, D].

        Raises:
            DataError: they are of different widths.
        """
        _check_width(vectors, texts)
        starts = range(0, len(vectors), _BLOCK)
        found = np.concatenate([_similarity(vectors[s : s + _BLOCK], texts) for s in starts])
        return cls(texts, found.mean(0), np.maximum(found.std(0), 1e-6).astype(np.float32))

    def scores(self, vectors: Vectors) -> Scores:
        """Return scores [M, L] for features [M, D]."""
        _check_width(vectors, self.texts)
        standardised = (_similarity(vectors, self.texts) - self.mean) / self.std
        scores: Scores = special.expit(standardised)
        return scores

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the arrays into the folder and return the facts for `detector.json`."""
        arrays = {"texts": self.texts, "mean": self.mean, "std": self.std}
        whole = {name: np.ascontiguousarray(rows, np.float32) for name, rows in arrays.items()}
        (folder / _FILE).write_bytes(safetensors.numpy.save(whole))
        return {}

    @classmethod
    def load(cls, folder: Path, facts: dict[str, Any]) -> "TextScorer":
        """Open what `save` wrote."""
        path = folder / _FILE
        try:
            arrays = safetensors.numpy.load_file(path)
            scorer = cls(arrays["texts"], arrays["mean"], arrays["std"])
        except (OSError, KeyError, safetensors.SafetensorError) as error:
            raise DamagedError(f"{path}: missing or damaged ({error})") from None
        if len(scorer.texts) != len(facts["vocabulary"]):
            raise DamagedError(f"{path}: is of another vocabulary than detector.json")
        return scorer


def _similarity(vectors: Vectors, texts: Vectors) -> Vectors:
    similarity: Vectors = _directions(vectors) @ texts.T
    return similarity


def _directions(vectors: Vectors) -> Vectors:
    rows = np.asarray(vectors, np.float32)
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    directions: Vectors = rows / lengths.astype(np.float32)
    return directions


def _check_width(vectors: Vectors, texts: Vectors) -> None:
    if vectors.shape[1] != texts.shape[1]:
        raise DataError(
            f"features of width {vectors.shape[1]} for texts of width {texts.shape[1]}; extract "
            "them with the encoder of the texts, and its pooling head"
        )
