"""Score files: the probability of each concept of a vocabulary for each image, on disk."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from replearn.arrays import Vectors
from replearn.artefacts import hdf5
from replearn.artefacts.error_budget import Errors
from replearn.artefacts.files import replacing
from replearn.artefacts.identity import digest, identify
from replearn.artefacts.outputs import Kind, already_made, place_of
from replearn.artefacts.shards import plan_of, refuse_other_format
from replearn.errors import DataError, quoted
from replearn.ids import rows_of

HOW_TO_WRITE = "write probabilities float32 [N, L] as `scores`, with `ids` [N], `vocabulary` [L]"
SCORES = Kind("a score file", "")
_BLOCK = 4096  # images that are looked at together


@dataclass(frozen=True)
class ConceptScores:
    """The probabilities of concepts for images, and which detector they are of.

    Attributes:
        ids: one for each image [N], all different.
        scores: probabilities [N, L], perhaps a memory map.
        vocabulary: the concepts that the columns are of [L], all different.
        detector: identity of the detector that made them, None if that is not known.
        errors: (id, reason) of images that it could say nothing about.

    Example:
        >>> scores = detector.concept_scores(features.select(chosen_on.ids))
        >>> scores.scores.shape == (len(chosen_on), len(detector.vocabulary))
        True
        >>> scores.save("runs/valid-scores.h5", overwrite=True)
        >>> replearn.ConceptScores.load("runs/valid-scores.h5").vocabulary == detector.vocabulary
        True
    """

    ids: list[str]
    scores: Vectors
    vocabulary: list[str]
    detector: str | None = None
    errors: Errors = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def identity(self) -> str:
        """An identity of ids, vocabulary and scores."""
        content = np.ascontiguousarray(self.scores, np.float32)
        parts = [digest(*self.ids), digest(*self.vocabulary), digest(content.data.cast("B"))]
        return identify("scores", content=parts, detector=self.detector)

    @classmethod
    def load(cls, path: Path | str) -> "ConceptScores":
        """Open a score file, of `predict --scores` or of another program.

        Raises:
            DataError: the file is missing, damaged or of something else, an id or a concept stands
                there twice, or a score is no probability.
        """
        path = Path(path)
        content = hdf5.read_rows(path, "scores")
        if "vocabulary" not in content.texts:
            raise DataError(f"{path}: has no vocabulary; {HOW_TO_WRITE}")
        detector = content.attributes.get("detector")
        found = cls(
            content.ids,
            content.rows,
            content.texts["vocabulary"],
            None if detector is None else str(detector),
            content.errors,
        )
        found.check(str(path))
        return found

    def save(self, path: Path | str, *, overwrite: bool = False) -> None:
        """Write the scores to one file, which `load` and the commands open.

        Args:
            path: of the file, `NAME.h5`.
            overwrite: replace other scores.

        Raises:
            DataError: something lies there that may not be replaced, or `check` refuses them.
            UsageError: the name ends as files of another format do.
        """
        path = Path(path)
        refuse_other_format(path)
        self.check(str(path))
        place, identity = place_of(path), self.identity
        there = plan_of(place, "scores")
        if already_made(place, SCORES, there, identity, overwrite=overwrite):
            return
        attributes = {"identity": identity}
        if self.detector is not None:
            attributes["detector"] = self.detector
        texts = {"vocabulary": self.vocabulary}
        with replacing(place) as temporary:
            hdf5.write_rows(
                temporary, "scores", self._blocks(), self.ids, self.errors, attributes, texts=texts
            )

    def check(self, name: str) -> None:
        """Refuse scores that are no probabilities of different concepts for different images.

        Args:
            name: of the scores in messages, as their path.

        Raises:
            DataError: they are not.
        """
        if self.scores.shape != (len(self.ids), len(self.vocabulary)):
            raise DataError(
                f"{name}: scores {list(self.scores.shape)} for {len(self.ids)} ids and "
                f"{len(self.vocabulary)} concepts; {HOW_TO_WRITE}"
            )
        rows_of(self.ids)  # refuses an id in two Unicode forms
        for names, what in ((self.ids, "id"), (self.vocabulary, "concept")):
            if len(set(names)) < len(names):
                twice = next(one for n, one in enumerate(names) if one in names[:n])
                raise DataError(f"{name}: the {what} {quoted(twice)} stands there twice; keep one")
        for start, block in zip(range(0, len(self), _BLOCK), self._blocks(), strict=False):
            inside = (block >= 0) & (block <= 1)  # NaN is not
            if not inside.all():
                row, column = (int(place[0]) for place in np.nonzero(~inside))
                raise DataError(
                    f"{name}: the score {block[row, column]:g} of {quoted(self.ids[start + row])} "
                    f"for {quoted(self.vocabulary[column])} is no probability; {HOW_TO_WRITE}"
                )

    def _blocks(self) -> Iterator[Vectors]:
        for start in range(0, max(len(self), 1), _BLOCK):
            yield np.asarray(self.scores[start : start + _BLOCK], np.float32)
